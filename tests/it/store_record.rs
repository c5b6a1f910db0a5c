//! Recording: what a batch leaves behind, and what it must not.

use std::collections::BTreeMap;

use egress_baseline::{
    model::{Batch, Flow, Loss, LossCause, Outcome, Tally, Ticket, Window},
    store::{ContactQuery, Reader, Recorder},
};
use tempfile::tempdir;

use crate::support_store::{
    DAY, HOUR, NOON, SECOND, at, batch, flow, flows, made_by, named, number, pending, record_of,
    settled, store_with, total, watch_period,
};

#[test]
fn a_flow_comes_back_as_it_was_recorded_with_its_maker() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut whole = named(NOON + 7, "a\u{1b}[31m\nb.example", "2001:db8::7");
    whole.end = Some(at(NOON + 3 * HOUR));
    whole.errno = Some(-7);
    whole.state = Some("S0\0\r\n".to_owned());
    whole.duration = Some(std::time::Duration::from_nanos(17));
    let program = format!("/tmp/{}\n\u{1b}]0;x\u{7}", "x".repeat(4_096));
    let record = made_by(whole.clone(), &program, 4_294_967_295, Some("cgroup:77"));
    store_with(&path, vec![record.clone()]);

    let stored = flows(&path);
    assert_eq!(stored.len(), 1);
    let flow_id = stored[0].flow.flow_id.clone();
    assert_eq!(
        stored[0].flow,
        Flow {
            flow_id: flow_id.clone(),
            ..whole
        }
    );
    assert_eq!(stored[0].process.as_ref(), record.process.as_deref());
    assert_eq!(stored[0].identity, record.identity.raw);
    assert_eq!(
        stored[0].application.as_ref(),
        Some(&record.identity.application)
    );
    assert_eq!(stored[0].run.as_deref(), Some("cgroup:77"));

    let reader = Reader::open(&path).unwrap();
    let found = reader.flow(&flow_id.unwrap()).unwrap();
    assert_eq!(found.as_ref(), stored.first());
    assert_eq!(reader.flow("nonsense").unwrap(), None);
}

#[test]
fn counts_that_no_host_can_reach_neither_fail_nor_wrap() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let huge = || {
        record_of(Flow {
            attempts: u64::MAX,
            bytes_out: Some(u64::MAX),
            ..flow(i64::MIN, "192.0.2.1")
        })
    };
    store_with(
        &path,
        vec![huge(), huge(), record_of(flow(i64::MAX, "192.0.2.1"))],
    );

    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    assert!(contacts[0].total().attempts >= i64::MAX as u64);
    for view in ["contacts", "flows", "applications", "coverage_by_day"] {
        assert!(
            number(&path, &format!("SELECT COUNT(*) FROM {view}")) > 0,
            "{view}"
        );
    }
}

#[test]
fn the_same_behaviour_fifty_times_adds_flow_detail_and_nothing_else() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let tables: Vec<String> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'flow'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let rows = || -> BTreeMap<&String, i64> {
        tables
            .iter()
            .map(|table| {
                (
                    table,
                    number(&path, &format!("SELECT COUNT(*) FROM {table}")),
                )
            })
            .collect()
    };
    let mut after_first = None;
    for round in 0..50 {
        let records = (0..1_000)
            .map(|index| {
                let start = NOON + round * 10 * SECOND + index;
                let name = format!("n{}.example", index % 40);
                let address = format!("192.0.2.{}", index % 200);
                made_by(
                    named(start, &name, &address),
                    "/usr/bin/rsync",
                    812,
                    Some("cgroup:1"),
                )
            })
            .collect();
        recorder
            .record(period, &batch(records, NOON + round))
            .unwrap();
        after_first.get_or_insert_with(rows);
    }
    assert_eq!(Some(rows()), after_first);
    assert_eq!(number(&path, "SELECT COUNT(*) FROM flow"), 50_000);
    assert_eq!(total(&path).attempts, 50_000);
}

#[test]
fn a_settled_connect_takes_the_place_of_the_pending_one_even_an_hour_later() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let start = NOON + HOUR - SECOND;
    recorder
        .record(
            period,
            &batch(vec![pending(flow(start, "192.0.2.1"), 1)], start),
        )
        .unwrap();
    let pending_id = flows(&path)[0].flow.flow_id.clone();
    // Its name became known meanwhile, and the row begins in the next hour.
    let end = named(NOON + HOUR, "a.example", "192.0.2.1");
    let added = recorder
        .record(period, &batch(vec![settled(end, 1)], NOON + HOUR))
        .unwrap();
    assert_eq!(added.flows, 0);

    let stored = flows(&path);
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].flow.flow_id, pending_id);
    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].destination.name.as_deref(), Some("a.example"));
    assert_eq!(contacts[0].first, at(NOON + HOUR));
    assert_eq!(
        contacts[0].outcomes,
        BTreeMap::from([(
            Outcome::Established,
            Tally {
                attempts: 1,
                bytes_out: 100,
                bytes_in: 2_000
            }
        )])
    );
}

#[test]
fn a_retracted_connect_leaves_no_trace_in_reports() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    recorder
        .record(
            period,
            &batch(
                vec![pending(named(NOON, "a.example", "192.0.2.1"), 9)],
                NOON,
            ),
        )
        .unwrap();
    let retraction = Batch {
        retracted: vec![Ticket(9), Ticket(10)],
        covered_until: at(NOON),
        ..Batch::default()
    };
    recorder.record(period, &retraction).unwrap();

    assert_eq!(flows(&path), []);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.contacts(&ContactQuery::default()).unwrap(), []);
    assert_eq!(number(&path, "SELECT COUNT(*) FROM name_address"), 0);
}

#[test]
fn an_outcome_whose_pending_row_is_not_known_is_a_row_of_its_own() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(&path, vec![settled(flow(NOON, "192.0.2.1"), 77)]);
    assert_eq!(flows(&path).len(), 1);
    assert_eq!(total(&path).attempts, 1);
}

#[test]
fn a_batch_that_failed_can_be_recorded_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    recorder
        .record(
            period,
            &batch(vec![pending(flow(NOON, "192.0.2.1"), 1)], NOON),
        )
        .unwrap();
    let second = batch(
        vec![
            settled(flow(NOON, "192.0.2.1"), 1),
            made_by(
                named(NOON, "b.example", "192.0.2.2"),
                "/usr/bin/curl",
                900,
                None,
            ),
        ],
        NOON + SECOND,
    );
    let saboteur = rusqlite::Connection::open(&path).unwrap();
    saboteur
        .execute_batch(
            "CREATE TRIGGER sabotage BEFORE UPDATE ON watch_period
             BEGIN SELECT RAISE(ABORT, 'sabotage'); END",
        )
        .unwrap();
    assert!(recorder.record(period, &second).is_err());
    assert_eq!(flows(&path).len(), 1);
    assert_eq!(flows(&path)[0].flow.outcome, Outcome::Pending);
    saboteur.execute_batch("DROP TRIGGER sabotage").unwrap();

    recorder.record(period, &second).unwrap();
    assert_eq!(flows(&path).len(), 2);
    assert_eq!(total(&path).attempts, 2);
    assert!(
        flows(&path)
            .iter()
            .all(|it| it.flow.outcome == Outcome::Established)
    );
}

#[test]
fn an_observer_that_was_killed_leaves_its_flows_and_an_open_watch_period() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open_for_observer(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    recorder
        .record(
            period,
            &batch(vec![record_of(flow(NOON, "192.0.2.1"))], NOON + 9 * SECOND),
        )
        .unwrap();
    // What a killed process leaves: the files as they are, log included.
    let left = directory.path().join("left.db");
    for suffix in ["", "-wal"] {
        let name = |base: &str| directory.path().join(format!("{base}{suffix}"));
        std::fs::copy(name("flows.db"), name("left.db")).unwrap();
    }

    let mut next = Recorder::open_for_observer(&left).unwrap();
    let second = next.begin(&watch_period("web-1", NOON + HOUR)).unwrap();
    next.end(second, at(NOON + 2 * HOUR)).unwrap();
    let periods = Reader::open(&left)
        .unwrap()
        .watch_periods(&Window::default())
        .unwrap();
    let ends: Vec<_> = periods
        .iter()
        .map(|it| (it.period.covered_until, it.period.ended, it.flows))
        .collect();
    assert_eq!(
        ends,
        [
            (at(NOON + 9 * SECOND), None, 1),
            (at(NOON + HOUR), Some(at(NOON + 2 * HOUR)), 0)
        ]
    );
}

#[test]
fn losses_are_kept_by_cause_and_shown_per_day() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let lost = |since: i64, count: u64, bytes: Option<u64>| Loss {
        cause: LossCause::RingFull,
        since: at(since),
        until: at(since + SECOND),
        count,
        bytes,
    };
    let losses = vec![
        lost(NOON, 3, None),
        lost(NOON, 4, Some(10)),
        lost(NOON + DAY, 5, None),
    ];
    let batch = Batch {
        losses,
        ..batch(Vec::new(), NOON + DAY + 2 * HOUR)
    };
    recorder.record(period, &batch).unwrap();

    let periods = Reader::open(&path)
        .unwrap()
        .watch_periods(&Window::default())
        .unwrap();
    assert_eq!(
        periods[0].losses,
        [Loss {
            cause: LossCause::RingFull,
            since: at(NOON),
            until: at(NOON + DAY + SECOND),
            count: 12,
            bytes: Some(10)
        }]
    );
    let days: Vec<(String, i64, i64)> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare("SELECT day, covered_seconds, losses FROM coverage_by_day ORDER BY day")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        days,
        [
            ("2026-11-22".to_owned(), 12 * 3_600, 7),
            ("2026-11-23".to_owned(), 14 * 3_600, 5)
        ]
    );
}

#[test]
fn time_that_two_observers_covered_counts_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    for (started, covered_until) in [(0, 4), (1, 2), (3, 6), (8, 9)] {
        let mut period = watch_period("web-1", NOON + started * HOUR);
        period.covered_until = at(NOON + covered_until * HOUR);
        recorder.begin(&period).unwrap();
    }
    let covered = "SELECT SUM(covered_seconds) FROM coverage_by_day";
    assert_eq!(number(&path, covered), 7 * 3_600);
}
