//! The maker of one canary flow: what `doctor` and the self-check start this program as.

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;

use crate::{
    commands::Exit,
    proof::{MakerReport, report_of},
};

/// Arguments of a maker.
#[derive(Debug, Args)]
pub struct MakeCanaryArgs {
    /// The kind of flow
    #[arg(value_name = "KIND")]
    pub kind: String,
}

/// Makes one flow, where nothing can leave the machine, and tells what was made as a line of JSON.
pub fn run(args: &MakeCanaryArgs) -> anyhow::Result<Exit> {
    let report = report_of(&args.kind);
    let line = serde_json::to_string(&report)?;
    writeln!(io::stdout(), "{line}").context("write to standard output")?;
    Ok(match report {
        MakerReport::Made(_) | MakerReport::Lacking(_) => Exit::Done,
        MakerReport::Broken(_) => Exit::Failed,
    })
}
