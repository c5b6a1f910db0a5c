//! One observer at a time: an advisory lock on a file beside the database.
//!
//! The lock goes with the process however that ends, so a crash leaves nothing to clean up; the
//! file stays, because removing it would let two observers lock two different files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{StoreError, file::beside};

const SUFFIX: &str = "-observer";

/// A reader holds the lock for an instant to see whether it is free; an observer that starts in
/// that instant tries again.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(super) struct ObserverLock {
    _file: File,
}

/// Who holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody.
    Nobody,
    /// An observer, with its pid if that can be read.
    Observer(Option<u32>),
    /// This user may not look.
    Unknown,
}

/// Takes the lock and writes this process's pid into it.
pub(super) fn take(database: &Path) -> Result<ObserverLock, StoreError> {
    let path = beside(database, SUFFIX);
    let failed = |error: io::Error| StoreError::of_file(&path, error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Whoever may read the database may see whether it is written.
        .mode(0o640)
        .open(&path)
        .map_err(failed)?;
    for attempt in 1.. {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK) if attempt < TRIES => thread::sleep(BETWEEN_TRIES),
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Observed {
                    path: database.to_owned(),
                    pid: pid_in(&mut file),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
    file.set_len(0).map_err(failed)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
        .map_err(failed)?;
    Ok(ObserverLock { _file: file })
}

/// Looks without taking the lock away from anyone.
pub(super) fn holder(database: &Path) -> Result<Holder, StoreError> {
    let path = beside(database, SUFFIX);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Holder::Unknown);
        }
        Err(error) => return Err(StoreError::of_file(&path, error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Holder::Nobody),
        Err(Errno::WOULDBLOCK) => Ok(Holder::Observer(pid_in(&mut file))),
        Err(error) => Err(StoreError::of_file(&path, error.into())),
    }
}

fn pid_in(file: &mut File) -> Option<u32> {
    // No pid is longer; a file of another program could be.
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
