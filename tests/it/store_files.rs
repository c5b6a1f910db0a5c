//! Files that ran, as the store keeps them.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{path::Path, sync::Arc};

use egress_baseline::{
    model::{
        Batch, FileFacts, FilePlace, FileRole, FileUse, FlowRecord, NoDigest, Ownership, Package,
        PackageCheck,
    },
    store::{Recorder, Retention},
};
use tempfile::tempdir;

use crate::{
    support_cli::Place,
    support_store::{NOON, at, batch, flow, made_by, number, watch_period},
};

const DAY: i64 = 86_400_000_000_000;

fn file(version: &str, sha256: &str) -> FileFacts {
    FileFacts {
        host: "web-1".to_owned(),
        path: "/usr/bin/rsync".to_owned(),
        device: Some(8 << 20),
        inode: Some(u64::MAX),
        size: Some(4_711),
        changed: Some(at(NOON - DAY)),
        sha256: Some(sha256.repeat(64)),
        mode: Some(0o4755),
        owner_uid: Some(0),
        owner_gid: Some(0),
        capabilities: Some("2000".to_owned()),
        ownership: Ownership::Packaged,
        package: Some(Package {
            manager: "dpkg".to_owned(),
            name: "rsync".to_owned(),
            version: Some(version.to_owned()),
            architecture: Some("amd64".to_owned()),
            check: PackageCheck::Matches,
        }),
        ..FileFacts::default()
    }
}

fn script() -> FileFacts {
    FileFacts {
        host: "web-1".to_owned(),
        path: "/tmp/\u{1b}[31m\u{202e}run".to_owned(),
        no_sha256: Some(NoDigest::Gone),
        place: Some(FilePlace::Temporary),
        writable_by_all: Some("/tmp/\u{1b}[31m\u{202e}run".to_owned()),
        ..FileFacts::default()
    }
}

fn uses(record: &FlowRecord, role: FileRole, file: FileFacts) -> FileUse {
    FileUse {
        file: Arc::new(file),
        role,
        identity: Arc::clone(&record.identity),
        process: Arc::clone(record.process.as_ref().unwrap()),
        first: record.flow.start,
        last: record.flow.end.unwrap_or(record.flow.start),
    }
}

/// A flow of one process image at a time, with the file that it ran.
fn run_of(start: i64, pid: u32, ran: &FileFacts) -> Batch {
    let record = made_by(flow(start, "192.0.2.1"), "/usr/bin/rsync", pid, None);
    Batch {
        files: vec![uses(&record, FileRole::Executable, ran.clone())],
        ..batch(vec![record], start + 1)
    }
}

fn recorded(path: &Path, batches: &[Batch]) -> Recorder {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON - DAY)).unwrap();
    for batch in batches {
        recorder.record(period, batch).unwrap();
    }
    recorder
}

#[test]
fn a_new_version_is_another_row_and_the_old_one_stays_with_its_time() {
    let place = Place::new();
    let (old, new) = (file("3.2.7-1", "a"), file("3.2.7-2", "b"));
    let batches = [
        run_of(NOON, 1, &old),
        run_of(NOON + 10, 2, &old),
        run_of(NOON + 20, 3, &new),
    ];
    let path = place.path().join("flows.db");
    drop(recorded(&path, &batches));
    assert_eq!(number(&path, "SELECT COUNT(*) FROM file"), 2);
    let rows = "SELECT COUNT(*) FROM files WHERE last_ns - first_ns";
    assert_eq!(number(&path, &format!("{rows} = 10")), 1);
    assert_eq!(number(&path, &format!("{rows} = 0")), 1);
    assert_eq!(number(&path, "SELECT COUNT(*) FROM application"), 1);
    assert_eq!(
        number(&path, "SELECT COUNT(DISTINCT exe_file_id) FROM process"),
        2
    );
}

#[test]
fn what_was_found_out_after_the_flow_was_written_is_tied_to_it_all_the_same() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut late = run_of(NOON, 1, &file("1", "a"));
    let flows = Batch {
        files: Vec::new(),
        ..late.clone()
    };
    late.flows.clear();
    drop(recorded(&path, &[flows, late]));
    assert_eq!(
        number(&path, "SELECT COUNT(*) FROM process WHERE exe_file_id = 1"),
        1
    );
    assert_eq!(number(&path, "SELECT COUNT(*) FROM files"), 1);
}

#[test]
fn files_of_makers_without_a_flow_are_not_kept() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut canary = run_of(NOON, 1, &file("1", "a"));
    canary.flows.clear();
    drop(recorded(&path, &[canary]));
    for table in ["file", "identity_file", "process", "identity"] {
        assert_eq!(
            number(&path, &format!("SELECT COUNT(*) FROM {table}")),
            0,
            "{table}"
        );
    }
}

#[test]
fn who_has_no_flow_keeps_nobody_elses_file_away() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let canary = made_by(flow(NOON, "192.0.2.1"), "/usr/bin/canary", 1, None);
    let mut other = run_of(NOON, 2, &file("2", "b"));
    let of_canary = uses(&canary, FileRole::Executable, file("1", "a"));
    other.files.insert(0, of_canary);
    drop(recorded(&path, &[other]));
    let rows = "SELECT COUNT(*) FROM file WHERE package_version";
    assert_eq!(number(&path, &format!("{rows} = '1'")), 0);
    assert_eq!(number(&path, &format!("{rows} = '2'")), 1);
}

#[test]
fn a_dump_restores_files_and_dumps_the_same_again() {
    let place = Place::new();
    let (old, new) = (file("3.2.7-1", "a"), file("3.2.7-2", "b"));
    let mut last = run_of(NOON + 20, 3, &new);
    let with_script = uses(&last.flows[0], FileRole::Script, script());
    last.files.push(with_script);
    drop(recorded(
        &place.path().join("flows.db"),
        &[run_of(NOON, 1, &old), last],
    ));
    let dumped = place.run(&["dump", "--all"]).told();
    assert_eq!(dumped.matches(r#""kind":"file","#).count(), 3);
    assert_eq!(dumped.matches(r#""kind":"file_use","#).count(), 3);
    assert_eq!(dumped.matches(r#""script_file_id":"#).count(), 1);
    place.file("all.ndjson", dumped.as_bytes());
    let other = Place::new();
    other.file("all.ndjson", dumped.as_bytes());
    other.run(&["import", "all.ndjson"]).told();
    let lines = |text: &str| -> Vec<String> {
        let with = ["file", "file_use", "process"].map(|kind| format!(r#"{{"kind":"{kind}","#));
        let lines = text
            .lines()
            .filter(|line| with.iter().any(|kind| line.starts_with(kind)));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(lines(&other.run(&["dump", "--all"]).told()), lines(&dumped));
    // Into the store that it came from it brings nothing.
    place.run(&["import", "all.ndjson"]).told();
    assert_eq!(lines(&place.run(&["dump", "--all"]).told()), lines(&dumped));
}

#[test]
fn a_use_of_a_file_that_the_dump_does_not_have_is_an_error_with_a_hint() {
    let place = Place::new();
    let lines = r#"{"kind":"store","id":"0123456789abcdef","last_flow":1}
{"kind":"process","id":1,"host":"a","exe_file_id":7}"#;
    place.file("cut.ndjson", lines.as_bytes());
    let complaint = place.run(&["import", "cut.ndjson"]).complaint();
    assert!(
        complaint.contains("file 7") && complaint.contains("hint:"),
        "{complaint}"
    );
}

#[test]
fn what_ran_last_before_the_sums_that_are_kept_is_dropped_with_them() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let batches = [
        run_of(NOON - 3 * DAY, 1, &file("1", "a")),
        run_of(NOON, 2, &file("2", "b")),
    ];
    let mut recorder = recorded(&path, &batches);
    let keep = |days: i64| Retention {
        detail_before: Some(at(NOON + DAY)),
        max_bytes: None,
        rollups_before: (days > 0).then(|| at(NOON - days * DAY)),
    };
    recorder.prune(&keep(0)).unwrap();
    assert_eq!(number(&path, "SELECT COUNT(*) FROM file"), 2);
    recorder.prune(&keep(2)).unwrap();
    assert_eq!(number(&path, "SELECT COUNT(*) FROM file"), 1);
    assert_eq!(
        number(
            &path,
            "SELECT COUNT(*) FROM files WHERE package_version = '2'"
        ),
        1
    );
}
