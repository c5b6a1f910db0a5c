//! What an operator takes for the same application is one, whatever else about it is new.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::sync::Arc;

use egress_baseline::{
    identity::application_of,
    model::{Application, ContainerFacts, FlowRecord, IdentityRecord, RawIdentity},
    store::{ContactQuery, Reader},
};
use tempfile::tempdir;

use crate::support_store::{DAY, NOON, flow, made_by, store_with};

/// Who an identity is by, and where it runs.
fn raw(exe: &str, cgroup: &str, job_daemon: Option<&str>) -> RawIdentity {
    RawIdentity {
        host: "web-1".to_owned(),
        exe: Some(exe.to_owned()),
        cgroup_path: Some(cgroup.to_owned()),
        uid: Some(0),
        user: Some("root".to_owned()),
        job_daemon: job_daemon.map(str::to_owned),
        ..RawIdentity::default()
    }
}

fn script(exe: &str, file: &str, cgroup: &str, job_daemon: Option<&str>) -> RawIdentity {
    RawIdentity {
        interpreter_argv: Some(vec![exe.to_owned(), file.to_owned()]),
        interpreter_directory: Some("/".to_owned()),
        ..raw(exe, cgroup, job_daemon)
    }
}

fn record(raw: &RawIdentity, time: i64, pid: u32, run: &str) -> FlowRecord {
    let program = raw.exe.as_deref().unwrap();
    let record = made_by(flow(time, "192.0.2.1"), program, pid, Some(run));
    FlowRecord {
        identity: Arc::new(IdentityRecord {
            application: application_of(raw),
            raw: raw.clone(),
            run: Some(run.to_owned()),
        }),
        ..record
    }
}

/// The applications of a store that saw both on two days, in runs of two boots.
fn seen_on_two_days(before: &RawIdentity, after: &RawIdentity) -> Vec<(Application, u64)> {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let records = vec![
        record(before, NOON, 411, "cgroup:77@one-boot"),
        record(after, NOON + DAY, 9_022, "cgroup:5@next-boot"),
    ];
    store_with(&path, records);
    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default());
    let contacts = contacts.unwrap().into_iter();
    contacts
        .map(|contact| (contact.application, contact.days))
        .collect()
}

/// What happened, with programs and cgroups before and after it, the script behind both, and the daemon
/// that started both.
type Case = (
    &'static str,
    [&'static str; 2],
    [&'static str; 2],
    Option<&'static str>,
    Option<&'static str>,
);

const UNIT: &str = "/system.slice/backup.service";
const BASH: [&str; 2] = ["/usr/bin/bash"; 2];
const MIRROR: Option<&str> = Some("/usr/local/bin/mirror");

const CASES: [Case; 8] = [
    (
        "a version is a directory",
        ["/opt/agent-7.51.0/bin/agent", "/opt/agent-7.52.1/bin/agent"],
        [UNIT; 2],
        None,
        None,
    ),
    (
        "a snap is refreshed",
        ["/snap/tool/1203/bin/tool", "/snap/tool/1204/bin/tool"],
        [UNIT; 2],
        None,
        None,
    ),
    (
        "a service is restarted after a reboot",
        ["/usr/bin/python3.11"; 2],
        [UNIT; 2],
        Some("/opt/backup/push.py"),
        None,
    ),
    (
        "a unit is transient",
        ["/usr/bin/curl"; 2],
        [
            "/system.slice/run-r0f3c9a7b5d1e48269c0b7a5f3e1d2c4b.service",
            "/system.slice/run-ra7b5f3e1d2c4b0f3c9a7b5d1e48269c0.service",
        ],
        None,
        None,
    ),
    (
        "a template has another instance",
        ["/usr/sbin/agent"; 2],
        [
            "/system.slice/system-agent.slice/agent@1.service",
            "/system.slice/system-agent.slice/agent@2.service",
        ],
        None,
        None,
    ),
    (
        "cron runs its job again",
        BASH,
        ["/system.slice/cron.service"; 2],
        MIRROR,
        Some("cron"),
    ),
    (
        "PAM makes a session for each run of cron",
        BASH,
        [
            "/user.slice/user-0.slice/session-12.scope",
            "/user.slice/user-0.slice/session-4096.scope",
        ],
        MIRROR,
        Some("cron"),
    ),
    (
        "at runs a job in a session of its own",
        BASH,
        [
            "/user.slice/user-0.slice/session-7.scope",
            "/user.slice/user-0.slice/session-c9.scope",
        ],
        MIRROR,
        Some("atd"),
    ),
];

fn assert_one(what: &str, before: &RawIdentity, after: &RawIdentity) {
    let seen = seen_on_two_days(before, after);
    assert_eq!(seen.len(), 1, "{what}: {seen:?}");
    assert_eq!(seen[0].1, 2, "{what}");
}

#[test]
fn an_upgrade_a_restart_a_reboot_and_the_next_run_make_no_new_application() {
    for (what, programs, cgroups, file, daemon) in CASES {
        let [before, after] = [0, 1].map(|at| match file {
            Some(file) => script(programs[at], file, cgroups[at], daemon),
            None => raw(programs[at], cgroups[at], daemon),
        });
        assert_one(what, &before, &after);
    }
}

#[test]
fn a_program_that_was_replaced_and_a_container_that_was_made_anew_are_no_new_applications() {
    let rsync = raw("/usr/bin/rsync", UNIT, None);
    let deleted = RawIdentity {
        is_deleted: true,
        ..rsync.clone()
    };
    assert_one("a package is upgraded below its program", &deleted, &rsync);
    let [before, after] = ["a", "b"].map(|id| RawIdentity {
        container: Some(ContainerFacts {
            name: Some("web".to_owned()),
            ..ContainerFacts::default()
        }),
        ..raw(
            "/usr/sbin/nginx",
            &format!("/system.slice/docker-{}.scope", id.repeat(64)),
            None,
        )
    });
    assert_one("a container is made anew", &before, &after);
}

#[test]
fn what_only_looks_the_same_is_another_application() {
    let apt = raw("/usr/bin/apt", "/system.slice/update.service", None);
    let python = |file: &str| {
        script(
            "/usr/bin/python3.11",
            file,
            "/system.slice/update.service",
            None,
        )
    };
    let cases = [
        (
            "a file of that path in a private mount namespace",
            apt.clone(),
            RawIdentity {
                is_foreign: true,
                ..apt.clone()
            },
        ),
        (
            "a program in memory",
            apt.clone(),
            RawIdentity {
                is_memfd: true,
                exe: Some("/memfd:apt".to_owned()),
                ..apt
            },
        ),
        (
            "another script of one interpreter and one unit",
            python("/opt/push.py"),
            python("/opt/poll.py"),
        ),
    ];
    for (what, one, other) in cases {
        let seen = seen_on_two_days(&one, &other);
        assert_eq!(seen.len(), 2, "{what}: {seen:?}");
    }
}
