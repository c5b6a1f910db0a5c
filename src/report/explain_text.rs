//! Explanations as text.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{
    FAILURE, FAINT, HEADING, Layout, WARNING,
    applications::{ApplicationReport, DestinationReport, OPENED_EARLIER},
    applications_text::write_application,
    coverage::{Ending, Lost},
    explain::{ApplicationExplained, ApplicationsExplained, FlowExplained, FlowFacts},
    explain_process::{add_interactivity, identity_lines, process_lines},
    facts::Facts,
    files::{FileExplained, file_facts, heading_of},
    humane::{bytes, count, counted, minute, second, short_duration},
    status::WatchStatus,
    table::{Cell, Side, Table},
    visible,
};
use crate::model::{Destination, NameSource, Protocol, Reason};

/// Writes a flow as text.
pub fn write_flow(
    explained: &FlowExplained,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = layout.width;
    flow_lines(explained).write_within(columns, 0, out)?;
    write_reasons(&explained.reasons, columns, out)?;
    match &explained.process {
        Some(process) => {
            writeln!(out, "{HEADING}Process{HEADING:#}")?;
            let mut facts = process_lines(process);
            add_interactivity(&explained.interactive, &mut facts);
            facts.write_within(columns, 2, out)?;
        }
        None => writeln!(out, "{HEADING}Process{HEADING:#}  not known")?,
    }
    write_files(&explained.files, columns, out)?;
    writeln!(out, "{HEADING}Identity at the attempt{HEADING:#}")?;
    identity_lines(&explained.identity).write_within(columns, 2, out)?;
    write_losses(
        "Lost on this host meanwhile",
        &explained.losses_meanwhile,
        columns,
        out,
    )?;
    if let Some(file) = &explained.imported_from {
        writeln!(out, "{HEADING}Imported{HEADING:#} from {}", visible(file))?;
    } else if let Some(period) = &explained.watch_period {
        write_watch_period(period, out)?;
    }
    writeln!(out, "{FAINT}All times are UTC.{FAINT:#}")
}

/// Writes applications as text.
pub fn write_applications(
    explained: &ApplicationsExplained,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut above = None;
    let has_several_hosts = explained
        .applications
        .windows(2)
        .any(|pair| pair[0].host != pair[1].host);
    for application in &explained.applications {
        if above.is_some() {
            writeln!(out)?;
        }
        let host = application.host.as_str();
        if has_several_hosts && above != Some(host) {
            writeln!(out, "{HEADING}host {}{HEADING:#}", visible(host))?;
        }
        above = Some(host);
        write_one(application, layout, out)?;
    }
    Ok(())
}

fn write_one(
    explained: &ApplicationExplained,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = layout.width;
    write_application(&explained.report, layout, out)?;
    write_name_sources(&explained.report, out)?;
    write_reasons(&explained.reasons, columns, out)?;
    for identity in &explained.identities {
        writeln!(out, "{HEADING}Told from{HEADING:#}")?;
        identity_lines(identity).write_within(columns, 2, out)?;
    }
    write_files(&explained.files, columns, out)?;
    for process in &explained.processes {
        writeln!(out, "{HEADING}Process image{HEADING:#}")?;
        process_lines(process).write_within(columns, 2, out)?;
    }
    write_losses(
        "Lost on this host between the first and the last attempt",
        &explained.losses_meanwhile,
        columns,
        out,
    )?;
    if explained.latest_flows.is_empty() {
        return Ok(());
    }
    writeln!(out, "{HEADING}Latest flows{HEADING:#}")?;
    let mut table = Table::new(vec![
        ("START (UTC)", Side::Left),
        ("DESTINATION", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("FAILED", Side::Left),
        ("FLOW ID", Side::Left),
    ]);
    for flow in &explained.latest_flows {
        let tried = match flow.attempts {
            0 => OPENED_EARLIER.to_owned(),
            attempts => format!("{} {}", count(attempts), flow.outcome),
        };
        let (made, failed) = if flow.outcome.is_failure() {
            (String::new(), tried)
        } else {
            (tried, String::new())
        };
        table.add(vec![
            Cell::plain(second(flow.start)),
            Cell::plain(visible(&destination_of(flow))),
            Cell::plain(made),
            Cell::styled(failed, FAILURE),
            Cell::plain(visible(flow.flow_id.as_deref().unwrap_or("-"))),
        ]);
    }
    table.write(2, out)
}

fn write_name_sources(report: &ApplicationReport, out: &mut dyn Write) -> io::Result<()> {
    if report
        .destinations
        .iter()
        .all(|one| one.name_source.is_none())
    {
        return Ok(());
    }
    writeln!(out, "{HEADING}Names from{HEADING:#}")?;
    for source in NameSource::ALL {
        let named = |one: &&DestinationReport| one.name_source == Some(source);
        let named = report.destinations.iter().filter(named);
        let names: Vec<String> = named.map(|one| visible(&one.text()).to_string()).collect();
        if !names.is_empty() {
            writeln!(out, "  {}: {}", source.meaning(), names.join(", "))?;
        }
    }
    Ok(())
}

fn write_reasons(
    reasons: &[Reason],
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "{HEADING}Called so by{HEADING:#}")?;
    let mut facts = Facts::default();
    for reason in reasons {
        let mut text = reason.rule.clone();
        if !reason.evidence.is_empty() {
            text.push_str(": ");
            text.push_str(&reason.evidence.join(", "));
        }
        facts.add(reason.part, text);
    }
    facts.write_within(columns, 2, out)
}

fn write_files(
    files: &[FileExplained],
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for file in files {
        writeln!(out, "{HEADING}{}{HEADING:#}", heading_of(file.seen.role))?;
        file_facts(file).write_within(columns, 2, out)?;
    }
    Ok(())
}

fn write_losses(
    heading: &str,
    losses: &[Lost],
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if losses.is_empty() {
        return Ok(());
    }
    writeln!(out, "{HEADING}{heading}{HEADING:#}")?;
    let mut facts = Facts::default();
    for lost in losses {
        let (number, meaning) = (count(lost.count), lost.meaning);
        facts.add(lost.cause.word(), format!("{number} {meaning}"));
    }
    facts.write_within(columns, 2, out)
}

fn destination_of(flow: &FlowFacts) -> String {
    let destination = Destination {
        name: flow.name.clone(),
        address: flow.address,
        port: flow.port,
        protocol: Protocol::parse(&flow.protocol, flow.address).unwrap_or_default(),
    };
    destination.to_string()
}

fn flow_lines(explained: &FlowExplained) -> Facts {
    let flow = &explained.flow;
    let mut facts = Facts::default();
    facts.add("Flow", flow.flow_id.as_deref().unwrap_or("(no id)"));
    facts.add_if(
        "Application",
        flow.application.as_ref().map(ToString::to_string),
    );
    facts.add_if("Run", flow.run.clone());
    facts.add("Host", explained.identity.host.clone());
    add_destination(explained, &mut facts);
    facts.add_if("Source port", flow.source_port.map(|port| port.to_string()));
    facts.add(
        "When",
        match flow.end {
            Some(end) => format!("{} to {}", second(flow.start), second(end)),
            None => second(flow.start),
        },
    );
    facts.add("Outcome", outcome_text(flow));
    facts.add(
        "Attempts",
        match flow.attempts {
            0 => format!("none; the connection was {OPENED_EARLIER}"),
            attempts => count(attempts),
        },
    );
    facts.add("Bytes", bytes_text(flow));
    facts.add_if(
        "Open for",
        flow.duration_ns
            .map(|duration| short_duration(Duration::from_nanos(duration))),
    );
    facts.add_if("Socket user", flow.socket_uid.map(|uid| uid.to_string()));
    facts.add_if("Socket cgroup", flow.socket_cgroup.clone());
    facts.add_if(
        "Network",
        flow.network_namespace
            .map(|inode| format!("namespace {inode}")),
    );
    facts
}

/// Where a flow went, and under which names that is known.
fn add_destination(explained: &FlowExplained, facts: &mut Facts) {
    let flow = &explained.flow;
    facts.add("Destination", destination_of(flow));
    if let (Some(_), Some(source)) = (&flow.name, flow.name_source) {
        facts.add("Name from", source.meaning());
        facts.add_if("Address", flow.address.map(|address| address.to_string()));
    }
    if let Some(opening) = flow.opening {
        facts.add("Begins with", opening.meaning());
    }
    if explained.is_shared {
        facts.add(
            "Shared",
            "the address has several names: whoever allows it allows them all",
        );
    }
    for other in &explained.other_names {
        let (number, since) = (
            counted(other.attempts, "attempt", "attempts"),
            minute(other.first),
        );
        let until = minute(other.last);
        let name = &other.name;
        facts.add(
            "Also called",
            format!("{name}: {number}, {since} to {until}"),
        );
    }
}

fn bytes_text(flow: &FlowFacts) -> String {
    let ways = [(flow.bytes_out, "out"), (flow.bytes_in, "in")];
    let known: Vec<String> = ways
        .into_iter()
        .filter_map(|(number, way)| number.map(|number| format!("{} {way}", bytes(number))))
        .collect();
    if known.is_empty() {
        "not known".to_owned()
    } else {
        known.join(", ")
    }
}

fn outcome_text(flow: &FlowFacts) -> String {
    let mut text = flow.outcome.to_string();
    if let Some(errno) = flow.errno {
        // The text of the C library ends in the number already.
        text.push_str(&format!(": {}", io::Error::from_raw_os_error(errno)));
    }
    if let Some(state) = &flow.state {
        text.push_str(&format!(" (imported as `{state}`)"));
    }
    text
}

fn write_watch_period(period: &WatchStatus, out: &mut dyn Write) -> io::Result<()> {
    let backend = period.backend.as_deref().unwrap_or("no backend");
    let (since, until) = (minute(period.started), minute(period.covered_until));
    let ending = match period.ending {
        Ending::Running => "still running",
        Ending::Orderly => "ended in good order",
        Ending::Broken => "broke off without an orderly end",
    };
    writeln!(
        out,
        "{HEADING}Recorded{HEADING:#} by {} from {since} to {until}, {ending} (watch period {})",
        visible(backend),
        period.watch_period_id
    )?;
    for lost in &period.losses {
        let (number, word, meaning) = (count(lost.count), lost.cause.word(), lost.meaning);
        writeln!(
            out,
            "  {WARNING}PARTIAL{WARNING:#} {number} {meaning} ({word})"
        )?;
    }
    if period.losses.is_empty() {
        writeln!(out, "  nothing was lost in that time")?;
    }
    let spots = counted(period.blind_spots.len() as u64, "blind spot", "blind spots");
    writeln!(out, "  {spots}")?;
    for spot in &period.blind_spots {
        let (text, code) = (visible(&spot.text), visible(&spot.code));
        writeln!(out, "    {text} {FAINT}({code}){FAINT:#}")?;
    }
    Ok(())
}
