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
    /// The name that it asks for, and how that is known.
    called: Option<(&'static str, &'static str)>,
    start: fn() -> Result<String, String>,
}

const CONTACT: &str = "/tests/systemd";

const CASES: [Case; 12] = [
    Case {
        name: "a unit",
        port: 3002,
        context: "unit:lab-plain.service",
        is_alices: false,
        called: None,
        start: || systemctl(&["start", "lab-plain.service"]),
    },
    Case {
        name: "an instance of a template",
        port: 3003,
        context: "unit:lab-template@.service",
        is_alices: false,
        called: None,
        start: || systemctl(&["start", "lab-template@blue.service"]),
    },
    Case {
        name: "a unit that a timer starts",
        port: 3004,
        context: "unit:lab-timed.service",
        is_alices: false,
        called: None,
        start: || systemctl(&["restart", "lab-timed.timer"]),
    },
    Case {
        name: "a transient service",
        port: 3005,
        context: "unit:run-*.service",
        is_alices: false,
        called: None,
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
        called: None,
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
        called: None,
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
        called: None,
        start: || as_alice("/tests/systemd --contact 3008"),
    },
    Case {
        name: "a unit of a user",
        port: 3009,
        context: "user-unit:alice:lab-user.service",
        is_alices: true,
        called: None,
        start: || {
            as_alice("XDG_RUNTIME_DIR=/run/user/1000 systemctl --user start lab-user.service")
        },
    },
    Case {
        name: "a job of at",
        port: 3010,
        context: "at:alice",
        is_alices: true,
        called: None,
        start: || as_alice("echo '/tests/systemd --contact 3010' | at now"),
    },
    Case {
        name: "a machine of systemd-nspawn",
        port: 3011,
        context: "container:nspawn/lab",
        is_alices: false,
        called: None,
        start: || {
            // The guest's own programs, over an empty root.
            let root = [
                "--quiet",
                "--directory=/",
                "--volatile=yes",
                "--machine=lab",
            ];
            let inside = ["--bind-ro=/tests", "--", CONTACT, "--contact", "3011"];
            run("systemd-nspawn", &[root.as_slice(), &inside].concat())
        },
    },
    Case {
        name: "who asks systemd-resolved by packets",
        port: 3012,
        context: "unit:lab-stub.service",
        is_alices: false,
        called: Some(("stub.example", "dns_answer")),
        start: || {
            let unit = ["--quiet", "--wait", "--unit=lab-stub"];
            let files = "--property=BindReadOnlyPaths=/etc/nsswitch.stub:/etc/nsswitch.conf";
            let contact = [
                files,
                "--",
                CONTACT,
                "--contact-named",
                "stub.example",
                "3012",
            ];
            run("systemd-run", &[unit.as_slice(), &contact].concat())
        },
    },
    Case {
        name: "who asks systemd-resolved through nss-resolve",
        port: 3013,
        context: "unit:lab-library.service",
        is_alices: false,
        // The answer came to the service: the asker has what the host was told.
        called: Some(("library.example", "host_dns_answer")),
        start: || {
            let unit = ["--quiet", "--wait", "--unit=lab-library", "--", CONTACT];
            let contact = ["--contact-named", "library.example", "3013"];
            run("systemd-run", &[unit.as_slice(), &contact].concat())
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
                format!("{backend}: {} is known by its {}", case.name, what(case)),
                move || match recorded.get_or_init(|| ready(backend).and_then(|()| play())) {
                    Ok(recorded) => judge(case, recorded),
                    Err(cause) => Err(cause.into()),
                },
            )
        })
        .collect()
}

fn what(case: &Case) -> &'static str {
    match case.called {
        Some(_) => "destination's name",
        None => "context",
    }
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
    let is_called = |flow: &&Flow| match case.called {
        Some((name, source)) => {
            flow.dst_name.as_deref() == Some(name) && flow.name_source.as_deref() == Some(source)
        }
        None => true,
    };
    let are_right = flows.iter().all(is_right) && flows.iter().all(is_called);
    if contexts == BTreeSet::from([case.context]) && are_right {
        return Ok(());
    }
    let expected = format!("{} {:?}", case.context, case.called);
    Err(format!("expected {expected}, recorded {flows:?}").into())
}
