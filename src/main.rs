//! Parses the command line, runs the command, reports how it ended.

use std::process::ExitCode;

use egress_baseline::{cli::Cli, commands, failure::Failure};

fn main() -> ExitCode {
    let cli = Cli::from_arguments();
    match commands::run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => Failure::from(&error).report(),
    }
}
