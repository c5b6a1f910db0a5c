//! Which package a file belongs to, by the database of the host's package manager.
//!
//! Databases of dpkg and apk are text and are read; that of rpm is asked through its own tool. What
//! they say of a file is the packages' own check: whoever can write to the file may be able to write
//! to the database too.

mod apk;
mod dpkg;
mod dpkg_index;
mod rpm;
mod tool;

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use dpkg::Dpkg;

use crate::model::Package;

/// Checksums of a file's content, in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums<'a> {
    /// SHA-256.
    pub sha256: Option<&'a str>,
    /// SHA-1, which apk keeps.
    pub sha1: Option<&'a str>,
    /// MD5, which dpkg keeps.
    pub md5: Option<&'a str>,
}

/// What a package database says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It belongs to this package.
    Package(Package),
    /// It belongs to none.
    Nobody,
    /// The database could not be read, or its tool did not answer.
    Unreadable,
    /// There is no database that is known.
    NoDatabase,
    /// It is being changed.
    Unsettled,
}

/// What changes when a file is written or replaced: device, inode, size, change time.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp_of(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

/// The package databases of a host.
#[derive(Debug)]
pub struct Packages {
    root: PathBuf,
    dpkg: Dpkg,
    rpm: Option<rpm::Rpm>,
}

impl Packages {
    /// The databases of the host below `root`. rpm's tool is run only where that is the host itself.
    pub fn of_host(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            dpkg: Dpkg::of_host(root),
            rpm: (root == Path::new("/")).then(rpm::Rpm::of_host).flatten(),
        }
    }

    /// A database of rpm elsewhere, beside none of dpkg and apk below `root`.
    pub fn of_rpm(root: &Path, database: &Path) -> Self {
        Self {
            root: root.to_owned(),
            dpkg: Dpkg::of_host(root),
            rpm: rpm::Rpm::with_database(database),
        }
    }

    /// What changes when a package is installed, upgraded or removed.
    pub fn version(&self) -> Vec<u64> {
        let mut version = Vec::new();
        let mut add = |stamp: Option<Stamp>| {
            if let Some((device, inode, size, seconds, nanoseconds)) = stamp {
                let time = [seconds.cast_unsigned(), nanoseconds.cast_unsigned()];
                version.extend([device, inode, size].into_iter().chain(time));
            }
        };
        for path in self.dpkg.watched() {
            add(stamp_of(&path));
        }
        add(apk::database(&self.root).as_deref().and_then(stamp_of));
        for path in self.rpm.iter().flat_map(rpm::Rpm::watched) {
            add(stamp_of(&path));
        }
        version
    }

    /// Whose the file at `path` is; the path has no symbolic links in it.
    pub fn owner_of(&mut self, path: &[u8], sums: &Checksums<'_>) -> Owner {
        let names = names_of(&self.root, path);
        if self.dpkg.is_there() {
            return self.dpkg.owner_of(&names, sums);
        }
        if let Some(database) = apk::database(&self.root) {
            return apk::owner_of(&database, &names, sums);
        }
        match &self.rpm {
            Some(rpm) => rpm.owner_of(path, &names, sums),
            None => Owner::NoDatabase,
        }
    }
}

/// Directories that are links into `/usr` on most hosts, and that packages name both ways.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// All names that a package may list a file under: `/usr/bin/x` is `/bin/x` too where `/bin` is a link.
fn names_of(root: &Path, path: &[u8]) -> Vec<Vec<u8>> {
    let mut names = vec![path.to_vec()];
    for directory in MERGED {
        let Ok(target) = fs::read_link(root.join(directory)) else {
            continue;
        };
        let target = target.as_os_str().as_bytes();
        let target = target.strip_prefix(b"/").unwrap_or(target);
        let below = path
            .strip_prefix(b"/")
            .and_then(|path| path.strip_prefix(target))
            .and_then(|path| path.strip_prefix(b"/"));
        if let Some(below) = below.filter(|_| !target.is_empty()) {
            names.push([b"/", directory.as_bytes(), b"/", below].concat());
        }
    }
    names
}
