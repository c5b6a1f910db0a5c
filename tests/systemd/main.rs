//! The service as it is packaged, on a system that systemd runs.
//!
//! Runs inside the guest that `tests/systemd/run` builds, and nowhere else: it starts and stops
//! units, and sends to the guest's only cable. Trials run in the order of this file.

mod contact;
mod contexts;
mod guest;
mod hanging;
mod record;
mod reload;
mod restart;
mod standing;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Err(cause) = guest::demand_guest() {
        writeln!(
            io::stderr(),
            "error: {cause}\nhint: run `tests/systemd/run`"
        )
        .ok();
        return ExitCode::from(2);
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = contact::run(&words) {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // There is one service.
    arguments.test_threads = Some(1);
    let trials = [
        // All this with the configuration as it is packaged.
        standing::trials(),
        contexts::trials("fexit"),
        reload::trials(),
        restart::trials(),
        hanging::trials(),
        contexts::trials("kprobe"),
        contexts::trials("cgroup"),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
