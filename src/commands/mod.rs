//! One file a command: its arguments, whose doc comments are the help text, and what it does.
//!
//! Stages are joined here: commands ask the store, hand its answers to `analyze`, and theirs to
//! `report`.

mod coverage;
pub mod doctor;
pub mod dump;
pub mod error;
pub mod explain;
pub mod import;
pub mod make_canary;
pub mod observe;
mod output;
pub mod prune;
pub mod report;
pub mod status;
mod window;

use crate::{
    capture::now,
    cli::{Cli, ColorWhen, Command},
    failure::Exit,
};

/// Runs the command.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match cli.global.color {
        ColorWhen::Auto => anstream::ColorChoice::Auto,
        ColorWhen::Always => anstream::ColorChoice::Always,
        ColorWhen::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    match &cli.command {
        Command::Observe(args) => observe::run(args, &cli.global),
        Command::Status(args) => status::run(args, &cli.global),
        Command::Doctor(args) => doctor::run(args, &cli.global),
        Command::Report(args) => report::run(args, &cli.global),
        Command::Explain(args) => explain::run(args, &cli.global),
        Command::Dump(args) => dump::run(args, &cli.global),
        Command::Import(args) => import::run(args, &cli.global),
        Command::Prune(args) => prune::run(args, &cli.global),
        Command::MakeCanary(args) => make_canary::run(args),
    }
}
