//! The observer's health, as text.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::Value;

use super::{
    Detail, FAINT, GOOD, HEADING, Layout, WARNING,
    coverage::{Coverage, Ending},
    facts::Facts,
    humane::{bytes, count, counted, duration, minute, short_duration},
    lateness::write_lateness,
    resolver::resolver_text,
    self_check::{dated_finding, write_missed},
    status::{ImportStatus, LOOK_BACK, StatusReport},
    visible,
};
/// Writes it as text.
pub fn write_text(report: &StatusReport, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let facts = facts_of(report);
    write_observer(report, facts.label_width(), out)?;
    facts.write(0, out)?;
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

/// Stands above the facts, whose labels are so many columns wide.
fn write_observer(report: &StatusReport, width: usize, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{HEADING}{:<width$}{HEADING:#}  ", "Observer")?;
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
    let resolver = report.resolver.as_ref();
    facts.add_if(
        "Resolver",
        resolver.map(|read| resolver_text(&read.configuration)),
    );
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
