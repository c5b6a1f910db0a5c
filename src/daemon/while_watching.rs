//! Watches while something is done, and keeps what was recorded in memory.

use super::{
    DaemonError, Plan, Waiting,
    watcher::{self, Attached, WatchError},
};
use crate::model::Batch;

/// Turns the hooks of the plan on, calls `work`, and returns its result with everything that was
/// recorded meanwhile, by the same thread as in [`super::run`]. No database is touched.
pub fn watch_while<T>(
    plan: &Plan,
    work: impl FnOnce(&Attached) -> T,
) -> Result<(T, Vec<Batch>), DaemonError> {
    let Waiting {
        thread,
        controls,
        go,
        ready,
        mut batches,
    } = watcher::spawn(plan)?;
    go.send(()).map_err(|()| WatchError::Died)?;
    let attached = ready.blocking_recv().map_err(|_| WatchError::Died)??;
    let result = work(&attached);
    controls.stop();
    let mut recorded = Vec::new();
    while let Some(flushed) = batches.blocking_recv() {
        recorded.push(flushed.batch);
    }
    thread.join().map_err(|_| WatchError::Died)?;
    Ok((result, recorded))
}
