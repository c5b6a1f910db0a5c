//! What cannot be written or read: full disks, read-only places, other users' files.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use egress_baseline::{
    model::Batch,
    store::{Reader, Recorder, StoreError},
};
use tempfile::tempdir;

use crate::support_store::{
    HOUR, NOON, at, batch, flow, flows, number, record_of, small_store, total, watch_period,
};

/// Set in a child process that plays a part of a test.
const PART: &str = "EGRESS_STORE_TEST_PART";
/// The directory in which it does.
const PLACE: &str = "EGRESS_STORE_TEST_PLACE";

/// Runs the test `name` of this binary once more, with `set_up` run before it in a mount namespace
/// of its own. Tests of what root cannot be denied need one.
fn play_part(name: &str, place: &Path, set_up: &str) {
    let unshare: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-root-user", "--mount"]
    };
    let mut command = Command::new("unshare");
    command.args(unshare);
    command.args(["sh", "-ec", &format!("{set_up}\nexec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap());
    play(command, name, place);
}

/// Runs `command`, which becomes this binary, for the test `name` alone.
fn play(mut command: Command, name: &str, place: &Path) {
    let output = command
        .args(["--exact", name, "--nocapture"])
        .env(PART, name)
        .env(PLACE, place)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // A name that is not found runs no test, and would pass.
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The place of the part that this process plays, if it is a child of [`play`].
fn place() -> Option<PathBuf> {
    std::env::var_os(PART)?;
    std::env::var_os(PLACE).map(Into::into)
}

#[test]
fn a_closed_database_is_read_in_a_place_that_cannot_be_written() {
    let name = "store_denied::a_closed_database_is_read_in_a_place_that_cannot_be_written";
    let Some(place) = place() else {
        let directory = tempdir().unwrap();
        let place = directory.path().join("it's 100% #1?");
        fs::create_dir(&place).unwrap();
        small_store(&place.join("flows.db"));
        fs::copy(place.join("flows.db"), place.join("alone.db")).unwrap();
        let set_up = format!(
            "mount --bind \"${PLACE}\" \"${PLACE}\"; mount -o remount,bind,ro \"${PLACE}\""
        );
        return play_part(name, &place, &set_up);
    };
    for file in ["flows.db", "alone.db"] {
        let path = place.join(file);
        assert_eq!(flows(&path).len(), 1, "{file}");
        assert_eq!(Reader::open(&path).unwrap().observer_pid().unwrap(), None);
        let error = Recorder::open(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::ReadOnly { .. }),
            "{file}: {error:?}"
        );
        assert!(error.hint().is_some());
    }
    let error = Recorder::open(&place.join("new.db")).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}

#[test]
fn a_full_disk_is_named_and_loses_nothing_that_was_there() {
    let name = "store_denied::a_full_disk_is_named_and_loses_nothing_that_was_there";
    let Some(place) = place() else {
        let directory = tempdir().unwrap();
        let set_up = format!("mount -t tmpfs -o size=1m tmpfs \"${PLACE}\"");
        return play_part(name, directory.path(), &set_up);
    };
    let path = place.join("flows.db");
    let mut recorder = Recorder::open_for_observer(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let many = |round: i64| -> Batch {
        let flows = (0..200).map(|index| record_of(flow(NOON + round * HOUR + index, "192.0.2.1")));
        batch(flows.collect(), NOON + round * HOUR)
    };
    let (failed, error) = (0..100)
        .find_map(|round| Some((round, recorder.record(period, &many(round)).err()?)))
        .unwrap();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("prune"));
    assert_eq!(total(&path).attempts, u64::try_from(failed).unwrap() * 200);

    // The same batch goes in once there is room, and the observer goes on.
    let larger = Command::new("mount")
        .args(["-o", "remount,size=16m"])
        .arg(&place)
        .status()
        .unwrap();
    assert!(larger.success());
    recorder.record(period, &many(failed)).unwrap();
    recorder.end(period, at(NOON + 200 * HOUR)).unwrap();
    assert_eq!(flows(&path).len() as i64, (failed + 1) * 200);
    assert_eq!(
        number(
            &path,
            "SELECT integrity_check = 'ok' FROM pragma_integrity_check"
        ),
        1
    );
}

#[test]
fn who_may_not_read_is_told_so_and_who_may_reads_without_writing() {
    let name = "store_denied::who_may_not_read_is_told_so_and_who_may_reads_without_writing";
    if let Some(place) = place() {
        return read_as_nobody(&place);
    }
    if rustix::process::geteuid().is_root() {
        return play_nobody(name);
    }
    // Who is not root cannot become somebody else, and is denied what is closed to everybody.
    let directory = tempdir().unwrap();
    let path = directory.path().join("secret.db");
    small_store(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let error = Reader::open(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::NoPermission { .. }),
        "{error:?}"
    );
}

fn play_nobody(name: &str) {
    let directory = tempdir().unwrap();
    let place = directory.path();
    // The build directory may be closed to others.
    let binary = place.join("tests");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    for (file, mode) in [
        ("open.db", 0o644),
        ("secret.db", 0o600),
        ("alone.db", 0o644),
    ] {
        small_store(&place.join(file));
        for suffix in ["", "-wal", "-shm"] {
            let beside = place.join(format!("{file}{suffix}"));
            fs::set_permissions(beside, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(place.join(format!("alone.db{suffix}"))).unwrap();
    }
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(&binary);
    play(command, name, place);
}

fn read_as_nobody(place: &Path) {
    for file in ["open.db", "alone.db"] {
        assert_eq!(flows(&place.join(file)).len(), 1, "{file}");
    }
    for file in ["open.db", "new.db"] {
        let error = Recorder::open(&place.join(file)).unwrap_err();
        assert!(
            matches!(error, StoreError::NoPermission { .. }),
            "{file}: {error:?}"
        );
    }
    let error = Reader::open(&place.join("secret.db")).unwrap_err();
    assert!(
        matches!(error, StoreError::NoPermission { .. }),
        "{error:?}"
    );
    assert!(error.hint().is_some());
}
