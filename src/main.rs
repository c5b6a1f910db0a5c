//! Parses the command line, runs the command, reports how it ended.

use std::process::ExitCode;

use egress_baseline::{cli::Cli, failure::Failure};

fn main() -> ExitCode {
    match Cli::from_arguments().run() {
        Ok(exit) => exit.into(),
        Err(error) => Failure::from(&error).report(),
    }
}
