//! A database of an earlier version answers as before.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::path::Path;

use egress_baseline::{
    model::Window,
    store::{ContactQuery, Reader, Recorder, Retention},
};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::{
    support_cli::Place,
    support_store::{NOON, at, batch, flow, flows, number, record_of, watch_period},
};

/// What the program of migration 1 wrote: imports of a foreign file and of a dump, two hosts, runs,
/// names, failures; its newest flow was dropped.
const STORE: &str = include_str!("../fixtures/store_0001.sql");

/// What that program's `dump --all` said of it.
const DUMP: &str = include_str!("../fixtures/store_0001.ndjson");

fn old_store(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")
        .unwrap();
    connection.execute_batch(STORE).unwrap();
    let journal = "PRAGMA journal_mode = WAL";
    connection.query_row(journal, [], |_| Ok(())).unwrap();
}

#[test]
fn an_upgraded_store_dumps_what_it_dumped_before() {
    let place = Place::new();
    let path = place.path().join("flows.db");
    old_store(&path);
    drop(Recorder::open(&path).unwrap());
    let dumped = place.run(&["dump", "--all"]).told();
    for (now, before) in dumped.lines().zip(DUMP.lines()) {
        assert_eq!(now, before);
    }
    assert_eq!(dumped.lines().count(), DUMP.lines().count());
}

#[test]
fn an_upgraded_store_counts_its_flows_and_goes_on_counting() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    old_store(&path);
    let before = number(&path, "SELECT COUNT(*) FROM flow");
    let last = number(&path, "SELECT seq FROM sqlite_sequence WHERE name = 'flow'");
    assert!(last > number(&path, "SELECT MAX(id) FROM flow"));

    let mut recorder = Recorder::open(&path).unwrap();
    let of_periods = |path: &Path| -> u64 {
        let reader = Reader::open(path).unwrap();
        let periods = reader.watch_periods(&Window::default()).unwrap();
        periods.iter().map(|period| period.flows).sum()
    };
    assert_eq!(of_periods(&path), before.cast_unsigned());
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let news = batch(vec![record_of(flow(NOON, "192.0.2.77"))], NOON + 1);
    recorder.record(period, &news).unwrap();
    // The number of the flow that was dropped is not used again.
    assert_eq!(number(&path, "SELECT MAX(id) FROM flow"), last + 1);
    assert_eq!(of_periods(&path), before.cast_unsigned() + 1);

    let everything = Retention {
        detail_before: Some(at(NOON)),
        max_bytes: None,
        rollups_before: None,
    };
    recorder.prune(&everything).unwrap();
    assert_eq!(flows(&path).len(), 1);
    assert_eq!(of_periods(&path), 1);
    assert_eq!(number(&path, "SELECT COUNT(*) FROM maker"), 1);
    assert_eq!(number(&path, "SELECT COUNT(*) FROM flow_import"), 0);
}

#[test]
fn an_upgraded_store_has_the_contacts_that_it_had() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    old_store(&path);
    let sums = "
        SELECT CAST(TOTAL(attempts + 3 * failed_attempts + bytes_out % 997 + hours + runs) AS INTEGER)
        FROM contacts";
    let before = number(&path, sums);
    let rows = number(&path, "SELECT COUNT(*) FROM contacts");
    let mut recorder = Recorder::open(&path).unwrap();
    let runs_before = number(&path, "SELECT CAST(TOTAL(runs) AS INTEGER) FROM contacts");
    assert!(runs_before > 0);
    // As it was left, and packed.
    for is_packed in [false, true] {
        if is_packed {
            recorder.sum_up_days().unwrap();
        }
        assert_eq!(number(&path, sums), before);
        let reader = Reader::open(&path).unwrap();
        let contacts = reader.contacts(&ContactQuery::default()).unwrap();
        assert_eq!(contacts.len(), usize::try_from(rows).unwrap());
        let runs: u64 = contacts.iter().map(|contact| contact.runs).sum();
        assert_eq!(runs, runs_before.cast_unsigned());
    }
}

#[test]
fn the_advice_of_who_meets_an_older_store_works() {
    let place = Place::new();
    old_store(&place.path().join("flows.db"));
    let complaint = place.run(&["report"]).complaint();
    assert!(complaint.contains("flows.db prune"), "{complaint}");
    place.run(&["prune"]).told();
    place.run(&["report"]).told();
}
