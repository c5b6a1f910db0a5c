//! `explain`.

use std::collections::BTreeMap;

use clap::Args;

use super::{coverage::watched, error::CommandError, output};
use crate::{
    analyze::sampling::sampling_unit,
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    model::{Application, Contact, RecordedFlow, Window},
    report::{
        DOCUMENT_VERSION,
        applications::application_report,
        coverage::{Watched, coverage_of, extent_of},
        explain::{ApplicationExplained, ApplicationsExplained, explain_application, explain_flow},
        explain_text::{write_applications, write_flow},
    },
    store::{ContactQuery, Reader},
};

/// Latest flows that are shown of an application.
const FLOWS_SHOWN: u32 = 10;

/// Latest process images that are shown of an application.
const PROCESSES_SHOWN: u32 = 3;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Flow id, or application: its text, context, program or script, or a part of these
    #[arg(value_name = "FLOW-OR-APPLICATION")]
    pub what: String,
    /// Write it in this form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Shows the observations behind a flow or an application.
pub fn run(args: &ExplainArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let reader = Reader::open(&global.db)?;
    let watched = watched(&reader)?;
    if let Some(recorded) = reader.flow(&args.what)? {
        let by = watched_by(&recorded, &watched);
        let explained = explain_flow(&recorded, by);
        output::write_document(&explained, args.format, |out| write_flow(&explained, out))?;
        return Ok(Exit::Done);
    }
    let contacts = contacts_of(&reader, &args.what)?;
    let explained = ApplicationsExplained {
        version: DOCUMENT_VERSION,
        applications: explain_all(&reader, &watched, contacts)?,
    };
    let layout = output::layout(global);
    output::write_document(&explained, args.format, |out| {
        write_applications(&explained, layout, out)
    })?;
    Ok(Exit::Done)
}

fn watched_by<'a>(recorded: &RecordedFlow, watched: &'a [Watched]) -> Option<&'a Watched> {
    let id = i64::try_from(recorded.watch_period_id?).ok()?;
    watched.iter().find(|one| one.id == id)
}

/// Contacts of what is called so, or else of whatever has it as a part.
fn contacts_of(reader: &Reader, what: &str) -> anyhow::Result<Vec<Contact>> {
    for glob in [what.to_owned(), format!("*{what}*")] {
        let contacts = reader.contacts(&ContactQuery {
            application: Some(glob),
            ..ContactQuery::default()
        })?;
        if !contacts.is_empty() && !what.is_empty() {
            return Ok(contacts);
        }
    }
    Err(CommandError::NothingIs {
        what: what.to_owned(),
    }
    .into())
}

fn explain_all(
    reader: &Reader,
    watched: &[Watched],
    contacts: Vec<Contact>,
) -> anyhow::Result<Vec<ApplicationExplained>> {
    let mut by_application: BTreeMap<(String, Application), Vec<Contact>> = BTreeMap::new();
    for contact in contacts {
        by_application
            .entry((contact.host.clone(), contact.application.clone()))
            .or_default()
            .push(contact);
    }
    by_application
        .into_iter()
        .map(|((host, application), contacts)| {
            let query = ContactQuery {
                application: Some(application.to_string()),
                host: Some(host.clone()),
                ..ContactQuery::default()
            };
            let mut flows = reader.flows_of_application(&query, FLOWS_SHOWN)?;
            // A path with a `*` in it is a glob that others may match.
            flows.retain(|recorded| recorded.application.as_ref() == Some(&application));
            let processes = reader.processes_of_application(&query, PROCESSES_SHOWN)?;
            let days = coverage_of(
                &host,
                watched,
                extent_of(&contacts),
                &Window::default(),
                &[],
            )
            .covered_days;
            let unit = sampling_unit(&contacts, days);
            let report = application_report(application, unit, contacts);
            Ok(explain_application(host, report, processes, &flows))
        })
        .collect()
}
