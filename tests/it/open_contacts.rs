//! Connections without an attempt: those that were open already, and those that only stay open.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use egress_baseline::{
    model::{Contact, Flow, Outcome, Tally},
    store::{ContactQuery, Reader},
};
use serde_json::Value;
use std::path::Path;
use tempfile::tempdir;

use crate::{
    support_cli::Place,
    support_store::{
        DAY, HOUR, NOON, flow, import_records, made_by, number, record_of, records, store_with,
        watch_period,
    },
};

/// An open connection at that time, of which nothing moved.
fn silent(start: i64) -> Flow {
    Flow {
        attempts: 0,
        bytes_out: Some(0),
        bytes_in: Some(0),
        ..flow(start, "192.0.2.1")
    }
}

fn contacts(path: &Path) -> Vec<Contact> {
    let query = ContactQuery::default();
    Reader::open(path).unwrap().contacts(&query).unwrap()
}

#[test]
fn a_connection_that_is_open_and_silent_is_a_contact_of_each_day() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let run = Some("cgroup:7");
    store_with(
        &path,
        [NOON, NOON + DAY, NOON + 2 * DAY]
            .map(|start| made_by(silent(start), "/usr/bin/rsync", 812, run))
            .to_vec(),
    );
    let found = contacts(&path);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].days, found[0].runs), (3, 1));
    assert_eq!(found[0].total(), Tally::default());
    assert!(found[0].outcomes.contains_key(&Outcome::Established));
}

#[test]
fn what_failed_without_an_attempt_is_no_contact() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let failed = Flow {
        outcome: Outcome::TimedOut,
        ..silent(NOON)
    };
    store_with(&path, vec![record_of(failed)]);
    assert_eq!(contacts(&path), []);
    assert_eq!(number(&path, "SELECT count(*) FROM flows"), 1);
}

#[test]
fn silent_connections_travel_with_a_dump() {
    let directory = tempdir().unwrap();
    let [from, to] = ["from.db", "to.db"].map(|name| directory.path().join(name));
    store_with(
        &from,
        vec![record_of(silent(NOON)), record_of(silent(NOON + DAY))],
    );
    import_records(&to, &watch_period("web-1", NOON + HOUR), &records(&from));
    let there = contacts(&to);
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].days, 2);
    assert_eq!(there, contacts(&from));
}

/// A connection that was opened before all that is known, and was quiet for a day.
const OPEN: &str = r#"{"ts":"2026-11-20T06:00:00Z","host":"web1","exe":"/usr/bin/push","context":"unit:push.service","proto":"tcp","dst_ip":"192.0.2.7","dst_port":5222,"attempts":0,"bytes_out":700,"bytes_in":20,"state":"established"}
{"ts":"2026-11-21T06:00:00Z","host":"web1","exe":"/usr/bin/push","context":"unit:push.service","proto":"tcp","dst_ip":"192.0.2.7","dst_port":5222,"attempts":0,"bytes_out":0,"bytes_in":0,"state":"established"}
"#;

#[test]
fn a_report_says_of_a_contact_without_an_attempt_that_it_was_opened_earlier() {
    let place = Place::with(OPEN);
    let report = place.run(&["report"]).told();
    let line = report.lines().find(|line| line.contains("192.0.2.7"));
    assert!(line.unwrap().contains("opened earlier"), "{report}");
    let json: Value =
        serde_json::from_str(&place.run(&["report", "--format", "json"]).told()).unwrap();
    let to = &json["hosts"][0]["applications"][0]["destinations"][0];
    assert_eq!(to["attempts"], 0);
    assert_eq!(to["outcomes"]["established"], 0);
    assert_eq!(to["bytes_out"], 700);
}

#[test]
fn a_flow_without_an_attempt_is_explained_as_opened_earlier() {
    let place = Place::with(OPEN);
    let explained = place.run(&["explain", "/usr/bin/push"]).told();
    assert_eq!(
        explained.matches("opened earlier").count(),
        3,
        "{explained}"
    );
    assert!(!explained.contains("0 established"), "{explained}");
}
