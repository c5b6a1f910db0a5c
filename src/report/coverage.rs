//! What could have been seen of a host in a window, and what was lost.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use super::{
    gaps::{BootGap, Gap},
    watched::{Ending, Watched},
};
use super::{
    gaps::{boots, gaps},
    stretches::{DAY, HOUR, Stretch, clipped, just_after, merged, seconds, units, without},
};
use crate::model::{
    BackendFailure, BlindSpot, Contact, ImportSource, Loss, LossCause, Timestamp, Units, Window,
};

/// Losses of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Why.
    pub cause: LossCause,
    /// What that means.
    pub meaning: &'static str,
    /// How many.
    pub count: u64,
    /// Payload bytes that went with them, where they are known.
    pub bytes: Option<u64>,
    /// Start of the first stretch with such a loss.
    pub since: Timestamp,
    /// End of the last one.
    pub until: Timestamp,
}

/// What could have been seen of one host in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Start of the window, or of what was watched.
    pub since: Option<Timestamp>,
    /// End of the window, or of what was watched.
    pub until: Option<Timestamp>,
    /// Seconds of it that were watched.
    pub covered_seconds: u64,
    /// UTC days of it of which at least a part was watched.
    pub covered_days: u64,
    /// Whether anything is missing: a gap or a loss.
    pub is_partial: bool,
    /// Backends that were used.
    pub backends: Vec<String>,
    /// Backends that were tried and could not be used, as the latest watch period tells.
    pub backend_failures: Vec<BackendFailure>,
    /// Gaps between watch periods.
    pub gaps: Vec<Gap>,
    /// Starts of the host: from each until an observer ran, nothing watched.
    pub boots: Vec<BootGap>,
    /// Losses by cause.
    pub losses: Vec<Lost>,
    /// Kinds of flow that a backend in use does not see.
    pub blind_spots: Vec<BlindSpot>,
    /// Files that were imported, where no observer watched this host.
    pub imports: Vec<ImportSource>,
    /// The covered days, by their numbers since 1970.
    #[serde(skip)]
    pub days: Units,
    /// Hours likewise.
    #[serde(skip)]
    pub hours: Units,
}

/// What came from a file is neither blind nor partial: a moment counts as the hour that it is in.
fn of_files(first: Timestamp, last: Timestamp) -> Stretch {
    (first, just_after(last))
}

impl Coverage {
    /// Whether anything was lost or not watched from that moment on.
    pub fn has_holes_since(&self, since: Timestamp) -> bool {
        self.gaps.iter().any(|gap| gap.until > since)
            || self.losses.iter().any(|lost| lost.until > since)
    }
}

/// The coverage of `host` in `window`, without the stretches in `except`.
///
/// What an observer did counts for its own host. A host that only files tell of is covered by them
/// from its first to its last flow, which is `flows`; what came from a file is neither blind nor
/// partial.
pub fn coverage_of(
    host: &str,
    watched: &[Watched],
    flows: Option<Stretch>,
    window: &Window,
    except: &[Window],
) -> Coverage {
    let (mut own, is_observed) = periods_of(host, watched, flows);
    own.sort_by_key(|one| (one.period.started, one.id));
    let extent = if is_observed { extent(&own) } else { flows };
    let Some((first, last)) = extent else {
        return Coverage {
            since: window.since,
            until: window.until,
            ..Coverage::default()
        };
    };
    let since = window.since.unwrap_or(first);
    // What an observer that still runs has not written yet is no gap.
    let until = match window.until {
        Some(until) if own.iter().any(|one| one.is_running) => until.min(last.max(since)),
        Some(until) => until,
        None => last.max(since),
    };
    let own: Vec<&Watched> = own
        .into_iter()
        .filter(|one| one.covers().1 >= since && one.covers().0 <= until)
        .collect();
    let excepted = except_stretches(except, since, until);
    let covered = without(
        &merged(
            own.iter()
                .map(|one| clipped(one.covers(), since.max(first), until.min(last))),
        ),
        &excepted,
    );
    let counted = match is_observed {
        true => covered.clone(),
        false => without(&[of_files(since.max(first), until.min(last))], &excepted),
    };
    let mut coverage = Coverage {
        since: Some(since),
        until: Some(until),
        covered_seconds: seconds(&covered),
        days: units(&counted, DAY),
        hours: units(&counted, HOUR),
        ..Coverage::default()
    };
    coverage.covered_days = coverage.days.len() as u64;
    if is_observed {
        coverage.gaps = gaps(
            watched,
            host,
            &covered,
            &excepted,
            (since.max(first), until),
        );
        coverage.boots = boots(watched, host, &excepted, (since, until));
        coverage.losses = losses(&own, (since, until), &excepted);
        describe(&mut coverage, &own);
    } else {
        coverage.imports = sources(&own);
    }
    coverage.is_partial = !coverage.gaps.is_empty() || !coverage.losses.is_empty();
    coverage
}

/// The watch periods that tell of a host, and whether they are an observer's.
fn periods_of<'a>(
    host: &str,
    watched: &'a [Watched],
    flows: Option<Stretch>,
) -> (Vec<&'a Watched>, bool) {
    let observed: Vec<&Watched> = watched
        .iter()
        .filter(|one| one.is_of_observer() && one.period.host == host)
        .collect();
    if !observed.is_empty() {
        return (observed, true);
    }
    let imports = watched
        .iter()
        .filter(|one| !one.is_of_observer())
        .filter(|one| {
            let (start, end) = one.covers();
            flows.is_some_and(|(first, last)| start <= last && end >= first)
        })
        .collect();
    (imports, false)
}

/// A loss with what it means.
pub(super) fn lost(loss: &Loss) -> Lost {
    Lost {
        cause: loss.cause,
        meaning: loss.cause.meaning(),
        count: loss.count,
        bytes: loss.bytes,
        since: loss.since,
        until: loss.until,
    }
}

/// All losses of one watch period, by cause.
pub(super) fn losses_of(watched: &Watched) -> Vec<Lost> {
    let ever = (
        Timestamp::from_unix_ns(i64::MIN),
        Timestamp::from_unix_ns(i64::MAX),
    );
    losses(&[watched], ever, &[])
}

/// Losses by cause that touch the stretch and do not lie in one that was left out.
fn losses(watched: &[&Watched], (since, until): Stretch, excepted: &[Stretch]) -> Vec<Lost> {
    let mut by_cause: BTreeMap<LossCause, Lost> = BTreeMap::new();
    for loss in watched.iter().flat_map(|one| &one.losses) {
        let is_left_out = excepted
            .iter()
            .any(|(start, end)| *start <= loss.since && loss.until <= *end);
        let is_nothing = loss.count == 0 && loss.bytes.unwrap_or(0) == 0;
        if is_nothing || loss.until < since || loss.since > until || is_left_out {
            continue;
        }
        by_cause
            .entry(loss.cause)
            .and_modify(|lost| {
                lost.count = lost.count.saturating_add(loss.count);
                lost.bytes = match (lost.bytes, loss.bytes) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                };
                lost.since = lost.since.min(loss.since);
                lost.until = lost.until.max(loss.until);
            })
            .or_insert_with(|| lost(loss));
    }
    by_cause.into_values().collect()
}

fn extent(own: &[&Watched]) -> Option<Stretch> {
    let first = own.iter().map(|one| one.covers().0).min()?;
    let last = own.iter().map(|one| one.covers().1).max()?;
    Some((first, last))
}

fn describe(coverage: &mut Coverage, own: &[&Watched]) {
    let backends: BTreeSet<&String> = own
        .iter()
        .filter_map(|one| one.period.backend.as_ref())
        .collect();
    coverage.backends = backends.into_iter().cloned().collect();
    let mut blind_spots: BTreeMap<&str, &BlindSpot> = BTreeMap::new();
    for spot in own.iter().flat_map(|one| &one.period.blind_spots) {
        blind_spots.insert(&spot.code, spot);
    }
    coverage.blind_spots = blind_spots.into_values().cloned().collect();
    if let Some(latest) = own.last() {
        coverage.backend_failures = latest.period.backend_failures.clone();
    }
}

/// From the first to the last attempt of the contacts.
pub fn extent_of<'a>(
    contacts: impl IntoIterator<Item = &'a Contact>,
) -> Option<(Timestamp, Timestamp)> {
    contacts
        .into_iter()
        .map(|contact| (contact.first, contact.last))
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

fn sources(own: &[&Watched]) -> Vec<ImportSource> {
    own.iter()
        .filter_map(|one| one.period.source.clone())
        .collect()
}

/// A left-out window takes whole hours, as it does where contacts are summed.
fn except_stretches(except: &[Window], since: Timestamp, until: Timestamp) -> Vec<Stretch> {
    merged(except.iter().map(|window| {
        let start = window.since.map_or(since, |start| {
            if start.hour() == start {
                start
            } else {
                start.next_hour()
            }
        });
        let end = window.until.map_or(until, Timestamp::hour);
        clipped((start, end), since, until)
    }))
}
