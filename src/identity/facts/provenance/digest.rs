//! Reading a file once for all checksums that somebody may ask for, slowly.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use md5::Md5;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    Status,
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

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    status: Status,
    done: u64,
    largest: u64,
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
}

impl Reading {
    /// Opens a file that was found.
    pub(super) fn begin(
        root: &Path,
        file: &OwnedFd,
        found: &Found,
        largest: u64,
    ) -> Result<Self, NoDigest> {
        if found.status.size > largest {
            return Err(NoDigest::TooLarge);
        }
        let is_plain =
            fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
        if !is_plain {
            return Err(NoDigest::Irregular);
        }
        if mount_of(root, file, found.pid).is_some_and(|mount| is_served(&mount.kind)) {
            return Err(NoDigest::Remote);
        }
        // What is opened so is the file itself, whatever has its name by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|_| NoDigest::Unreadable)?;
        Ok(Self {
            file: File::from(file),
            status: found.status,
            done: 0,
            largest,
            sha256: Sha256::new(),
            sha1: Sha1::new(),
            md5: Md5::new(),
        })
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.status.size.saturating_sub(self.done)
    }

    /// Reads one piece more; tells what came of it once all is read.
    pub(super) fn step(&mut self, pace: &mut Pace) -> Option<Result<Digests, NoDigest>> {
        let mut piece = vec![0; PIECE];
        match self.file.read(&mut piece) {
            Ok(0) => Some(self.end()),
            Ok(length) => {
                self.done += length as u64;
                // It grew since.
                if self.done > self.largest {
                    return Some(Err(NoDigest::Changing));
                }
                let piece = &piece[..length];
                self.sha256.update(piece);
                self.sha1.update(piece);
                self.md5.update(piece);
                pace.keep(length);
                None
            }
            Err(_) => Some(Err(NoDigest::Unreadable)),
        }
    }

    fn end(&self) -> Result<Digests, NoDigest> {
        let after = fstat(&self.file).map_err(|_| NoDigest::Unreadable)?;
        let after = status_of(&after);
        // The change time moves too when it only loses or gets a name.
        if (after.size, after.written) != (self.status.size, self.status.written) {
            return Err(NoDigest::Changing);
        }
        Ok(Digests {
            sha256: hex(&self.sha256.clone().finalize()),
            sha1: hex(&self.sha1.clone().finalize()),
            md5: hex(&self.md5.clone().finalize()),
        })
    }
}

fn is_served(kind: &[u8]) -> bool {
    SERVED.iter().any(|served| served.as_bytes() == kind) || kind.starts_with(b"fuse.")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
