//! Whether the observer is well, what was covered, and what was lost.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{
    DOCUMENT_VERSION,
    coverage::{Coverage, Ending, Lost, Watched, coverage_of, losses_of},
    lateness::not_written_since,
};
use crate::model::{
    BackendFailure, BlindSpot, DatedResolver, SelfCheck, Timestamp, Verdict, WatchKind, Window,
};

/// How far back coverage is told of.
pub(super) const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);

/// The database, as it is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DatabaseStatus {
    /// Where it is.
    pub path: String,
    /// Database file and write-ahead log, bytes.
    pub bytes: u64,
    /// Bytes in the file that are free to be used again.
    pub free_bytes: u64,
    /// Bytes that the file grew per day of the covered time, where that can be told.
    pub bytes_per_day: Option<u64>,
    /// Flows in detail.
    pub flows: u64,
    /// Flows in the last 24 covered hours.
    pub flows_last_day: u64,
    /// Sums per hour.
    pub hour_rollups: u64,
    /// Sums per run.
    pub run_rollups: u64,
    /// Process images.
    pub processes: u64,
}

/// What was learned so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Learned {
    /// Hosts that there are flows of.
    pub hosts: u64,
    /// Applications.
    pub applications: u64,
    /// Destinations.
    pub destinations: u64,
}

/// What `status` tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusReport {
    /// Version of the document.
    pub version: u32,
    /// When it was asked.
    pub at: Timestamp,
    /// Pid of the observer that runs, if one does.
    pub observer_pid: Option<u32>,
    /// Up to when it has written, if it has written nothing for longer than it should have.
    pub not_written_since: Option<Timestamp>,
    /// The latest watch period of an observer.
    pub latest: Option<WatchStatus>,
    /// How the host resolves names, as it was read last in that watch period.
    pub resolver: Option<DatedResolver>,
    /// Coverage of the last seven days, of the host that was watched last.
    pub coverage: Option<Coverage>,
    /// Watch periods of those days that lost something or broke off.
    pub partial: Vec<WatchStatus>,
    /// Imports.
    pub imports: Vec<ImportStatus>,
    /// The database.
    pub database: DatabaseStatus,
    /// What was learned so far.
    pub learned: Learned,
}

impl StatusReport {
    /// Whether the observer missed a kind of flow that its backend claims to see.
    pub fn has_missed(&self) -> bool {
        let latest = self.latest.as_ref();
        latest
            .and_then(|latest| latest.self_check.as_ref())
            .is_some_and(|check| check.count(Verdict::Missed) > 0)
    }
}

/// One watch period of an observer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WatchStatus {
    /// Its number.
    pub watch_period_id: i64,
    /// The host.
    pub host: String,
    /// Start.
    pub started: Timestamp,
    /// Everything up to here is stored.
    pub covered_until: Timestamp,
    /// How it ended.
    pub ending: Ending,
    /// The backend.
    pub backend: Option<String>,
    /// Why others could not be used.
    pub backend_failures: Vec<BackendFailure>,
    /// What it does not see.
    pub blind_spots: Vec<BlindSpot>,
    /// Version of the program.
    pub program_version: String,
    /// Settings that change what is recorded.
    pub settings: Value,
    /// What it lost.
    pub losses: Vec<Lost>,
    /// What canary flows proved in it, if they were made.
    pub self_check: Option<SelfCheck>,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportStatus {
    /// Its watch period's number.
    pub watch_period_id: i64,
    /// The file.
    pub file: Option<String>,
    /// First flow.
    pub since: Timestamp,
    /// Last flow.
    pub until: Timestamp,
    /// Flows that are still stored in detail.
    pub flows: u64,
    /// Lines that were left out on request.
    pub skipped_lines: u64,
}

/// What is to be told, from what the store holds.
pub fn status_report(
    at: Timestamp,
    observer_pid: Option<u32>,
    watched: &[Watched],
    database: DatabaseStatus,
    learned: Learned,
) -> StatusReport {
    let window = Window {
        since: Some(at.before(LOOK_BACK)),
        until: Some(at),
    };
    let mut observed: Vec<&Watched> = of_kind(watched, WatchKind::Observe).collect();
    observed.sort_by_key(|one| (one.is_running, one.period.started, one.id));
    let latest = observed.last().copied();
    let recent = |one: &&&Watched| {
        one.period.covered_until >= at.before(LOOK_BACK)
            && (!one.losses.is_empty() || one.ending() == Ending::Broken)
    };
    StatusReport {
        version: DOCUMENT_VERSION,
        at,
        observer_pid,
        not_written_since: latest.and_then(|one| not_written_since(at, one)),
        latest: latest.map(watch_status),
        resolver: latest.and_then(|one| one.period.resolver()),
        coverage: latest.map(|one| coverage_of(&one.period.host, watched, None, &window, &[])),
        partial: observed
            .iter()
            .filter(recent)
            .map(|one| watch_status(one))
            .collect(),
        imports: of_kind(watched, WatchKind::Import)
            .map(import_status)
            .collect(),
        database,
        learned,
    }
}

fn of_kind(watched: &[Watched], kind: WatchKind) -> impl Iterator<Item = &Watched> {
    watched.iter().filter(move |one| one.period.kind == kind)
}

/// A watch period as it is told of.
pub(super) fn watch_status(watched: &Watched) -> WatchStatus {
    let period = &watched.period;
    WatchStatus {
        watch_period_id: watched.id,
        host: period.host.clone(),
        started: period.started,
        covered_until: period.covered_until,
        ending: watched.ending(),
        backend: period.backend.clone(),
        backend_failures: period.backend_failures.clone(),
        blind_spots: period.blind_spots.clone(),
        program_version: period.program_version.clone(),
        settings: period.settings.clone(),
        losses: losses_of(watched),
        self_check: watched.self_check.clone(),
    }
}

fn import_status(watched: &Watched) -> ImportStatus {
    let period = &watched.period;
    ImportStatus {
        watch_period_id: watched.id,
        file: period.source.as_ref().map(|source| source.file.clone()),
        since: period.started,
        until: period.covered_until,
        flows: watched.flows,
        skipped_lines: watched
            .losses
            .iter()
            .fold(0, |sum, loss| sum.saturating_add(loss.count)),
    }
}
