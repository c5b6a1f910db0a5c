//! `report`.

use clap::Args;

use super::{
    coverage::watched, learning::learn, now, output, window::FilterArgs, window::parse_except,
};
use crate::{
    analyze::sampling::sampling_unit,
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    model::{Contact, Window},
    report::{applications::applications_report, applications_text::write_text, marks::Marks},
    store::{ContactQuery, Reader},
};

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Leave out this window, such as 2026-11-20..2026-11-21 or 7d..6d (may be repeated)
    #[arg(long, value_name = "A..B")]
    pub except: Vec<String>,
    /// Write it in this form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Shows what each application talks to.
pub fn run(args: &ReportArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let now = now();
    let mut query = args.filter.query(now)?;
    let except: anyhow::Result<Vec<Window>> = args
        .except
        .iter()
        .map(|text| parse_except(text, now))
        .collect();
    query.except = except?;
    let reader = Reader::open(&global.db)?;
    let contacts = reader.contacts(&query)?;
    let marks = marks(&reader, &query, &contacts)?;
    let mut report = applications_report(
        contacts,
        &watched(&reader)?,
        &query.window,
        &query.except,
        sampling_unit,
    );
    report.mark(&marks);
    learn(&mut report, &reader, &query)?;
    let layout = output::layout(global);
    output::write_document(&report, args.format, |out| write_text(&report, layout, out))?;
    Ok(Exit::Done)
}

/// What the destinations of these contacts are marked with. Who shares an address may be somebody whom the
/// query leaves out.
fn marks(reader: &Reader, query: &ContactQuery, contacts: &[Contact]) -> anyhow::Result<Marks> {
    let shared = reader.shared_names(query)?;
    let openings = reader.openings(query)?;
    let is_whole = query.application.is_none() && query.to.is_none();
    if is_whole || shared.is_empty() {
        return Ok(Marks::of(shared, contacts, openings));
    }
    let everybody = ContactQuery {
        application: None,
        to: None,
        ..query.clone()
    };
    Ok(Marks::of(shared, &reader.contacts(&everybody)?, openings))
}
