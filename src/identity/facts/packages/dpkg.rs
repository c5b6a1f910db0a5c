//! The database of dpkg: `status`, the lists and checksums in `info`, and diversions.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Checksums, Owner, Stamp, dpkg_index::Index, stamp_of};
use crate::{
    identity::facts::bytes_at,
    model::{Package, PackageCheck, text_of_bytes},
};

/// An upgrade writes `status` for each step of each package: the lists are not read for each.
const REREAD_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Dpkg {
    root: PathBuf,
    index: Option<(Vec<Option<Stamp>>, Instant, Index)>,
}

/// A name under which a file may be listed, and whose it may be then.
struct Candidate {
    name: Vec<u8>,
    whose: Whose,
}

enum Whose {
    Anybodys,
    /// Of the package that keeps its own file there and moves those of others away.
    Only(Vec<u8>),
    /// Moved here by that package, for all others.
    NotOf(Vec<u8>),
}

impl Dpkg {
    pub(super) fn of_host(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            index: None,
        }
    }

    fn place(&self) -> PathBuf {
        self.root.join("var/lib/dpkg")
    }

    /// An empty file is what the tool leaves on a host of another package manager.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(self.place().join("status")).is_ok_and(|status| status.size() > 0)
    }

    /// Files that change when a package does.
    pub(super) fn watched(&self) -> [PathBuf; 3] {
        ["status", "info", "diversions"].map(|name| self.place().join(name))
    }

    pub(super) fn owner_of(&mut self, names: &[Vec<u8>], sums: &Checksums<'_>) -> Owner {
        let is_busy = self.is_busy();
        let info = self.place().join("info");
        let Some(index) = self.fresh_index() else {
            return Owner::Unreadable;
        };
        let mut best: Option<Package> = None;
        for candidate in candidates(names, &index.diversions) {
            for list in index.lists_with(&info, &candidate.name) {
                let (name, architecture) = parts_of(list);
                let is_meant = match &candidate.whose {
                    Whose::Anybodys => true,
                    Whose::Only(package) => name == package.as_slice(),
                    Whose::NotOf(package) => name != package.as_slice(),
                };
                if !is_meant {
                    continue;
                }
                let installed = index.installed(name, architecture);
                let conffile = installed.and_then(|package| package.conffile(&candidate.name));
                let check = match conffile {
                    Some(md5) => check_of_conffile(md5, sums),
                    None => check(&info, list, &candidate.name, sums, is_busy),
                };
                let package = Package {
                    manager: "dpkg".to_owned(),
                    name: text_of_bytes(name),
                    version: installed.map(|package| text_of_bytes(&package.version)),
                    architecture: installed.map(|package| text_of_bytes(&package.architecture)),
                    check,
                };
                // Several may list it, such as both architectures of one.
                if best.is_none() || check == PackageCheck::Matches {
                    best = Some(package);
                }
            }
        }
        match best {
            Some(package) => Owner::Package(package),
            None if is_busy => Owner::Unsettled,
            None => Owner::Nobody,
        }
    }

    fn fresh_index(&mut self) -> Option<&Index> {
        let stamps = || -> Vec<Option<Stamp>> {
            let watched = self.watched();
            watched.iter().map(|path| stamp_of(path)).collect()
        };
        let mut now = stamps();
        let is_fresh = |now: &[Option<Stamp>]| {
            self.index
                .as_ref()
                .is_some_and(|(of, _, _)| of.as_slice() == now)
        };
        if !is_fresh(&now) {
            if let Some((_, read, _)) = &self.index {
                std::thread::sleep(REREAD_AFTER.saturating_sub(read.elapsed()));
                now = stamps();
            }
            let index = Index::read(&self.place())?;
            self.index = Some((now, Instant::now(), index));
        }
        self.index.as_ref().map(|(_, _, index)| index)
    }

    /// Whether a package is being installed or removed: files come before the database says so.
    fn is_busy(&self) -> bool {
        let place = self.place();
        let has_updates = fs::read_dir(place.join("updates")).is_ok_and(|entries| {
            entries
                .filter_map(Result::ok)
                .any(|entry| entry.file_name() != "tmp.i")
        });
        has_updates || self.is_locked(&place.join("lock"))
    }

    /// `1: POSIX  ADVISORY  WRITE 1234 fe:00:4711 0 EOF`.
    fn is_locked(&self, lock: &Path) -> bool {
        let (Ok(lock), Some(locks)) = (fs::metadata(lock), bytes_at(&self.root.join("proc/locks")))
        else {
            return false;
        };
        let device = lock.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let of_lock = format!("{major:02x}:{minor:02x}:{}", lock.ino());
        String::from_utf8_lossy(&locks)
            .split_whitespace()
            .any(|word| word == of_lock)
    }
}

/// `libfoo:amd64` → `libfoo`, `amd64`.
fn parts_of(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    match list.iter().position(|byte| *byte == b':') {
        Some(at) => (&list[..at], Some(&list[at + 1..])),
        None => (list, None),
    }
}

/// Diversions: a package keeps its own file at a path, and those of others are moved elsewhere.
fn candidates(names: &[Vec<u8>], diversions: &[[Vec<u8>; 3]]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for name in names {
        let mut is_diverted = false;
        for [from, to, package] in diversions {
            let whose = if to == name {
                Whose::NotOf(package.clone())
            } else if from == name {
                Whose::Only(package.clone())
            } else {
                continue;
            };
            is_diverted = true;
            candidates.push(Candidate {
                name: from.clone(),
                whose,
            });
        }
        if !is_diverted {
            candidates.push(Candidate {
                name: name.clone(),
                whose: Whose::Anybodys,
            });
        }
    }
    candidates
}

fn check_of_conffile(md5: &[u8], sums: &Checksums<'_>) -> PackageCheck {
    match sums.md5 {
        None => PackageCheck::Unread,
        Some(own) if own.as_bytes().eq_ignore_ascii_case(md5) => PackageCheck::Conffile,
        Some(_) => PackageCheck::ConffileChanged,
    }
}

/// Compares with the line `MD5  usr/bin/x` of the package.
fn check(
    info: &Path,
    list: &[u8],
    name: &[u8],
    sums: &Checksums<'_>,
    is_busy: bool,
) -> PackageCheck {
    const DIGITS: usize = 32;
    let file = [list, b".md5sums"].concat();
    let Some(lines) = bytes_at(&super::dpkg_index::below(info, &file)) else {
        return PackageCheck::NotListed;
    };
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let listed = lines.split(|byte| *byte == b'\n').find_map(|line| {
        let (md5, rest) = line.split_at_checked(DIGITS)?;
        (rest.strip_prefix(b"  ")? == name).then_some(md5)
    });
    match (listed, sums.md5) {
        (None, _) if is_busy => PackageCheck::Unsettled,
        (None, _) => PackageCheck::NotListed,
        (Some(_), None) => PackageCheck::Unread,
        (Some(md5), Some(own)) if own.as_bytes().eq_ignore_ascii_case(md5) => PackageCheck::Matches,
        (Some(_), Some(_)) if is_busy => PackageCheck::Unsettled,
        (Some(_), Some(_)) => PackageCheck::Differs,
    }
}
