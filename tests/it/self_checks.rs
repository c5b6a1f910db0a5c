//! Self-checks in the store, in dumps, and in `status`.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::path::Path;

use egress_baseline::{
    model::{CheckedKind, Record, SelfCheck, Verdict, WatchPeriod},
    store::{Reader, Recorder, WatchPeriodId},
};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::{
    support_cli::Place,
    support_store::{
        HOUR, NOON, at, flow, import_period, import_records, number, record_of, records,
        watch_period,
    },
};

fn kind(
    name: &str,
    verdict: Verdict,
    blind_spot: Option<&str>,
    detail: Option<&str>,
) -> CheckedKind {
    CheckedKind {
        kind: name.to_owned(),
        verdict,
        blind_spot: blind_spot.map(str::to_owned),
        detail: detail.map(str::to_owned),
    }
}

fn check(kinds: Vec<CheckedKind>) -> SelfCheck {
    SelfCheck {
        at: at(NOON + 1_000_000_000),
        kernel: Some("6.1.0-54-cloud-amd64".to_owned()),
        backend: "kprobe".to_owned(),
        obstacle: None,
        kinds,
    }
}

fn mixed() -> SelfCheck {
    check(vec![
        kind("tcp4-connected", Verdict::Seen, None, None),
        kind(
            "tcp4-no-route",
            Verdict::InPart,
            Some("connect-errno"),
            None,
        ),
        kind("udp6-sendto", Verdict::Missed, None, Some("not recorded")),
        kind(
            "sctp4-send",
            Verdict::NotMade,
            None,
            Some("no \u{1b}[2J here"),
        ),
    ])
}

/// A store whose observer found this.
fn store_of(path: &Path, checks: &[SelfCheck]) {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    for check in checks {
        recorder.record_self_check(period, check).unwrap();
    }
    recorder.end(period, at(NOON + HOUR)).unwrap();
}

fn status_of(checks: &[SelfCheck]) -> String {
    let place = Place::new();
    store_of(&place.path().join("flows.db"), checks);
    place.run(&["status"]).told()
}

/// A place whose observer has begun, through the backend `kprobe`, and what it goes on with.
fn observed() -> (Place, Recorder, WatchPeriodId) {
    let place = Place::new();
    let mut recorder = Recorder::open(&place.path().join("flows.db")).unwrap();
    let period = recorder.begin(&began(1)).unwrap();
    (place, recorder, period)
}

/// A watch period whose hooks were on so many seconds after the boot.
fn began(since_boot: u64) -> WatchPeriod {
    WatchPeriod {
        backend: Some("kprobe".to_owned()),
        boot_id: Some("3b7e-boot".to_owned()),
        settings: serde_json::json!({ "since_boot_ns": since_boot * 1_000_000_000 }),
        ..watch_period("web-1", NOON)
    }
}

#[test]
fn a_self_check_is_read_back_as_it_was_written() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let hindered = SelfCheck {
        at: at(NOON + 2_000_000_000),
        obstacle: Some("make a network namespace: denied".to_owned()),
        ..check(Vec::new())
    };
    store_of(&path, &[mixed(), hindered.clone(), mixed()]);
    let read: Vec<_> = Reader::open(&path).unwrap().self_checks().unwrap();
    let checks: Vec<_> = read.into_iter().map(|(_, check)| check).collect();
    assert_eq!(checks, [mixed(), hindered]);
    assert_eq!(
        number(&path, "SELECT missed FROM self_checks ORDER BY checked_ns"),
        1
    );
    assert_eq!(number(&path, "SELECT COUNT(*) FROM self_check_kinds"), 4);
}

#[test]
fn a_dump_carries_self_checks_and_a_second_import_adds_none() {
    let directory = tempdir().unwrap();
    let (one, other) = (
        directory.path().join("one.db"),
        directory.path().join("other.db"),
    );
    store_of(&one, &[mixed()]);
    let dump = records(&one);
    for file in ["first", "second"] {
        import_records(&other, &import_period(file, NOON + HOUR), &dump);
    }
    let came_over: Vec<_> = records(&other)
        .into_iter()
        .filter_map(|record| match record {
            Record::SelfCheck { check, .. } => Some(check),
            _ => None,
        })
        .collect();
    assert_eq!(came_over, [mixed()]);
}

#[test]
fn a_database_from_before_self_checks_is_brought_up_to_date_and_has_none() {
    let directory = tempdir().unwrap();
    let (old, new) = (
        directory.path().join("old.db"),
        directory.path().join("new.db"),
    );
    store_of(&new, &[]);
    let new = Connection::open(&new).unwrap();
    let application: i64 = new
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    let connection = Connection::open(&old).unwrap();
    connection
        .execute_batch(include_str!("../../migrations/0001_flows.sql"))
        .unwrap();
    connection
        .execute_batch(&format!(
            "INSERT INTO origin (id, store_id) VALUES (1, '00112233445566ff');
             PRAGMA application_id = {application};
             PRAGMA user_version = 1"
        ))
        .unwrap();
    drop(connection);
    let mut recorder = Recorder::open(&old).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let batch = crate::support_store::batch(vec![record_of(flow(NOON, "192.0.2.1"))], NOON + HOUR);
    recorder.record(period, &batch).unwrap();
    drop(recorder);
    assert_eq!(Reader::open(&old).unwrap().self_checks().unwrap(), []);
    assert_eq!(number(&old, "SELECT COUNT(*) FROM flow"), 1);
}

#[test]
fn the_observer_of_a_store_is_the_one_whose_period_is_open() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    assert_eq!(recorder.open_watch_period().unwrap(), None);
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let open = recorder.open_watch_period().unwrap().unwrap();
    assert_eq!(open.id, period);
    assert_eq!(open.backend, watch_period("web-1", NOON).backend);
    recorder.end(period, at(NOON + HOUR)).unwrap();
    assert_eq!(recorder.open_watch_period().unwrap(), None);
}

#[test]
fn status_tells_what_was_missed_in_lines_of_their_own() {
    let place = Place::new();
    store_of(&place.path().join("flows.db"), &[mixed()]);
    let run = place.run(&["status"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(1), ""));
    let text = run.stdout;
    assert!(
        text.contains("Self-check  2 of 3 kinds of flow seen (1 in part, 1 not made here), 1 MISSED, 2026-11-22 12:00\n"),
        "{text}"
    );
    assert!(
        text.contains("\n  MISSED  udp6-sendto: not recorded\n"),
        "{text}"
    );
}

#[test]
fn status_is_calm_where_everything_was_seen_and_silent_where_nothing_was_tried() {
    let seen = check(vec![kind("tcp4-connected", Verdict::Seen, None, None)]);
    let text = status_of(&[seen]);
    assert!(
        text.contains("Self-check  1 of 1 kinds of flow seen, 2026-11-22 12:00\n"),
        "{text}"
    );
    assert!(!text.contains("MISSED"), "{text}");
    // All values stand below one another, however long the labels are.
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("Observer    not running"), "{first}");
    assert!(!status_of(&[]).contains("Self-check"));
}

#[test]
fn status_says_why_a_self_check_could_not_run_and_shows_hostile_text_as_text() {
    let hindered = SelfCheck {
        obstacle: Some("make a network namespace: \u{1b}[2J".to_owned()),
        ..check(Vec::new())
    };
    let text = status_of(&[hindered]);
    assert!(
        text.contains("Self-check  could not run: make a network namespace: \\u{1b}[2J, "),
        "{text}"
    );
}

#[test]
fn what_an_observer_proved_is_told_after_the_clock_was_set_and_not_after_another_start() {
    let (place, mut recorder, period) = observed();
    let seen = check(vec![kind("tcp4-connected", Verdict::Seen, None, None)]);
    recorder.record_self_check(period, &seen).unwrap();
    // Set back: the later watch period has the earlier times.
    let next = recorder.go_on(period, at(NOON - HOUR)).unwrap();
    recorder.end(period, at(NOON - HOUR)).unwrap();
    recorder.end(next, at(NOON + HOUR)).unwrap();
    let text = place.run(&["status"]).told();
    assert!(text.contains("Self-check  1 of 1 kinds"), "{text}");
    recorder
        .begin(&WatchPeriod {
            started: at(NOON + HOUR),
            covered_until: at(NOON + HOUR),
            ..began(9)
        })
        .unwrap();
    let text = place.run(&["status"]).told();
    assert!(!text.contains("Self-check"), "{text}");
}

#[test]
fn doctor_proves_the_hooks_that_the_observer_records_through_or_nothing() {
    let (place, _recorder, _period) = observed();
    let complaint = place
        .run(&["doctor", "--quick", "--record", "--backend", "cgroup"])
        .complaint();
    assert!(
        complaint.contains("the observer records through backend `kprobe`, not `cgroup`")
            && complaint.contains("hint: leave `--backend` out"),
        "{complaint}"
    );
}

#[test]
fn doctor_makes_no_database_for_an_observer_that_is_not_there() {
    let place = Place::new();
    let complaint = place.run(&["doctor", "--quick", "--record"]).complaint();
    assert!(
        complaint.contains("no observer records into"),
        "{complaint}"
    );
    assert!(!place.path().join("flows.db").exists());
}

#[test]
fn doctor_leaves_an_observer_alone_whose_configuration_turns_self_checks_off() {
    let place = Place::new();
    let config = place.file("config.toml", b"[observe]\nself_check = false\n");
    let config = config.to_str().unwrap();
    let asked = ["--config", config, "doctor", "--quick", "--record"];
    assert_eq!(
        place
            .run(&[asked.as_slice(), &["--unless-off"]].concat())
            .told(),
        ""
    );
    // Whoever asks for it gets it all the same.
    place.run(&asked).complaint();
}
