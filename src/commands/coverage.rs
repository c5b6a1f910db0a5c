//! Watch periods of the store, as reports take them.

use std::collections::BTreeMap;

use crate::{
    model::{WatchKind, Window},
    report::coverage::Watched,
    store::{Reader, StoreError},
};

/// All watch periods, whatever the window: whether a window opens with a gap is told by what came
/// before it.
pub(super) fn watched(reader: &Reader) -> Result<Vec<Watched>, StoreError> {
    let mut self_checks: BTreeMap<_, _> = reader.self_checks()?.into_iter().collect();
    let is_running = reader.observer_pid()?.is_some();
    let mut watched: Vec<Watched> = reader
        .watch_periods(&Window::default())?
        .into_iter()
        .map(|stored| Watched {
            id: stored.id.0,
            period: stored.period,
            losses: stored.losses,
            flows: stored.flows,
            self_check: self_checks.remove(&stored.id),
            is_running: false,
        })
        .collect();
    // One observer writes at a time, and the end of what it covers moves with each flush: an older
    // one that broke off, or one that came with a dump, stays behind.
    let latest = watched
        .iter_mut()
        .filter(|one| one.period.kind == WatchKind::Observe && one.period.ended.is_none())
        .max_by_key(|one| one.period.covered_until);
    if let Some(latest) = latest {
        latest.is_running = is_running;
    }
    Ok(watched)
}
