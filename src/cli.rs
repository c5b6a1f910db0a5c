//! The command line. The doc comments are the help text.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::{
    commands::{
        doctor::DoctorArgs, dump::DumpArgs, explain::ExplainArgs, import::ImportArgs,
        make_canary::MakeCanaryArgs, observe::ObserveArgs, prune::PruneArgs, report::ReportArgs,
        status::StatusArgs,
    },
    model,
};

/// Learn what this host legitimately reaches, before its outbound firewall is closed
#[derive(Debug, Parser)]
#[command(name = "egress-baseline", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 done, nothing to report; 1 done, and there is something; \
    2 could not do it; 3 cannot tell."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads this process's arguments; tells of a mistake in them, or of help that was asked for,
    /// and ends the process.
    pub fn from_arguments() -> Self {
        Self::parse()
    }
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// Keep the flows in this database
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        default_value = "/var/lib/egress-baseline/flows.db"
    )]
    pub db: PathBuf,
    /// Read this configuration [default: /etc/egress-baseline/config.toml, if it is there]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub quiet: bool,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A form of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record outbound flows until stopped
    Observe(ObserveArgs),
    /// Show the observer's health, what was covered and what was lost
    Status(StatusArgs),
    /// Prove on this host that each kind of flow is seen
    Doctor(DoctorArgs),
    /// Show what each application talks to
    Report(ReportArgs),
    /// Show the observations behind an application or a flow
    Explain(ExplainArgs),
    /// Write flows as NDJSON
    Dump(DumpArgs),
    /// Read flows from NDJSON
    Import(ImportArgs),
    /// Apply retention now
    Prune(PruneArgs),
    /// Make one flow where nothing can leave the machine
    #[command(hide = true)]
    MakeCanary(MakeCanaryArgs),
}

/// Reads a duration for clap.
pub fn parse_duration(text: &str) -> Result<Duration, model::DurationError> {
    model::parse_duration(text)
}
