//! Watch periods of the store, as reports take them.

use crate::{
    model::{WatchKind, Window},
    report::coverage::Watched,
    store::{Reader, StoreError},
};

/// All watch periods, whatever the window: whether a window opens with a gap is told by what came
/// before it.
pub(super) fn watched(reader: &Reader) -> Result<Vec<Watched>, StoreError> {
    let is_running = reader.observer_pid()?.is_some();
    let mut watched: Vec<Watched> = reader
        .watch_periods(&Window::default())?
        .into_iter()
        .map(|stored| Watched {
            id: stored.id.0,
            period: stored.period,
            losses: stored.losses,
            flows: stored.flows,
            is_running: false,
        })
        .collect();
    // One observer writes at a time, and it writes to the period that was opened last.
    let latest = watched
        .iter_mut()
        .filter(|one| one.period.kind == WatchKind::Observe)
        .max_by_key(|one| one.id);
    if let Some(latest) = latest {
        latest.is_running = is_running && latest.period.ended.is_none();
    }
    Ok(watched)
}
