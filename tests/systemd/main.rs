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
mod self_check;
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
        self_check::trials_after_boot(),
        contexts::trials("fexit", contexts::use_backend),
        reload::trials(),
        // It leaves the service stopped, and the next backend is turned on by a start.
        restart::trials(),
        contexts::trials("kprobe", contexts::use_backend),
        self_check::trials_of("kprobe"),
        contexts::trials("cgroup", hanging::use_backend_under_watch),
        self_check::trials_of("cgroup"),
        hanging::trials(),
        self_check::last_trials(),
        hanging::last_trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
