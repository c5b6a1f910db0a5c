//! Processes that systemd, cron and PAM started, beside the contexts that are recorded of them.

use std::{collections::BTreeSet, fs};

use egress_baseline::{capture::now, model::Timestamp};
use libtest_mimic::{Failed, Trial};

use super::{
    guest::{SERVICE, await_some, configure, journal, run, systemctl},
    record::{Flow, Record},
};

/// Who starts a process that makes contact.
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

pub(crate) fn trials(backend: &'static str) -> Vec<Trial> {
    let mut trials = vec![Trial::test(
        format!("the backend is {backend}"),
        move || use_backend(backend),
    )];
    trials.extend(CASES.iter().map(|case| {
        Trial::test(
            format!("{backend}: {} is known by its context", case.name),
            || judge(case),
        )
    }));
    trials
}

fn use_backend(backend: &str) -> Result<(), Failed> {
    if Record::read()?.last_period()?.backend.as_deref() == Some(backend) {
        return Ok(());
    }
    configure(&format!("[observe]\nbackend = \"{backend}\"\n"))?;
    systemctl(&["restart", SERVICE])?;
    match &Record::read()?.last_period()?.backend {
        Some(found) if found == backend => Ok(()),
        other => Err(format!("it is {other:?}: {}", journal()?).into()),
    }
}

fn judge(case: &Case) -> Result<(), Failed> {
    let since = now();
    (case.start)()?;
    let flows = await_some("a flow to its port", || {
        let flows = flows_since(case.port, since)?;
        Ok((!flows.is_empty()).then_some(flows))
    })
    .map_err(|cause| format!("{cause}\n{}", journal().unwrap_or_default()))?;
    let contexts: BTreeSet<&str> = flows
        .iter()
        .map(|flow| flow.context.as_deref().unwrap_or("none recorded"))
        .collect();
    let is_right = |flow: &Flow| {
        flow.exe.as_deref() == Some(CONTACT) && (flow.uid == Some(1000)) == case.is_alices
    };
    if contexts == BTreeSet::from([case.context]) && flows.iter().all(is_right) {
        return Ok(());
    }
    Err(format!("expected {}, recorded {flows:?}", case.context).into())
}

fn flows_since(port: u16, since: Timestamp) -> Result<Vec<Flow>, String> {
    let mut flows = Record::read()?.flows;
    flows.retain(|flow| flow.dst_port == Some(port) && flow.ts >= since);
    Ok(flows)
}
