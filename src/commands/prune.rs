//! `prune`.

use clap::Args;

use super::{now, output};
use crate::{
    commands::Exit,
    commands::options::GlobalArgs,
    config::Config,
    report::{bytes, counted},
    store::{Pruned, Reader, Recorder, Retention, StoreError},
};

/// Arguments of `prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Keep single flows for this many days; 0 keeps them for ever [default: the configuration's]
    #[arg(long, value_name = "N")]
    pub detail_days: Option<u32>,
    /// Drop single flows, oldest first, until the database is no larger; 0 sets no limit [default:
    /// the configuration's]
    #[arg(long, value_name = "N")]
    pub max_megabytes: Option<u32>,
    /// Keep rollups, the sums that baselines are made from, for this many days; 0 keeps them for ever
    /// [default: the configuration's]
    #[arg(long, value_name = "N")]
    pub rollup_days: Option<u32>,
}

/// Applies retention and tells what it dropped.
pub fn run(args: &PruneArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let configured = Config::read(global.config.as_deref())?.retention;
    let now = now();
    let retention = Retention::as_of(
        now,
        args.detail_days.unwrap_or(configured.detail_days),
        args.max_megabytes.unwrap_or(configured.max_megabytes),
        args.rollup_days.unwrap_or(configured.rollup_days),
    );
    // A database that is not there is an error here, not one to be created; one of an earlier version is
    // brought up to date.
    match Reader::open(&global.db) {
        Ok(_) | Err(StoreError::Older { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let pruned = Recorder::open(&global.db)?.prune(&retention)?;
    output::write_text(|out| writeln!(out, "{}", told(&pruned)))?;
    Ok(Exit::Done)
}

fn told(pruned: &Pruned) -> String {
    if pruned.flows == 0 && pruned.processes == 0 && pruned.rollups == 0 {
        let size = bytes(pruned.bytes_after);
        return format!("dropped nothing; the database has {size}");
    }
    let flows = counted(pruned.flows, "flow", "flows");
    let processes = counted(pruned.processes, "process image", "process images");
    let rollups = counted(pruned.rollups, "rollup", "rollups");
    let (from, to) = (bytes(pruned.bytes_before), bytes(pruned.bytes_after));
    format!("dropped {flows}, {processes} and {rollups}; the database went from {from} to {to}")
}
