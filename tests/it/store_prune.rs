//! Retention: detail goes, sums stay, and the file shrinks.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{fs, path::Path};

use egress_baseline::store::{ContactQuery, Pruned, Reader, Recorder, Retention};
use tempfile::tempdir;

use crate::support_store::{
    DAY, HOUR, NOON, at, batch, flow, flows, made_by, named, number, pending, record_of, settled,
    store_with, total, watch_period,
};

const NOTHING: Retention = Retention {
    detail_before: None,
    max_bytes: None,
    rollups_before: None,
};

fn prune(path: &Path, retention: Retention) -> Pruned {
    Recorder::open(path).unwrap().prune(&retention).unwrap()
}

/// Flows of `days` days, each with a process of its own.
fn store_of_days(path: &Path, days: i64, flows_a_day: i64) {
    let mut records = Vec::new();
    for day in 0..days {
        for index in 0..flows_a_day {
            let start = NOON + day * DAY + index;
            let name = format!("n{}.example", index % 5);
            let pid = u32::try_from(day * flows_a_day + index).unwrap();
            records.push(made_by(
                named(start, &name, "192.0.2.1"),
                "/usr/bin/rsync",
                pid,
                Some("r"),
            ));
        }
    }
    store_with(path, records);
}

#[test]
fn detail_goes_by_age_with_the_processes_that_only_it_needed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_of_days(&path, 3, 400);
    let contacts = |path: &Path| {
        let reader = Reader::open(path).unwrap();
        reader.contacts(&ContactQuery::default()).unwrap()
    };
    let before = contacts(&path);
    let pruned = prune(
        &path,
        Retention {
            detail_before: Some(at(NOON + 2 * DAY)),
            ..NOTHING
        },
    );
    assert_eq!(
        (pruned.flows, pruned.processes, pruned.rollups),
        (800, 800, 0)
    );
    assert!(
        pruned.bytes_after < pruned.bytes_before * 2 / 3,
        "{pruned:?}"
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), pruned.bytes_after);
    assert!(
        flows(&path)
            .iter()
            .all(|it| it.flow.start >= at(NOON + 2 * DAY))
    );
    assert_eq!(flows(&path).len(), 400);
    assert_eq!(contacts(&path), before);
    assert_eq!(
        number(&path, "SELECT SUM(attempts) FROM contact_run"),
        1_200
    );
    let again = prune(
        &path,
        Retention {
            detail_before: Some(at(NOON + 2 * DAY)),
            ..NOTHING
        },
    );
    assert_eq!((again.flows, again.processes), (0, 0));
}

#[test]
fn detail_goes_by_size_the_oldest_first_and_no_more_than_has_to() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_of_days(&path, 10, 300);
    let sums = total(&path);
    let limit = fs::metadata(&path).unwrap().len() / 2;
    let pruned = prune(
        &path,
        Retention {
            max_bytes: Some(limit),
            ..NOTHING
        },
    );
    assert!(pruned.bytes_after <= limit, "{pruned:?}");
    assert!(pruned.bytes_after > limit * 8 / 10, "{pruned:?}");
    let kept = flows(&path);
    let oldest = kept.iter().map(|it| it.flow.start).min().unwrap();
    assert!(oldest > at(NOON + 2 * DAY), "{oldest}");
    assert_eq!(
        kept.iter().map(|it| it.flow.start).max(),
        Some(at(NOON + 9 * DAY + 299))
    );
    assert_eq!(total(&path), sums);

    // A limit that cannot be reached drops all detail, and no sums.
    prune(
        &path,
        Retention {
            max_bytes: Some(0),
            ..NOTHING
        },
    );
    assert_eq!(flows(&path), []);
    assert_eq!(total(&path), sums);
}

#[test]
fn rollups_go_only_when_asked_and_take_their_detail_along() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(
        &path,
        vec![
            made_by(
                named(NOON, "old.example", "192.0.2.1"),
                "/usr/bin/rsync",
                1,
                Some("one"),
            ),
            made_by(
                named(NOON + DAY, "new.example", "192.0.2.2"),
                "/usr/bin/rsync",
                2,
                Some("two"),
            ),
        ],
    );
    let pruned = prune(
        &path,
        Retention {
            rollups_before: Some(at(NOON + HOUR)),
            ..NOTHING
        },
    );
    assert_eq!((pruned.flows, pruned.rollups), (1, 2));
    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    let names: Vec<_> = contacts
        .iter()
        .map(|it| it.destination.name.as_deref())
        .collect();
    assert_eq!(names, [Some("new.example")]);
    assert_eq!(flows(&path).len(), 1);
    for table in ["name", "name_pattern", "name_address", "destination", "run"] {
        assert_eq!(
            number(&path, &format!("SELECT COUNT(*) FROM {table}")),
            1,
            "{table}"
        );
    }
}

#[test]
fn an_observer_goes_on_recording_after_what_it_knew_was_pruned_beside_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut observer = Recorder::open_for_observer(&path).unwrap();
    let period = observer.begin(&watch_period("web-1", NOON)).unwrap();
    let old = vec![
        pending(named(NOON, "a.example", "192.0.2.1"), 1),
        record_of(named(NOON, "b.example", "192.0.2.2")),
    ];
    observer.record(period, &batch(old, NOON)).unwrap();
    prune(
        &path,
        Retention {
            rollups_before: Some(at(NOON + DAY)),
            ..NOTHING
        },
    );
    assert_eq!(total(&path).attempts, 0);

    let new = vec![
        settled(named(NOON, "a.example", "192.0.2.1"), 1),
        record_of(named(NOON + DAY, "b.example", "192.0.2.2")),
    ];
    observer.record(period, &batch(new, NOON + DAY)).unwrap();
    assert_eq!(total(&path).attempts, 2);
    assert!(flows(&path).iter().all(|it| it.process.is_some()));
    assert_eq!(flows(&path).len(), 2);
    assert_eq!(
        number(&path, "SELECT COUNT(*) FROM pragma_foreign_key_check"),
        0
    );
}

#[test]
fn pruning_nothing_changes_nothing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(&path, vec![record_of(flow(NOON, "192.0.2.1"))]);
    let pruned = prune(&path, NOTHING);
    assert_eq!((pruned.flows, pruned.processes, pruned.rollups), (0, 0, 0));
    assert_eq!(flows(&path).len(), 1);
    // The first summed up what was over.
    let again = prune(&path, NOTHING);
    assert_eq!((again.flows, again.processes, again.rollups), (0, 0, 0));
    assert_eq!(again.bytes_before, again.bytes_after);
    assert_eq!(flows(&path).len(), 1);
}
