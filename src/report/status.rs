//! Whether the observer is well, what was covered, and what was lost.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    DOCUMENT_VERSION, Detail, FAINT, GOOD, HEADING, Layout, WARNING,
    coverage::{Coverage, Ending, Lost, Watched, coverage_of, losses_of},
    facts::Facts,
    humane::{bytes, count, counted, duration, minute, short_duration},
    lateness::{not_written_since, write_lateness},
    self_check::{dated_finding, write_missed},
    visible,
};
use crate::model::{BackendFailure, BlindSpot, SelfCheck, Timestamp, WatchKind, Window};

/// How far back coverage is told of.
const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);

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

/// Writes it as text.
pub fn write_text(report: &StatusReport, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    write_observer(report, out)?;
    facts_of(report).write(0, out)?;
    if let Some(check) = report
        .latest
        .as_ref()
        .and_then(|one| one.self_check.as_ref())
    {
        write_missed(check, out)?;
    }
    if let Some(coverage) = &report.coverage {
        write_coverage(report, coverage, out)?;
        write_partial(report, out)?;
    }
    write_blind_spots(report, out)?;
    write_imports(&report.imports, layout, out)?;
    writeln!(out, "{FAINT}All times are UTC.{FAINT:#}")
}

fn write_observer(report: &StatusReport, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{HEADING}Observer{HEADING:#}  ")?;
    match (report.observer_pid, &report.latest) {
        (Some(pid), Some(latest)) if latest.ending == Ending::Running => {
            let age = duration(report.at.since(latest.started));
            let since = minute(latest.started);
            writeln!(
                out,
                "{GOOD}running{GOOD:#}, pid {pid}, since {since} ({age})"
            )?;
            write_lateness(report.at, report.not_written_since, out)
        }
        (Some(pid), _) => writeln!(out, "{GOOD}starting{GOOD:#}, pid {pid}"),
        (None, Some(latest)) => {
            let until = minute(latest.covered_until);
            let how = match latest.ending {
                Ending::Broken => "broke off without an orderly end after",
                Ending::Orderly | Ending::Running => "stopped at",
            };
            writeln!(out, "{WARNING}not running{WARNING:#}, {how} {until}")
        }
        (None, None) => writeln!(
            out,
            "{WARNING}not running{WARNING:#}, nothing was ever observed"
        ),
    }
}

fn facts_of(report: &StatusReport) -> Facts {
    let mut facts = Facts::default();
    if let Some(latest) = &report.latest {
        facts.add_if("Backend", latest.backend.clone());
        for failure in &latest.backend_failures {
            facts.add(
                "Backend",
                format!("not {}: {}", failure.backend, failure.reason),
            );
        }
        facts.add("Host", latest.host.clone());
        let kernel = latest.settings.get("kernel_bytes").and_then(Value::as_u64);
        facts.add_if(
            "Tables",
            kernel.map(|sum| format!("{} of the kernel's memory", bytes(sum))),
        );
        facts.add_if("Self-check", latest.self_check.as_ref().map(dated_finding));
    }
    let database = &report.database;
    let growth = match database.bytes_per_day {
        Some(growth) => format!(", grows {} a day", bytes(growth)),
        None => String::new(),
    };
    facts.add(
        "Database",
        format!("{}, {}{growth}", database.path, bytes(database.bytes)),
    );
    facts.add(
        "Rows",
        format!(
            "{} ({} in the last day), {}, {}",
            counted(database.flows, "flow", "flows"),
            count(database.flows_last_day),
            counted(database.processes, "process image", "process images"),
            counted(
                database.hour_rollups.saturating_add(database.run_rollups),
                "rollup",
                "rollups"
            ),
        ),
    );
    facts.add(
        "Learned",
        format!(
            "{} with {} on {}",
            counted(report.learned.applications, "application", "applications"),
            counted(report.learned.destinations, "destination", "destinations"),
            counted(report.learned.hosts, "host", "hosts"),
        ),
    );
    facts
}

fn write_coverage(
    report: &StatusReport,
    coverage: &Coverage,
    out: &mut dyn Write,
) -> io::Result<()> {
    let covered = duration(Duration::from_secs(coverage.covered_seconds));
    writeln!(
        out,
        "{HEADING}Coverage{HEADING:#}  {covered} watched of the last {}",
        duration(LOOK_BACK)
    )?;
    for gap in &coverage.gaps {
        let length = short_duration(gap.length());
        let (since, until) = (minute(gap.since), minute(gap.until));
        let until = if gap.until == report.at {
            "now".to_owned()
        } else {
            until
        };
        let why = match gap.after {
            Ending::Broken => "the observer broke off",
            Ending::Orderly | Ending::Running => "the observer was stopped",
        };
        writeln!(
            out,
            "  {WARNING}gap{WARNING:#}  {since} to {until}  ({length}, {why})"
        )?;
    }
    for boot in &coverage.boots {
        let (booted, length) = (
            minute(boot.booted),
            Duration::from_millis(boot.milliseconds),
        );
        writeln!(
            out,
            "  boot {booted}  (watched from {} after it)",
            short_duration(length)
        )?;
    }
    Ok(())
}

fn write_partial(report: &StatusReport, out: &mut dyn Write) -> io::Result<()> {
    for period in report.partial.iter().filter(|one| !one.losses.is_empty()) {
        let (since, until) = (minute(period.started), minute(period.covered_until));
        writeln!(out, "  {WARNING}PARTIAL{WARNING:#}  {since} to {until}")?;
        for lost in &period.losses {
            let (number, word, meaning) = (count(lost.count), lost.cause.word(), lost.meaning);
            let bytes = match lost.bytes {
                Some(some) => format!(", {}", bytes(some)),
                None => String::new(),
            };
            writeln!(out, "    {number} {meaning} ({word}{bytes})")?;
        }
    }
    Ok(())
}

fn write_blind_spots(report: &StatusReport, out: &mut dyn Write) -> io::Result<()> {
    let Some(latest) = &report.latest else {
        return Ok(());
    };
    if latest.blind_spots.is_empty() {
        return writeln!(
            out,
            "{HEADING}Not seen{HEADING:#}  nothing that is known of"
        );
    }
    writeln!(
        out,
        "{HEADING}Not seen{HEADING:#} by this backend on this kernel"
    )?;
    for spot in &latest.blind_spots {
        let (text, code) = (visible(&spot.text), visible(&spot.code));
        writeln!(out, "  {text} {FAINT}({code}){FAINT:#}")?;
    }
    Ok(())
}

fn write_imports(imports: &[ImportStatus], layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    const SHOWN: usize = 5;
    if imports.is_empty() {
        return Ok(());
    }
    writeln!(out, "{HEADING}Imports{HEADING:#}")?;
    let shown = match layout.detail {
        Detail::Full => imports.len(),
        Detail::Usual => SHOWN.min(imports.len()),
    };
    let earlier = imports.len() - shown;
    if earlier > 0 {
        let files = counted(earlier as u64, "earlier file", "earlier files");
        writeln!(out, "  {FAINT}{files}: `--verbose` names them{FAINT:#}")?;
    }
    for import in &imports[earlier..] {
        let file = import.file.as_deref().unwrap_or("(unnamed)");
        let (since, until) = (minute(import.since), minute(import.until));
        write!(out, "  {}  {since} to {until}", visible(file))?;
        // The flows of a whole dump belong to the watch periods that came with them.
        if import.flows > 0 {
            write!(out, ", {}", counted(import.flows, "flow", "flows"))?;
        }
        if import.skipped_lines > 0 {
            let lines = counted(import.skipped_lines, "line", "lines");
            write!(out, ", {WARNING}{lines} left out{WARNING:#}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
