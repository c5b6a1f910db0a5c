//! The program under test against the kernel: what it records beside what really happened.
//!
//! Needs root. `EGRESS_BACKEND` (`fexit`, `kprobe`, `cgroup`; default: what the program chooses) is the
//! backend under test, `EGRESS_BINARY` the program if it is not the one that was built beside this,
//! `EGRESS_TEST_REQUIRE` a list of what must not be left untried, such as `io_uring,mptcp`.

mod answers;
mod asking;
mod beside;
mod changes;
mod child;
mod churn;
mod contexts;
mod doctor;
mod dump;
mod exact;
mod faults;
mod held;
mod holder;
mod hosts;
mod identity;
mod kills;
mod kinds;
mod layouts;
mod lifecycle;
mod load;
mod modules;
mod multipath;
mod musl;
mod name_servers;
mod names;
mod observer;
mod open;
mod open_cases;
mod package_clients;
mod real_traffic;
mod requirements;
mod resolver;
mod scene;
mod scenes;
mod scripts;
mod service;
mod session;
mod short;
mod stored;
mod support;
mod tls;
mod told;
mod wire;
mod workshop;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = child::run(&words) {
        return code;
    }
    if words.first().is_some_and(|word| word == "--only-make") {
        return only_make();
    }
    let unknown = requirements::unknown_requirements();
    if !unknown.is_empty() {
        writeln!(
            io::stderr(),
            "error: EGRESS_TEST_REQUIRE: no test is for {unknown:?}"
        )
        .ok();
        return ExitCode::from(2);
    }
    let mut arguments = Arguments::from_args();
    // The observer under test is one for the whole machine: its tests take turns.
    arguments.test_threads = Some(1);
    let trials = [
        kinds::trials(),
        answers::trials(),
        churn::trials(),
        identity::trials(),
        contexts::trials(),
        scripts::trials(),
        multipath::trials(),
        names::trials(),
        tls::trials(),
        modules::trials(),
        lifecycle::trials(),
        changes::trials(),
        loads(),
        doctor::trials(),
        open::trials(),
        hosts::trials(),
        layouts::trials(),
        real_traffic::trials(),
        service::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(cause) = support::write() {
        writeln!(io::stderr(), "error: write the results: {cause}").ok();
        return ExitCode::FAILURE;
    }
    let list = requirements::list_of_not_tried();
    if writeln!(io::stdout(), "\n{list}").is_err() {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// What takes minutes on a machine that is not emulated; `EGRESS_TEST_LOADS=none` leaves it out.
fn loads() -> Vec<Trial> {
    if std::env::var_os("EGRESS_TEST_LOADS").is_some_and(|word| word == "none") {
        return Vec::new();
    }
    [exact::trials(), short::trials(), faults::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// Makes each kind without any observer and tells what came of it: the ground truth alone.
fn only_make() -> ExitCode {
    let text = match workshop::Workshop::build() {
        Ok(workshop) => session::run_makers(&workshop)
            .into_iter()
            .map(|(name, run)| format!("{name}: {:?}\n", run.map(|run| run.report)))
            .collect(),
        Err(cause) => format!("{cause}\n"),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
