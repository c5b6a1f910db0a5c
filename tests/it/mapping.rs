//! Rules that change: what was recorded belongs to the applications of the new ones.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use egress_baseline::{
    identity::{RULES_VERSION, application_of},
    mapping::map_by_present_rules,
    model::{FlowRecord, IdentityRecord, RawIdentity, Timestamp},
    store::{ContactQuery, Reader, Recorder},
};
use tempfile::tempdir;

use crate::support_store::{DAY, NOON, at, batch, flow, made_by, store_with, watch_period};

/// Contacts by program and address: how many attempts, since when.
fn contacts(path: &Path) -> BTreeMap<(String, String), (u64, Timestamp)> {
    let contacts = Reader::open(path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    let found = contacts.iter().map(|contact| {
        let address = contact.destination.address.unwrap().to_string();
        let key = (contact.application.program.clone(), address);
        (key, (contact.total().attempts, contact.first))
    });
    found.collect()
}

fn expected(rows: &[(&str, &str, u64, i64)]) -> BTreeMap<(String, String), (u64, Timestamp)> {
    rows.iter()
        .map(|(program, address, attempts, first)| {
            let key = ((*program).to_owned(), (*address).to_owned());
            (key, (*attempts, at(*first)))
        })
        .collect()
}

/// As an observer of these rules records it.
fn by_present_rules(record: FlowRecord) -> FlowRecord {
    let raw = record.identity.raw.clone();
    FlowRecord {
        identity: Arc::new(IdentityRecord {
            application: application_of(&raw),
            raw,
            run: record.identity.run.clone(),
        }),
        ..record
    }
}

#[test]
fn contacts_of_earlier_rules_stay_known_under_the_new_ones() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    // By rules that knew nothing of versions: each path an application of its own.
    store_with(
        &path,
        vec![
            made_by(flow(NOON, "192.0.2.1"), "/opt/app-1.0/bin/app", 1, None),
            made_by(
                flow(NOON + DAY, "192.0.2.1"),
                "/opt/app-1.1/bin/app",
                2,
                None,
            ),
            made_by(
                flow(NOON + DAY, "192.0.2.2"),
                "/opt/app-1.1/bin/app",
                3,
                None,
            ),
            made_by(flow(NOON, "192.0.2.1"), "/opt/other-1.0/bin/other", 4, None),
        ],
    );
    assert_eq!(contacts(&path).len(), 4);

    let mut recorder = Recorder::open(&path).unwrap();
    map_by_present_rules(&mut recorder).unwrap();
    assert_eq!(recorder.rules_version().unwrap(), Some(RULES_VERSION));
    let known = [
        ("/opt/app-*/bin/app", "192.0.2.1", 2, NOON),
        ("/opt/app-*/bin/app", "192.0.2.2", 1, NOON + DAY),
        ("/opt/other-*/bin/other", "192.0.2.1", 1, NOON),
    ];
    assert_eq!(contacts(&path), expected(&known));
    assert_eq!(Reader::open(&path).unwrap().size().unwrap().applications, 2);

    // The next upgrade makes neither an application nor a contact.
    let period = recorder
        .begin(&watch_period("web-1", NOON + 2 * DAY))
        .unwrap();
    let upgraded = made_by(
        flow(NOON + 2 * DAY, "192.0.2.1"),
        "/opt/app-1.2/bin/app",
        5,
        None,
    );
    let upgraded = batch(vec![by_present_rules(upgraded)], NOON + 2 * DAY);
    recorder.record(period, &upgraded).unwrap();
    drop(recorder);
    let known = [
        ("/opt/app-*/bin/app", "192.0.2.1", 3, NOON),
        known[1],
        known[2],
    ];
    assert_eq!(contacts(&path), expected(&known));
    assert_eq!(Reader::open(&path).unwrap().size().unwrap().applications, 2);
}

/// A flow of Python that earlier rules knew by its program alone.
fn of_script(time: i64, to: &str, script: &str, pid: u32, run: &str) -> FlowRecord {
    let record = made_by(flow(time, to), "/usr/bin/python3.11", pid, Some(run));
    let raw = RawIdentity {
        interpreter_argv: Some(vec!["python3".to_owned(), script.to_owned()]),
        interpreter_directory: Some("/opt/backup".to_owned()),
        ..record.identity.raw.clone()
    };
    FlowRecord {
        identity: Arc::new(IdentityRecord {
            raw,
            ..(*record.identity).clone()
        }),
        ..record
    }
}

#[test]
fn two_services_on_one_interpreter_come_apart_with_what_each_has_done() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(
        &path,
        vec![
            of_script(NOON, "192.0.2.1", "push.py", 1, "cgroup:1@boot"),
            of_script(NOON + DAY, "192.0.2.1", "push.py", 2, "cgroup:2@boot"),
            of_script(NOON + DAY, "192.0.2.1", "poll.py", 3, "cgroup:3@boot"),
        ],
    );
    assert_eq!(Reader::open(&path).unwrap().size().unwrap().applications, 1);

    let mut recorder = Recorder::open(&path).unwrap();
    map_by_present_rules(&mut recorder).unwrap();
    drop(recorder);
    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    let mut found: Vec<_> = contacts
        .iter()
        .map(|contact| {
            let script = contact.application.script.as_deref().unwrap();
            (script, contact.first, contact.runs, contact.days)
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("/opt/backup/poll.py", at(NOON + DAY), 1, 1),
            ("/opt/backup/push.py", at(NOON), 2, 2),
        ]
    );
}

#[test]
fn a_store_that_was_mapped_by_the_present_rules_is_left_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(
        &path,
        vec![made_by(
            flow(NOON, "192.0.2.1"),
            "/opt/app-1.0/bin/app",
            1,
            None,
        )],
    );
    let mut recorder = Recorder::open(&path).unwrap();
    recorder
        .set_applications(RULES_VERSION, Vec::new())
        .unwrap();
    map_by_present_rules(&mut recorder).unwrap();
    drop(recorder);
    let known = [("/opt/app-1.0/bin/app", "192.0.2.1", 1, NOON)];
    assert_eq!(contacts(&path), expected(&known));
}
