//! When nothing watched: between watch periods, and from the start of a host to its observer's.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    stretches::{Stretch, without},
    watched::{Ending, Watched},
};
use crate::model::Timestamp;

/// A stretch in which nothing watched, between watch periods of the same host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Start.
    pub since: Timestamp,
    /// End.
    pub until: Timestamp,
    /// Length in whole seconds.
    pub seconds: u64,
    /// How the watch period before it ended.
    pub after: Ending,
}

impl Gap {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.until.since(self.since)
    }
}

/// What happened between the start of a host and the moment from which on it was watched, nobody
/// knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootGap {
    /// When the host was started.
    pub booted: Timestamp,
    /// When an observer had all its hooks on for the first time.
    pub observed: Timestamp,
    /// Time between the two, milliseconds.
    pub milliseconds: u64,
}

/// What of `within` is not covered and was not left out on purpose.
pub(super) fn gaps(
    watched: &[Watched],
    host: &str,
    covered: &[Stretch],
    excepted: &[Stretch],
    within: Stretch,
) -> Vec<Gap> {
    let open = without(&without(&[within], covered), excepted);
    open.into_iter()
        .map(|(since, until)| Gap {
            since,
            until,
            seconds: until.since(since).as_secs(),
            after: watched
                .iter()
                .filter(|one| one.is_of_observer() && one.period.host == host)
                .filter(|one| one.covers().1 <= since)
                .max_by_key(|one| one.covers().1)
                .map_or(Ending::Orderly, Watched::ending),
        })
        .collect()
}

/// The starts of the host that touch the stretch and do not lie in one that was left out. They are
/// told of each boot that was watched at all; the stretch is among the gaps as well where an earlier
/// boot was watched.
pub(super) fn boots(
    watched: &[Watched],
    host: &str,
    excepted: &[Stretch],
    (since, until): Stretch,
) -> Vec<BootGap> {
    let mut first: BTreeMap<&str, &Watched> = BTreeMap::new();
    for one in watched
        .iter()
        .filter(|one| one.is_of_observer() && one.period.host == host)
    {
        let Some(boot) = one.period.boot_id.as_deref() else {
            continue;
        };
        first
            .entry(boot)
            .and_modify(|earliest| {
                if one.period.started < earliest.period.started {
                    *earliest = one;
                }
            })
            .or_insert(one);
    }
    let mut boots: Vec<BootGap> = first
        .into_values()
        .filter_map(|one| {
            let (booted, observed) = (one.period.booted()?, one.period.started);
            let is_left_out = excepted
                .iter()
                .any(|(start, end)| *start <= booted && observed <= *end);
            if observed < since || booted > until || is_left_out {
                return None;
            }
            let length = observed.since(booted);
            Some(BootGap {
                booted,
                observed,
                milliseconds: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            })
        })
        .collect();
    boots.sort_by_key(|boot| boot.booted);
    boots
}
