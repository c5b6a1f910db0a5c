//! The program under test against the kernel: needs root.

mod child;

use std::process::ExitCode;

fn main() -> ExitCode {
    child::run(std::env::args_os().skip(1).collect()).unwrap_or(ExitCode::FAILURE)
}
