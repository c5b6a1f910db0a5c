//! Watches while something is done, and keeps what was recorded in memory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    DaemonError, Plan,
    watcher::{self, Attached, WatchError},
};
use crate::model::Batch;

/// Turns the hooks of the plan on, calls `work`, and returns its result with everything that was
/// recorded meanwhile, by the same thread as in [`super::run`]. No database is touched.
pub fn watch_while<T>(
    plan: &Plan,
    work: impl FnOnce(&Attached) -> T,
) -> Result<(T, Vec<Batch>), DaemonError> {
    let should_stop = Arc::new(AtomicBool::new(false));
    let (batch_sender, mut batches) = mpsc::unbounded_channel();
    let (ready_sender, ready) = oneshot::channel();
    let thread = watcher::spawn(plan, Arc::clone(&should_stop), ready_sender, batch_sender)?;
    let attached = ready.blocking_recv().map_err(|_| WatchError::Died)??;
    let result = work(&attached);
    should_stop.store(true, Ordering::Relaxed);
    let mut recorded = Vec::new();
    while let Some(batch) = batches.blocking_recv() {
        recorded.push(batch);
    }
    thread.join().map_err(|_| WatchError::Died)?;
    Ok((result, recorded))
}
