//! Reading a file once for all checksums that somebody may ask for, slowly.

use std::{
    fs::File,
    io::Read as _,
    os::fd::AsRawFd as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use md5::Md5;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    ExamineLimits, Stop,
    found::{Found, mount_of, status_of},
};
use crate::{identity::facts::packages::Checksums, model::NoDigest};

const PIECE: usize = 128 << 10;

/// File systems that ask a server, or a program of somebody, for what is read: it would be traffic, or
/// could hang for ever.
const SERVED: [&str; 14] = [
    "9p",
    "afs",
    "autofs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
];

/// Checksums of a whole file, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha256: String,
    sha1: String,
    md5: String,
}

impl Digests {
    pub(super) fn sums(&self) -> Checksums<'_> {
        Checksums {
            sha256: Some(&self.sha256),
            sha1: Some(&self.sha1),
            md5: Some(&self.md5),
        }
    }
}

/// Keeps reading to so many bytes in a second.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// When the next piece may be read.
    next: Instant,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next: Instant::now(),
        }
    }

    fn keep(&mut self, bytes: usize) {
        let now = Instant::now();
        thread::sleep(self.next.saturating_duration_since(now));
        let nanoseconds = (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_second;
        self.next = self.next.max(now) + Duration::from_nanos(nanoseconds);
    }
}

/// Reads a file that was found.
pub(super) fn read(
    root: &Path,
    found: &Found,
    limits: &ExamineLimits,
    pace: &mut Pace,
    stop: &Stop,
) -> Result<Digests, NoDigest> {
    if found.status.size > limits.largest_file {
        return Err(NoDigest::TooLarge);
    }
    let is_plain =
        fstat(&found.file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
    if !is_plain {
        return Err(NoDigest::Irregular);
    }
    if mount_of(root, &found.file, found.pid).is_some_and(|mount| is_served(&mount.kind)) {
        return Err(NoDigest::Remote);
    }
    // What is opened so is the file itself, whatever has its name by now.
    let path = format!("/proc/self/fd/{}", found.file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|_| NoDigest::Unreadable)?;
    let mut file = File::from(file);
    let digests = all_of(&mut file, limits.largest_file, pace, stop)?;
    let after = fstat(&file).map_err(|_| NoDigest::Unreadable)?;
    match status_of(&after) == found.status {
        true => Ok(digests),
        false => Err(NoDigest::Changing),
    }
}

fn is_served(kind: &[u8]) -> bool {
    SERVED.iter().any(|served| served.as_bytes() == kind) || kind.starts_with(b"fuse.")
}

fn all_of(
    file: &mut File,
    largest: u64,
    pace: &mut Pace,
    stop: &Stop,
) -> Result<Digests, NoDigest> {
    let (mut sha256, mut sha1, mut md5) = (Sha256::new(), Sha1::new(), Md5::new());
    let mut piece = vec![0; PIECE];
    let mut size: u64 = 0;
    loop {
        if stop.is_told() {
            return Err(NoDigest::Stopped);
        }
        let length = file.read(&mut piece).map_err(|_| NoDigest::Unreadable)?;
        if length == 0 {
            break;
        }
        size += length as u64;
        // It grew since.
        if size > largest {
            return Err(NoDigest::Changing);
        }
        let piece = &piece[..length];
        sha256.update(piece);
        sha1.update(piece);
        md5.update(piece);
        pace.keep(length);
    }
    Ok(Digests {
        sha256: hex(&sha256.finalize()),
        sha1: hex(&sha1.finalize()),
        md5: hex(&md5.finalize()),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
