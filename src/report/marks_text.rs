//! Marks of destinations, as text.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::{
    Detail, FAINT, HEADING, Layout, WARNING,
    applications::{ApplicationReport, DestinationReport, SharedAddress},
    humane::{count, counted},
    visible,
};
use crate::model::{Application, NameSource, OpeningKind};

/// Destinations that one line names.
const NAMED: usize = 3;

/// Writes what the destinations of an application are marked with, a line for each kind of mark.
pub(super) fn write_application_marks(
    report: &ApplicationReport,
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    for opening in OpeningKind::ALL {
        let begun_so = |one: &&DestinationReport| one.openings.contains(&opening);
        let of = names_of(report.destinations.iter().filter(begun_so), layout);
        if let Some(of) = of {
            writeln!(out, "  {WARNING}{}{WARNING:#}: {of}", opening.meaning())?;
        }
    }
    for source in [NameSource::HostDnsAnswer, NameSource::Inferred] {
        let named_so = |one: &&DestinationReport| one.name_source == Some(source);
        let of = names_of(report.destinations.iter().filter(named_so), layout);
        if let Some(of) = of {
            writeln!(
                out,
                "  {WARNING}named by {}{WARNING:#}: {of}",
                source.meaning()
            )?;
        }
    }
    let is_shared = |one: &&DestinationReport| one.shared_names.is_some();
    match names_of(report.destinations.iter().filter(is_shared), layout) {
        Some(of) => writeln!(out, "  {WARNING}at shared addresses{WARNING:#}: {of}"),
        None => Ok(()),
    }
}

/// The destinations, or some of them; none if there are none.
fn names_of<'a>(
    destinations: impl Iterator<Item = &'a DestinationReport>,
    layout: Layout,
) -> Option<String> {
    let names: Vec<String> = destinations
        .map(|one| visible(&one.text()).to_string())
        .collect();
    let shown = match layout.detail {
        Detail::Full => names.len(),
        Detail::Usual => NAMED.min(names.len()),
    };
    let (first, rest) = names.split_at(shown);
    let text = first.join(", ");
    match (first.len(), rest.len()) {
        (0, _) => None,
        (_, 0) => Some(text),
        (_, more) => Some(format!("{text} and {} more", count(more as u64))),
    }
}

/// Writes the addresses that several names share: how many, and with full detail which, and who reached
/// which name.
pub(super) fn write_shared_addresses(
    shared: &[SharedAddress],
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    if shared.is_empty() {
        return Ok(());
    }
    let addresses = counted(shared.len() as u64, "address", "addresses");
    writeln!(out)?;
    write!(
        out,
        "{HEADING}Shared{HEADING:#}  {addresses} with several names: whoever allows one allows all its names"
    )?;
    if layout.detail == Detail::Usual {
        return writeln!(out, "; {FAINT}`--verbose` tells them{FAINT:#}");
    }
    writeln!(out)?;
    for one in shared {
        let names = counted(one.names.len() as u64, "name", "names");
        writeln!(out, "  {}  {names}", one.address)?;
        for reached in &one.names {
            write_reached(&reached.name, &reached.applications, out)?;
        }
        if !one.without_name.is_empty() {
            write_reached("without a name", &one.without_name, out)?;
        }
    }
    Ok(())
}

fn write_reached(
    name: &str,
    applications: &BTreeSet<Application>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let who: Vec<String> = applications.iter().map(ToString::to_string).collect();
    let who = who.join(", ");
    writeln!(
        out,
        "    {}  {FAINT}{}{FAINT:#}",
        visible(name),
        visible(&who)
    )
}
