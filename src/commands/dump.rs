//! `dump`.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::{now, output, window::FilterArgs};
use crate::{
    commands::Exit,
    commands::options::GlobalArgs,
    exchange::{render_marked_flow, render_record},
    model::{RecordedFlow, SharedNames},
    store::Reader,
};

/// Arguments of `dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Write everything that the database holds: processes, identities, watch periods, losses, sums
    #[arg(long, conflicts_with_all = ["since", "until", "application", "to", "host"])]
    pub all: bool,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Writes flows, or everything, one JSON object a line.
pub fn run(args: &DumpArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let query = args.filter.query(now())?;
    let reader = Reader::open(&global.db)?;
    let mut out = output::raw();
    let mut write_line = |line: String| -> anyhow::Result<()> {
        out.write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .context("write to standard output")
    };
    if args.all {
        reader.each_record::<anyhow::Error>(|record| write_line(render_record(record)?))?;
    } else {
        let shared = reader.shared_names(&query)?;
        reader.each_flow::<anyhow::Error>(&query, |flow| {
            write_line(render_marked_flow(flow, names_of(flow, &shared))?)
        })?;
    }
    out.flush().context("write to standard output")?;
    Ok(Exit::Done)
}

/// How many names a flow's address has, if it has several.
fn names_of(recorded: &RecordedFlow, shared: &SharedNames) -> Option<u64> {
    if shared.is_empty() {
        return None;
    }
    let place = (recorded.identity.host.clone(), recorded.flow.address?);
    shared.get(&place).map(|names| names.len() as u64)
}
