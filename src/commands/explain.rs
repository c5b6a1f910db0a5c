//! `explain`.

use std::collections::BTreeMap;

use clap::Args;

use super::{coverage::watched, error::CommandError, output};
use crate::{
    analyze::sampling::sampling_unit,
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    identity::reasons_of,
    model::{Application, Contact, Reason, RecordedFlow, Window},
    report::{
        DOCUMENT_VERSION,
        applications::application_report,
        coverage::{Watched, coverage_of, extent_of},
        explain::{
            ApplicationExplained, ApplicationsExplained, AroundApplication, AroundFlow,
            explain_application, explain_flow,
        },
        explain_text::{write_applications, write_flow},
        marks::Marks,
    },
    store::{ContactQuery, Reader},
};

/// Latest flows that are shown of an application.
const FLOWS_SHOWN: u32 = 10;

/// Latest process images that are shown of an application.
const PROCESSES_SHOWN: u32 = 3;

/// Latest files that are shown of an application.
const FILES_SHOWN: u32 = 12;

/// Other names that are shown of an address: one of a content network has thousands.
const NAMES_SHOWN: u32 = 20;

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
        let explained = explain_flow(&recorded, by, around_flow(&reader, &recorded)?);
        let layout = output::layout(global);
        output::write_document(&explained, args.format, |out| {
            write_flow(&explained, layout, out)
        })?;
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

fn around_flow(reader: &Reader, recorded: &RecordedFlow) -> anyhow::Result<AroundFlow> {
    let flow = &recorded.flow;
    let host = &recorded.identity.host;
    let names = match flow.address {
        Some(address) => reader.names_of_address(host, address, NAMES_SHOWN)?,
        None => Vec::new(),
    };
    let files_of_application = match &recorded.application {
        Some(application) => reader.files_of_application(host, application, FILES_SHOWN)?,
        None => Vec::new(),
    };
    let files = reader.files_of_flow(recorded)?;
    let end = flow.end.unwrap_or(flow.start);
    Ok(AroundFlow {
        reasons: reasons_of(&recorded.identity),
        // Many others may have run since.
        files_of_application: match files.iter().all(|file| files_of_application.contains(file)) {
            true => files_of_application,
            false => files.clone(),
        },
        files,
        names,
        losses: reader.losses_around(host, flow.start, end)?,
    })
}

/// The rules that named an application; identities that differ by what does not matter have the same.
fn reasons_for(flows: &[RecordedFlow]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for reason in flows
        .iter()
        .flat_map(|recorded| reasons_of(&recorded.identity))
    {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.sort_by_key(|reason| match reason.part {
        "context" => 0,
        "program" => 1,
        _ => 2,
    });
    reasons
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
    let everything = ContactQuery::default();
    let (shared, openings) = (
        reader.shared_names(&everything)?,
        reader.openings(&everything)?,
    );
    let marks = Marks::of(shared, &[], openings);
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
            let losses = match extent_of(&contacts) {
                Some((first, last)) => reader.losses_around(&host, first, last)?,
                None => Vec::new(),
            };
            let around = AroundApplication {
                reasons: reasons_for(&flows),
                processes,
                files: reader.files_of_application(&host, &application, FILES_SHOWN)?,
                losses,
            };
            let unit = sampling_unit(&contacts, days);
            let mut report = application_report(application, unit, contacts);
            report.mark(&host, &marks);
            Ok(explain_application(host, report, around, &flows))
        })
        .collect()
}
