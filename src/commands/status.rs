//! `status`.

use std::collections::BTreeSet;

use clap::Args;

use super::{coverage::watched, now, output};
use crate::{
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    report::{
        status::{DatabaseStatus, Learned, status_report},
        status_text::write_text,
    },
    store::{ContactQuery, Reader, StoreError},
};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Write it in this form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Tells how the observer is.
pub fn run(args: &StatusArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let reader = Reader::open(&global.db)?;
    let report = status_report(
        now(),
        reader.observer_pid()?,
        &watched(&reader)?,
        database_status(&reader)?,
        learned(&reader)?,
    );
    let layout = output::layout(global);
    output::write_document(&report, args.format, |out| write_text(&report, layout, out))?;
    Ok(match report.has_missed() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

fn database_status(reader: &Reader) -> Result<DatabaseStatus, StoreError> {
    let size = reader.size()?;
    Ok(DatabaseStatus {
        path: reader.path().display().to_string(),
        bytes: size.bytes,
        free_bytes: size.free_bytes,
        bytes_per_day: size.bytes_per_day,
        flows: size.flows,
        flows_last_day: size.flows_last_day,
        hour_rollups: size.hour_rollups,
        run_rollups: size.run_rollups,
        processes: size.processes,
    })
}

fn learned(reader: &Reader) -> Result<Learned, StoreError> {
    let contacts = reader.contacts(&ContactQuery::default())?;
    let hosts: BTreeSet<_> = contacts.iter().map(|contact| &contact.host).collect();
    let applications: BTreeSet<_> = contacts
        .iter()
        .map(|contact| (&contact.host, &contact.application))
        .collect();
    let destinations: BTreeSet<_> = contacts
        .iter()
        .map(|contact| &contact.destination)
        .collect();
    Ok(Learned {
        hosts: hosts.len() as u64,
        applications: applications.len() as u64,
        destinations: destinations.len() as u64,
    })
}
