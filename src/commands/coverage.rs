//! Watch periods of the store, as reports take them.

use std::collections::BTreeMap;

use crate::{
    model::{SINCE_BOOT, SelfCheck, WatchKind, WatchPeriod, Window},
    report::coverage::Watched,
    store::{Reader, StoreError},
};

/// What an observer proved at its start holds until it ends, also where the clock was set meanwhile
/// and a new watch period begun.
fn carry_over_clock_changes(watched: &mut [Watched]) {
    let mut earlier: Option<(WatchPeriod, Option<SelfCheck>)> = None;
    let mut observed: Vec<&mut Watched> = watched
        .iter_mut()
        .filter(|one| one.period.kind == WatchKind::Observe)
        .collect();
    // By their times, what came after the clock was set back would be first.
    observed.sort_by_key(|one| one.id);
    for one in observed {
        if let Some((period, check)) = &earlier
            && one.self_check.is_none()
            && is_same_observer(period, &one.period)
        {
            one.self_check.clone_from(check);
        }
        earlier = Some((one.period.clone(), one.self_check.clone()));
    }
}

/// Whether the hooks of both went on at the same moment of the same boot.
fn is_same_observer(one: &WatchPeriod, other: &WatchPeriod) -> bool {
    let moment = |period: &WatchPeriod| period.settings.get(SINCE_BOOT).cloned();
    one.boot_id.is_some()
        && one.boot_id == other.boot_id
        && one.host == other.host
        && moment(one).is_some()
        && moment(one) == moment(other)
}

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
    carry_over_clock_changes(&mut watched);
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
