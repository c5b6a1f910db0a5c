//! The command line. The doc comments are the help text.

use clap::{Parser, Subcommand};

use crate::commands::{
    Exit,
    doctor::{self, DoctorArgs},
    dump::{self, DumpArgs},
    explain::{self, ExplainArgs},
    import::{self, ImportArgs},
    make_canary::{self, MakeCanaryArgs},
    observe::{self, ObserveArgs},
    options::{ColorWhen, GlobalArgs},
    prune::{self, PruneArgs},
    report::{self, ReportArgs},
    status::{self, StatusArgs},
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

    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<Exit> {
        match self.global.color {
            ColorWhen::Auto => anstream::ColorChoice::Auto,
            ColorWhen::Always => anstream::ColorChoice::Always,
            ColorWhen::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        match &self.command {
            Command::Observe(args) => observe::run(args, &self.global),
            Command::Status(args) => status::run(args, &self.global),
            Command::Doctor(args) => doctor::run(args, &self.global),
            Command::Report(args) => report::run(args, &self.global),
            Command::Explain(args) => explain::run(args, &self.global),
            Command::Dump(args) => dump::run(args, &self.global),
            Command::Import(args) => import::run(args, &self.global),
            Command::Prune(args) => prune::run(args, &self.global),
            Command::MakeCanary(args) => make_canary::run(args),
        }
    }
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
