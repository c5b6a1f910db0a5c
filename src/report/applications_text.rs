//! What each application talks to, as text.

use std::{
    io::{self, Write},
    net::IpAddr,
    time::Duration,
};

use super::{
    Detail, FAILURE, FAINT, HEADING, Layout, WARNING,
    applications::{ApplicationReport, ApplicationsReport, DestinationReport, Stretch},
    coverage::{Coverage, Gap},
    humane::{bytes_if_any, count, counted, duration, minute, short_duration},
    learning::sentence,
    marks_text::{write_application_marks, write_shared_addresses},
    table::{Cell, Side, Table},
    visible,
};
use crate::model::{Application, LearningState, SamplingUnit, Timestamp};

/// Writes the report as text.
pub fn write_text(
    report: &ApplicationsReport,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    if report.hosts.is_empty() {
        writeln!(out, "No flows match.")?;
        return writeln!(
            out,
            "Record some with `egress-baseline observe`, read some with `egress-baseline import`, \
             or ask for more: a longer window, fewer filters."
        );
    }
    let has_several = report.hosts.len() > 1;
    for (at, host) in report.hosts.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        if has_several {
            writeln!(out, "{HEADING}host {}{HEADING:#}", visible(&host.host))?;
        }
        write_coverage(&host.coverage, &report.except, layout, out)?;
        write_states(&host.applications, out)?;
        for application in &host.applications {
            writeln!(out)?;
            write_application(application, layout, out)?;
        }
        write_shared_addresses(&host.shared_addresses, layout, out)?;
    }
    Ok(())
}

fn write_coverage(
    coverage: &Coverage,
    except: &[Stretch],
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    if let (Some(since), Some(until)) = (coverage.since, coverage.until) {
        let whole = duration(until.since(since));
        let covered = duration(Duration::from_secs(coverage.covered_seconds));
        let (since, until) = (minute(since), minute(until));
        let how = if coverage.imports.is_empty() {
            format!("watched {covered} of {whole}")
        } else {
            let files = counted(coverage.imports.len() as u64, "file", "files");
            format!("imported from {files}, not watched")
        };
        writeln!(out, "{since} to {until} UTC, {how}")?;
    }
    for stretch in except {
        let side = |time: Option<Timestamp>| time.map(minute).unwrap_or_default();
        let (since, until) = (side(stretch.since), side(stretch.until));
        writeln!(out, "left out: {since} .. {until}")?;
    }
    write_partial(coverage, layout, out)
}

fn write_partial(coverage: &Coverage, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    if !coverage.gaps.is_empty() {
        let total = coverage.gaps.iter().map(Gap::length).sum();
        let gaps = counted(coverage.gaps.len() as u64, "gap", "gaps");
        let total = short_duration(total);
        writeln!(
            out,
            "{WARNING}PARTIAL{WARNING:#} {gaps}, {total} in all, when nothing watched"
        )?;
    }
    if layout.detail == Detail::Full {
        for gap in &coverage.gaps {
            let (since, until) = (minute(gap.since), minute(gap.until));
            writeln!(out, "        {since} to {until}")?;
        }
    }
    for lost in &coverage.losses {
        let number = count(lost.count);
        writeln!(
            out,
            "{WARNING}PARTIAL{WARNING:#} {number} {} ({})",
            lost.meaning,
            lost.cause.word()
        )?;
    }
    if layout.detail == Detail::Full {
        for spot in &coverage.blind_spots {
            writeln!(
                out,
                "not seen: {} ({})",
                visible(&spot.text),
                visible(&spot.code)
            )?;
        }
    } else if !coverage.blind_spots.is_empty() {
        let number = coverage.blind_spots.len() as u64;
        let spots = counted(number, "blind spot", "blind spots");
        writeln!(out, "{FAINT}{spots}: `--verbose` names them{FAINT:#}")?;
    }
    Ok(())
}

/// Writes one application and its destinations.
pub(super) fn write_application(
    report: &ApplicationReport,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let application = report.application.to_string();
    write!(out, "{HEADING}{}{HEADING:#}", visible(&application))?;
    if !report.users.is_empty() {
        let users = report.users.join(", ");
        write!(out, "  {FAINT}as {}{FAINT:#}", visible(&users))?;
    }
    writeln!(out)?;
    write_destinations(report, layout, out)?;
    match &report.learning {
        Some(known) => writeln!(
            out,
            "  {}",
            sentence(short_name(&report.application), known)
        ),
        None => Ok(()),
    }
}

/// What people call an application: the last part of its script, or else of its program.
fn short_name(application: &Application) -> &str {
    let path = application.script.as_ref().unwrap_or(&application.program);
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "" => path,
        last => last,
    }
}

/// How many applications are how well known, in a line.
fn write_states(applications: &[ApplicationReport], out: &mut dyn Write) -> io::Result<()> {
    let known = || applications.iter().filter_map(|one| one.learning.as_ref());
    if known().next().is_none() {
        return Ok(());
    }
    let all = counted(known().count() as u64, "application", "applications");
    let states: Vec<String> = LearningState::ALL
        .into_iter()
        .filter_map(|state| {
            let number = known().filter(|one| one.state == state).count() as u64;
            (number > 0).then(|| format!("{} {}", count(number), state.word()))
        })
        .collect();
    writeln!(out, "{all}: {}", states.join(", "))
}

/// Writes an application's destinations: as a table where it fits, else each over two lines.
pub(super) fn write_destinations(
    report: &ApplicationReport,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    const INDENT: usize = 2;
    let table = destination_table(report);
    let fits = layout
        .width
        .is_none_or(|width| table.width() + INDENT <= width);
    if fits {
        table.write(INDENT, out)?;
    }
    for destination in &report.destinations {
        if !fits {
            write_narrow(destination, report.unit, out)?;
        }
    }
    if layout.detail == Detail::Full {
        for destination in report.destinations.iter().filter(|one| one.name.is_some()) {
            let addresses: Vec<String> = destination
                .addresses
                .iter()
                .map(IpAddr::to_string)
                .collect();
            let name = destination.text();
            writeln!(out, "  {} was {}", visible(&name), addresses.join(", "))?;
        }
    }
    write_application_marks(report, layout, out)
}

fn destination_table(report: &ApplicationReport) -> Table {
    let units = match report.unit {
        SamplingUnit::Run => "RUNS",
        SamplingUnit::Day => "DAYS",
        SamplingUnit::Hour => "HOURS",
    };
    let mut table = Table::new(vec![
        ("DESTINATION", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("FAILED", Side::Left),
        ("OUT", Side::Right),
        ("IN", Side::Right),
        (units, Side::Right),
        ("FIRST (UTC)", Side::Left),
        ("LAST (UTC)", Side::Left),
    ]);
    for destination in &report.destinations {
        table.add(vec![
            Cell::plain(visible(&destination.text())),
            Cell::plain(destination.made()),
            Cell::styled(destination.failures(), FAILURE),
            Cell::plain(bytes_if_any(destination.bytes_out)),
            Cell::plain(bytes_if_any(destination.bytes_in)),
            Cell::plain(count(destination.units)),
            Cell::plain(minute(destination.first)),
            Cell::plain(minute(destination.last)),
        ]);
    }
    table
}

fn write_narrow(
    destination: &DestinationReport,
    unit: SamplingUnit,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "  {}", visible(&destination.text()))?;
    write!(out, "    ")?;
    let made = destination.made();
    let failures = destination.failures();
    if !made.is_empty() {
        write!(out, "{made}  ")?;
    }
    if !failures.is_empty() {
        write!(out, "{FAILURE}{failures}{FAILURE:#}  ")?;
    }
    for (bytes, way) in [(destination.bytes_out, "out"), (destination.bytes_in, "in")] {
        if bytes > 0 {
            write!(out, "{} {way}  ", bytes_if_any(bytes))?;
        }
    }
    let units = counted(destination.units, unit.word(1), unit.word(2));
    writeln!(out, "{units}")?;
    let (first, last) = (minute(destination.first), minute(destination.last));
    writeln!(out, "    {FAINT}{first} to {last}{FAINT:#}")
}
