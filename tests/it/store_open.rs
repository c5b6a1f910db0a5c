//! Opening: what is refused is left as it is, and what can be read is read.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use egress_baseline::{
    model::Window,
    store::{Reader, Recorder, StoreError},
};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::support_store::{NOON, batch, flow, flows, record_of, small_store, watch_period};

/// Neither side opens the file, and neither changes it nor leaves anything beside it.
fn refused(path: &Path) -> StoreError {
    let listing = |of: &Path| {
        let mut names: Vec<_> = fs::read_dir(of)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let directory = path.parent().unwrap();
    let before = (fs::read(path).unwrap(), listing(directory));
    let to_write = Recorder::open_for_observer(path).unwrap_err();
    let to_read = Reader::open(path).unwrap_err();
    assert_eq!(to_write.to_string(), to_read.to_string());
    assert!(to_write.to_string().contains(path.to_str().unwrap()));
    assert!(to_write.hint().is_some());
    assert_eq!((fs::read(path).unwrap(), listing(directory)), before);
    to_write
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempdir().unwrap();
    for (name, content) in [
        ("text", "[section]\nkey = 1\n".repeat(99).into_bytes()),
        ("short", b"x".to_vec()),
        ("magic", b"SQLite format 2\0".to_vec()),
        ("zeros", vec![0; 8_192]),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        assert!(
            matches!(refused(&path), StoreError::NotADatabase { .. }),
            "{name}"
        );
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let directory = tempdir().unwrap();
    for (name, set_up) in [
        ("unmarked", "CREATE TABLE flow (id INTEGER PRIMARY KEY);"),
        (
            "marked",
            "PRAGMA application_id = 252006673; CREATE TABLE x (y);",
        ),
        ("walled", "PRAGMA journal_mode = WAL; CREATE TABLE x (y);"),
        ("cut", "CREATE TABLE x (y);"),
    ] {
        let path = directory.path().join(name);
        Connection::open(&path)
            .unwrap()
            .execute_batch(set_up)
            .unwrap();
        if name == "cut" {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..40]).unwrap();
        }
        assert!(
            matches!(refused(&path), StoreError::OtherProgram { .. }),
            "{name}"
        );
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone_even_if_only_the_log_tells() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    small_store(&path);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 4000; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    assert!(matches!(
        refused(&path),
        StoreError::Newer { found: 4_000, .. }
    ));

    let other = directory.path().join("other.db");
    small_store(&other);
    let newer = Connection::open(&other).unwrap();
    newer.execute_batch("PRAGMA user_version = 4001").unwrap();
    for suffix in ["", "-wal"] {
        let name = |base: &str| directory.path().join(format!("{base}{suffix}"));
        fs::copy(name("other.db"), name("killed.db")).unwrap();
    }
    let killed = directory.path().join("killed.db");
    let log = directory.path().join("killed.db-wal");
    let before = (fs::read(&killed).unwrap(), fs::read(&log).unwrap());
    let error = Recorder::open(&killed).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 4_001, .. }));
    assert_eq!(
        (fs::read(&killed).unwrap(), fs::read(&log).unwrap()),
        before
    );
}

#[test]
fn a_reader_asks_for_a_migration_that_it_cannot_do() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    small_store(&path);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 0")
        .unwrap();
    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 0, .. }));
    assert!(error.hint().unwrap().contains(path.to_str().unwrap()));
}

#[test]
fn a_damaged_database_is_reported_as_damaged() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    small_store(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = Recorder::open(&path)
        .and_then(|mut recorder| recorder.begin(&watch_period("web-1", NOON)))
        .unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains(".recover"));
}

#[test]
fn places_where_no_database_can_be_are_named() {
    let directory = tempdir().unwrap();
    let place = directory.path();
    let nowhere = place.join("a/b/flows.db");
    assert!(matches!(
        Recorder::open(&nowhere).unwrap_err(),
        StoreError::NoDirectory { directory, .. } if directory == place.join("a")
    ));
    assert!(matches!(
        Reader::open(&nowhere).unwrap_err(),
        StoreError::NotFound { .. }
    ));
    assert!(matches!(
        Recorder::open(place).unwrap_err(),
        StoreError::NotADatabase { .. }
    ));
    fs::write(place.join("file"), "x").unwrap();
    assert!(Recorder::open(&place.join("file/flows.db")).is_err());
    symlink(place.join("gone"), place.join("link")).unwrap();
    assert!(Recorder::open(&place.join("link")).is_err());
    symlink("/dev/null", place.join("device")).unwrap();
    assert!(matches!(
        Recorder::open(&place.join("device")).unwrap_err(),
        StoreError::NotADatabase { .. }
    ));
}

#[test]
fn a_new_database_and_its_directory_are_closed_to_others() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state/flows.db");
    let mut recorder = Recorder::open_for_observer(&path).unwrap();
    recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let mode = |of: &Path| fs::metadata(of).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o750);
    for suffix in ["", "-wal", "-shm", "-observer"] {
        let file = path.with_file_name(format!("flows.db{suffix}"));
        assert_eq!(mode(&file) & 0o137, 0, "{suffix}");
    }
}

#[test]
fn an_empty_file_becomes_a_database() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    fs::write(&path, "").unwrap();
    assert!(Reader::open(&path).is_err());
    small_store(&path);
    assert_eq!(flows(&path).len(), 1);
}

#[test]
fn a_second_observer_is_refused_with_the_pid_of_the_first() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let first = Recorder::open_for_observer(&path).unwrap();
    let pid = std::process::id();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.observer_pid().unwrap(), Some(pid));

    let error = Recorder::open_for_observer(&path).unwrap_err();
    assert!(matches!(error, StoreError::Observed { pid: Some(held), .. } if held == pid));
    assert!(error.hint().unwrap().contains(&format!("kill {pid}")));
    assert_eq!(reader.observer_pid().unwrap(), Some(pid));

    drop(first);
    assert_eq!(reader.observer_pid().unwrap(), None);
    Recorder::open_for_observer(&path).unwrap();
}

#[test]
fn readers_and_other_writers_work_beside_a_running_observer() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut observer = Recorder::open_for_observer(&path).unwrap();
    let period = observer.begin(&watch_period("web-1", NOON)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let mut other = Recorder::open(&path).unwrap();
    let other_period = other.begin(&watch_period("web-2", NOON)).unwrap();
    for round in 0..3 {
        let one = |address| batch(vec![record_of(flow(NOON + round, address))], NOON + round);
        observer.record(period, &one("192.0.2.1")).unwrap();
        other.record(other_period, &one("192.0.2.2")).unwrap();
    }
    assert_eq!(reader.size().unwrap().flows, 6);
    assert_eq!(reader.watch_periods(&Window::default()).unwrap().len(), 2);
}

#[test]
fn a_closed_database_is_complete_in_its_file_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    small_store(&path);
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(flows(&copy).len(), 1);
}
