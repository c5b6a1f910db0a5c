//! Processes that systemd, cron and PAM started, beside the contexts that are recorded of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, OnceLock},
    thread,
};

use egress_baseline::capture::now;
use libtest_mimic::{Failed, Trial};

use super::{
    guest::{SERVICE, await_some, configure, journal, run, systemctl},
    record::{Flow, Record, is_active},
};

/// Who starts a process that makes contact.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Where it connects to: the port is the case's own.
    port: u16,
    context: &'static str,
    /// Whether it runs as user 1000.
    is_alices: bool,
    start: fn() -> Result<String, String>,
}

const CONTACT: &str = "/tests/systemd";

const CASES: [Case; 8] = [
    Case {
        name: "a unit",
        port: 3002,
        context: "unit:lab-plain.service",
        is_alices: false,
        start: || systemctl(&["start", "lab-plain.service"]),
    },
    Case {
        name: "an instance of a template",
        port: 3003,
        context: "unit:lab-template@.service",
        is_alices: false,
        start: || systemctl(&["start", "lab-template@blue.service"]),
    },
    Case {
        name: "a unit that a timer starts",
        port: 3004,
        context: "unit:lab-timed.service",
        is_alices: false,
        start: || systemctl(&["restart", "lab-timed.timer"]),
    },
    Case {
        name: "a transient service",
        port: 3005,
        context: "unit:run-*.service",
        is_alices: false,
        start: || {
            run(
                "systemd-run",
                &["--quiet", "--wait", "--", CONTACT, "--contact", "3005"],
            )
        },
    },
    Case {
        name: "a transient scope",
        port: 3006,
        context: "unit:lab-scope.scope",
        is_alices: false,
        start: || {
            let scope = ["--quiet", "--scope", "--unit=lab-scope"];
            let contact = ["--", CONTACT, "--contact", "3006"];
            run("systemd-run", &[scope.as_slice(), &contact].concat())
        },
    },
    Case {
        name: "a job of cron",
        port: 3007,
        context: "cron:alice",
        is_alices: true,
        start: || {
            // It remembers that the jobs of this boot have run.
            fs::remove_file("/run/crond.reboot").map_err(|cause| cause.to_string())?;
            systemctl(&["restart", "cron.service"])
        },
    },
    Case {
        name: "a login session",
        port: 3008,
        context: "session:alice",
        is_alices: true,
        start: || as_alice("/tests/systemd --contact 3008"),
    },
    Case {
        name: "a unit of a user",
        port: 3009,
        context: "user-unit:alice:lab-user.service",
        is_alices: true,
        start: || {
            as_alice("XDG_RUNTIME_DIR=/run/user/1000 systemctl --user start lab-user.service")
        },
    },
];

/// Logs in: PAM makes a session, and the user's manager is started.
fn as_alice(command: &str) -> Result<String, String> {
    run("runuser", &["-l", "alice", "-c", command])
}

/// What was recorded of all cases, and of those that could not be started why not.
#[derive(Debug, Default)]
struct Recorded {
    flows: Vec<Flow>,
    failures: BTreeMap<u16, String>,
}

/// One trial a case; the first that runs makes `ready` turn the backend on, and starts all cases at
/// once.
pub(crate) fn trials(backend: &'static str, ready: fn(&str) -> Result<(), String>) -> Vec<Trial> {
    let recorded: Arc<OnceLock<Result<Recorded, String>>> = Arc::default();
    CASES
        .iter()
        .map(|case| {
            let recorded = Arc::clone(&recorded);
            Trial::test(
                format!("{backend}: {} is known by its context", case.name),
                move || match recorded.get_or_init(|| ready(backend).and_then(|()| play())) {
                    Ok(recorded) => judge(case, recorded),
                    Err(cause) => Err(cause.into()),
                },
            )
        })
        .collect()
}

/// Has the service record through that backend.
pub(crate) fn use_backend(backend: &str) -> Result<(), String> {
    if is_active()? && is_in_use(backend)? {
        return Ok(());
    }
    configure(&format!("[observe]\nbackend = \"{backend}\"\n"))?;
    systemctl(&["restart", SERVICE])?;
    match is_in_use(backend)? {
        true => Ok(()),
        false => Err(format!("the backend is not {backend}: {}", journal()?)),
    }
}

fn is_in_use(backend: &str) -> Result<bool, String> {
    Ok(Record::read()?.last_period()?.backend.as_deref() == Some(backend))
}

fn play() -> Result<Recorded, String> {
    let since = now();
    let mut recorded = Recorded {
        failures: started(),
        ..Recorded::default()
    };
    let waited = await_some("a flow of each case", || {
        recorded.flows = Record::read()?.flows;
        recorded.flows.retain(|flow| flow.ts >= since);
        let is_there = |case: &Case| {
            recorded.failures.contains_key(&case.port) || recorded.of(case).next().is_some()
        };
        Ok(CASES.iter().all(is_there).then_some(()))
    });
    // Those that are there are judged all the same.
    match (waited, recorded.flows.is_empty()) {
        (Err(cause), true) => Err(cause),
        _ => Ok(recorded),
    }
}

/// Starts all cases; the ports of those that failed, with why.
fn started() -> BTreeMap<u16, String> {
    thread::scope(|scope| {
        let starts = CASES.map(|case| (case.port, scope.spawn(case.start)));
        starts
            .into_iter()
            .filter_map(|(port, start)| {
                let result = start.join();
                let result = result.unwrap_or_else(|_| Err("starting it panicked".to_owned()));
                Some((port, result.err()?))
            })
            .collect()
    })
}

impl Recorded {
    fn of(&self, case: &Case) -> impl Iterator<Item = &Flow> {
        let port = case.port;
        let is_its_own = move |flow: &&Flow| flow.dst_port == Some(port);
        self.flows.iter().filter(is_its_own)
    }
}

fn judge(case: &Case, recorded: &Recorded) -> Result<(), Failed> {
    if let Some(cause) = recorded.failures.get(&case.port) {
        return Err(cause.into());
    }
    let flows: Vec<&Flow> = recorded.of(case).collect();
    let contexts: BTreeSet<&str> = flows
        .iter()
        .map(|flow| flow.context.as_deref().unwrap_or("none recorded"))
        .collect();
    let is_right = |flow: &&Flow| {
        flow.exe.as_deref() == Some(CONTACT)
            && !flow.exe_is_foreign
            && (flow.uid == Some(1000)) == case.is_alices
    };
    if contexts == BTreeSet::from([case.context]) && flows.iter().all(is_right) {
        return Ok(());
    }
    Err(format!("expected {}, recorded {flows:?}", case.context).into())
}
