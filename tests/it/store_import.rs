//! Importing and dumping: nothing lost on the way, nothing twice.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::path::Path;

use egress_baseline::{
    model::{Batch, Flow, Loss, LossCause, Record, WatchKind, Window},
    store::{ContactQuery, Imported, Reader, Recorded, Recorder, Retention},
};
use tempfile::tempdir;

use crate::support_store::{
    DAY, HOUR, NOON, SECOND, at, batch, flow, flows, import, import_period, import_records,
    made_by, named, number, pending, record_of, records, settled, store_with, total, watch_period,
};

/// Two days of flows with names, runs, a settled connect and a loss.
fn busy_store(path: &Path) {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    recorder
        .record(
            period,
            &batch(vec![pending(flow(NOON, "192.0.2.9"), 1)], NOON),
        )
        .unwrap();
    let mut flows = vec![settled(flow(NOON + HOUR, "192.0.2.9"), 1)];
    for index in 0..60 {
        let start = NOON + index * HOUR;
        let run = format!("cgroup:{}", index / 10);
        let name = format!("n{}.example", index % 4);
        let address = format!("2001:db8::{}", index % 7);
        flows.push(made_by(
            named(start, &name, &address),
            "/usr/bin/rsync",
            812,
            Some(&run),
        ));
        flows.push(made_by(
            flow(start, "192.0.2.1"),
            "/usr/bin/curl",
            900 + index as u32,
            None,
        ));
    }
    let whole = Batch {
        losses: vec![Loss {
            cause: LossCause::RingFull,
            since: at(NOON),
            until: at(NOON + SECOND),
            count: 17,
            bytes: None,
        }],
        ..batch(flows, NOON + 60 * HOUR)
    };
    recorder.record(period, &whole).unwrap();
    recorder.end(period, at(NOON + 60 * HOUR)).unwrap();
}

fn prune_detail(path: &Path, before: i64) {
    let retention = Retention {
        detail_before: Some(at(before)),
        max_bytes: None,
        rollups_before: None,
    };
    let pruned = Recorder::open(path).unwrap().prune(&retention).unwrap();
    assert!(pruned.flows > 0);
}

/// A dump without the import that brought it, and without the id of the store it was taken from.
fn content(path: &Path) -> Vec<Record> {
    let is_content = |record: &Record| match record {
        Record::Store { .. } => false,
        Record::WatchPeriod { period, .. } => period.kind == WatchKind::Observe,
        _ => true,
    };
    records(path).into_iter().filter(is_content).collect()
}

/// Compares record by record: a whole dump is too long to be read in a failure.
fn assert_same(left: &[Record], right: &[Record]) {
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn a_dump_imported_elsewhere_dumps_the_same_again() {
    let directory = tempdir().unwrap();
    let source = directory.path().join("a.db");
    busy_store(&source);
    for pruned_before in [None, Some(NOON + DAY), Some(NOON + 90 * DAY)] {
        if let Some(before) = pruned_before {
            prune_detail(&source, before);
        }
        let target = directory.path().join(format!("{pruned_before:?}.db"));
        import_records(
            &target,
            &import_period("first", NOON + 100 * DAY),
            &records(&source),
        );
        assert_same(&content(&target), &content(&source));

        let contacts = |path: &Path| {
            let reader = Reader::open(path).unwrap();
            reader.contacts(&ContactQuery::default()).unwrap()
        };
        assert_eq!(contacts(&target), contacts(&source));
        assert_eq!(contacts(&target).len(), 6);
    }
    let remainders = content(&source)
        .iter()
        .filter(|record| matches!(record, Record::Rollup(_)))
        .count();
    assert!(remainders > 100, "{remainders}");
}

#[test]
fn an_identity_that_has_no_flows_any_more_travels_too() {
    let directory = tempdir().unwrap();
    let (source, target) = (directory.path().join("a.db"), directory.path().join("b.db"));
    store_with(&source, vec![record_of(flow(NOON, "192.0.2.1"))]);
    let everything = Retention {
        detail_before: None,
        max_bytes: None,
        rollups_before: Some(at(NOON + DAY)),
    };
    Recorder::open(&source).unwrap().prune(&everything).unwrap();
    import_records(
        &target,
        &import_period("first", NOON + DAY),
        &records(&source),
    );
    assert_eq!(number(&target, "SELECT COUNT(*) FROM identity"), 1);
    assert_same(&content(&target), &content(&source));
}

#[test]
fn importing_a_dump_again_in_another_form_adds_nothing() {
    let directory = tempdir().unwrap();
    let (source, target) = (directory.path().join("a.db"), directory.path().join("b.db"));
    busy_store(&source);
    let dump = records(&source);
    import_records(&target, &import_period("first", NOON + 100 * DAY), &dump);
    let before = (content(&target), total(&target));

    let again = import_records(&target, &import_period("second", NOON + 101 * DAY), &dump);
    let known_flows = flows(&source).len() as u64;
    assert_eq!(
        again,
        Imported::Added(Recorded {
            flows: 0,
            known_flows
        })
    );
    assert_same(&content(&target), &before.0);
    assert_eq!(total(&target), before.1);

    // What was detail is a remainder now, and means the same.
    prune_detail(&source, NOON + DAY);
    import_records(
        &target,
        &import_period("third", NOON + 102 * DAY),
        &records(&source),
    );
    assert_eq!(total(&target), before.1);
    // An old dump after a newer one: its flows are within the newer one's remainders.
    let late = directory.path().join("late.db");
    import_records(
        &late,
        &import_period("third", NOON + 102 * DAY),
        &records(&source),
    );
    import_records(&late, &import_period("first", NOON + 103 * DAY), &dump);
    assert_eq!(total(&late), before.1);
    assert_eq!(flows(&late).len(), flows(&target).len());
}

#[test]
fn a_later_dump_of_the_same_store_brings_only_what_is_news() {
    let directory = tempdir().unwrap();
    let (source, target) = (directory.path().join("a.db"), directory.path().join("b.db"));
    let mut recorder = Recorder::open(&source).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let waiting = pending(named(NOON, "a.example", "192.0.2.1"), 1);
    recorder
        .record(
            period,
            &batch(vec![waiting, record_of(flow(NOON, "192.0.2.2"))], NOON),
        )
        .unwrap();
    import_records(&target, &import_period("first", NOON), &records(&source));
    let news = vec![
        settled(named(NOON, "a.example", "192.0.2.1"), 1),
        record_of(flow(NOON + SECOND, "192.0.2.2")),
    ];
    recorder.record(period, &batch(news, NOON + HOUR)).unwrap();
    recorder.end(period, at(NOON + HOUR)).unwrap();
    import_records(&target, &import_period("second", NOON), &records(&source));

    assert_eq!(total(&target).attempts, 3);
    assert_eq!(flows(&target).len(), 3);
    let periods = Reader::open(&target)
        .unwrap()
        .watch_periods(&Window::default())
        .unwrap();
    let observed: Vec<_> = periods
        .iter()
        .filter(|it| it.period.kind == WatchKind::Observe)
        .collect();
    assert_eq!(observed.len(), 1);
    assert_eq!(observed[0].period.ended, Some(at(NOON + HOUR)));
    assert_eq!(observed[0].period.covered_until, at(NOON + HOUR));
}

#[test]
fn what_reaches_a_store_by_two_ways_counts_once() {
    let directory = tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    busy_store(&place("a.db"));
    prune_detail(&place("a.db"), NOON + DAY);
    let dump = records(&place("a.db"));
    import_records(&place("b.db"), &import_period("of a", NOON), &dump);
    import_records(&place("c.db"), &import_period("of a", NOON), &dump);
    let of_b = records(&place("b.db"));
    import_records(&place("c.db"), &import_period("of b", NOON), &of_b);
    assert_eq!(total(&place("c.db")), total(&place("a.db")));
    assert_eq!(flows(&place("c.db")).len(), flows(&place("a.db")).len());

    // And back to where it came from.
    let before = (content(&place("a.db")), total(&place("a.db")));
    import_records(
        &place("a.db"),
        &import_period("of b", NOON + 100 * DAY),
        &of_b,
    );
    assert_same(&content(&place("a.db")), &before.0);
    assert_eq!(total(&place("a.db")), before.1);
}

#[test]
fn a_file_that_two_stores_imported_counts_once_where_they_meet() {
    let directory = tempdir().unwrap();
    let (one, two) = (directory.path().join("a.db"), directory.path().join("b.db"));
    for path in [&one, &two] {
        import(path, &import_period("shared", NOON), |import| {
            import.add_flow(&record_of(flow(NOON, "192.0.2.1")))
        });
    }
    import_records(&two, &import_period("dump of a", NOON), &records(&one));
    assert_eq!(total(&two).attempts, 1);
    assert_eq!(flows(&two).len(), 1);
}

#[test]
fn flows_alone_keep_their_ids_and_are_known_the_next_time() {
    let directory = tempdir().unwrap();
    let (source, target) = (directory.path().join("a.db"), directory.path().join("b.db"));
    busy_store(&source);
    let dumped = flows(&source);
    let mut lines: Vec<Record> = dumped
        .iter()
        .map(|flow| Record::Flow(Box::new(flow.clone())))
        .collect();
    import_records(&target, &import_period("all", NOON), &lines);
    let ids = |path: &Path| -> Vec<_> {
        flows(path)
            .iter()
            .map(|it| it.flow.flow_id.clone())
            .collect()
    };
    assert_eq!(ids(&target), ids(&source));
    assert_eq!(total(&target), total(&source));
    let kept = Reader::open(&target)
        .unwrap()
        .flow(dumped[5].flow.flow_id.as_deref().unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(
        (&kept.flow, &kept.process),
        (&dumped[5].flow, &dumped[5].process)
    );

    lines.pop();
    let fewer = import_records(&target, &import_period("fewer", NOON), &lines);
    assert!(matches!(fewer, Imported::Added(Recorded { flows: 0, .. })));
    // A complete dump has the same flows, and more to say about them.
    import_records(&target, &import_period("complete", NOON), &records(&source));
    assert_eq!(total(&target), total(&source));
    // Flows that a complete dump told only as sums are known as well.
    let late = directory.path().join("late.db");
    prune_detail(&source, NOON + 90 * DAY);
    import_records(&late, &import_period("complete", NOON), &records(&source));
    import_records(&late, &import_period("all", NOON), &lines);
    assert_eq!(total(&late), total(&source));
}

#[test]
fn a_store_knows_its_own_flows_even_after_their_detail_is_gone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a.db");
    busy_store(&path);
    let dump = records(&path);
    prune_detail(&path, NOON + DAY);
    let before = (content(&path), total(&path));
    let again = import_records(&path, &import_period("own", NOON + 100 * DAY), &dump);
    assert!(matches!(again, Imported::Added(Recorded { flows: 0, .. })));
    assert_same(&content(&path), &before.0);
    assert_eq!(total(&path), before.1);
}

#[test]
fn a_store_restored_from_an_old_backup_takes_its_flows_back() {
    let directory = tempdir().unwrap();
    let (path, backup) = (
        directory.path().join("a.db"),
        directory.path().join("backup.db"),
    );
    store_with(&path, vec![record_of(flow(NOON, "192.0.2.1"))]);
    std::fs::copy(&path, &backup).unwrap();
    store_with(
        &path,
        vec![
            record_of(flow(NOON + HOUR, "192.0.2.2")),
            record_of(flow(NOON + HOUR, "192.0.2.3")),
        ],
    );
    import_records(&backup, &import_period("own", NOON), &records(&path));
    assert_eq!(flows(&backup).len(), 3);
    assert_eq!(total(&backup), total(&path));
    let hostile = Flow {
        flow_id: flows(&path)[0]
            .flow
            .flow_id
            .clone()
            .map(|id| format!("{}-{}", &id[..16], i64::MAX)),
        ..flow(NOON, "192.0.2.9")
    };
    import(&backup, &import_period("hostile", NOON), |import| {
        import.add_flow(&record_of(hostile))
    });
    store_with(&backup, vec![record_of(flow(NOON, "192.0.2.1"))]);
    assert_eq!(flows(&backup).len(), 5);
}
