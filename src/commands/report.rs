//! `report`.

use clap::Args;

use super::{coverage::watched, now, output, window::FilterArgs, window::parse_except};
use crate::{
    analyze::sampling::sampling_unit,
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    model::Window,
    report::{applications::applications_report, applications_text::write_text},
    store::Reader,
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
    let report = applications_report(
        reader.contacts(&query)?,
        &watched(&reader)?,
        &query.window,
        &query.except,
        sampling_unit,
    );
    let layout = output::layout(global);
    output::write_document(&report, args.format, |out| write_text(&report, layout, out))?;
    Ok(Exit::Done)
}
