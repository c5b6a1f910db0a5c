//! The database of rpm, asked through `rpm` itself: its form differs between versions.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{Checksums, Owner, tool::output_of};
use crate::model::{Package, PackageCheck, text_of_bytes};

const PROGRAM: &str = "/usr/bin/rpm";

/// Where a host has its database.
const PLACES: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

/// Its files, by the form that it has.
const FILES: [&str; 4] = [
    "rpmdb.sqlite",
    "rpmdb.sqlite-wal",
    "Packages.db",
    "Packages",
];

/// The package in the first line, then its files.
const FORMAT: &str = "%{NAME}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{FILEDIGESTALGO}\\n\
    [%{FILEFLAGS}\\t%{FILEDIGESTS}\\t%{FILENAMES}\\n]";

#[derive(Debug)]
pub(super) struct Rpm {
    database: PathBuf,
    is_elsewhere: bool,
}

impl Rpm {
    /// The host's own, if it has the tool and a database.
    pub(super) fn of_host() -> Option<Self> {
        let has_files = |place: &&&str| {
            FILES
                .iter()
                .any(|file| Path::new(place).join(file).exists())
        };
        let place = PLACES.iter().find(has_files)?;
        Path::new(PROGRAM).exists().then(|| Self {
            database: place.into(),
            is_elsewhere: false,
        })
    }

    pub(super) fn with_database(database: &Path) -> Option<Self> {
        Path::new(PROGRAM).exists().then(|| Self {
            database: database.to_owned(),
            is_elsewhere: true,
        })
    }

    pub(super) fn watched(&self) -> impl Iterator<Item = PathBuf> {
        FILES.iter().map(|file| self.database.join(file))
    }

    pub(super) fn owner_of(&self, path: &[u8], names: &[Vec<u8>], sums: &Checksums<'_>) -> Owner {
        let mut database = OsString::from("--dbpath=");
        database.push(&self.database);
        let mut arguments = vec![
            OsStr::new("-qf"),
            OsStr::new("--queryformat"),
            OsStr::new(FORMAT),
        ];
        if self.is_elsewhere {
            arguments.push(&database);
        }
        arguments.push(OsStr::from_bytes(path));
        let Some((is_content, output)) = output_of(Path::new(PROGRAM), &arguments) else {
            return Owner::Unreadable;
        };
        if !is_content {
            let said = String::from_utf8_lossy(&output);
            return match said.contains("is not owned by any package") {
                true => Owner::Nobody,
                false => Owner::Unreadable,
            };
        }
        package_in(&output, names, sums).map_or(Owner::Unreadable, Owner::Package)
    }
}

fn package_in(output: &[u8], names: &[Vec<u8>], sums: &Checksums<'_>) -> Option<Package> {
    let mut lines = output.split(|byte| *byte == b'\n');
    let head: Vec<&[u8]> = lines.next()?.split(|byte| *byte == b'\t').collect();
    let [name, epoch, version, architecture, algorithm] = head.as_slice() else {
        return None;
    };
    let version = match *epoch {
        b"(none)" | b"0" => text_of_bytes(version),
        epoch => format!("{}:{}", text_of_bytes(epoch), text_of_bytes(version)),
    };
    let file = lines.find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b'\t');
        let (flags, digest, name) = (fields.next()?, fields.next()?, fields.next()?);
        names
            .iter()
            .any(|one| one == name)
            .then_some((flags, digest))
    });
    Some(Package {
        manager: "rpm".to_owned(),
        name: text_of_bytes(name),
        version: Some(version),
        architecture: Some(text_of_bytes(architecture)),
        check: check(file, algorithm, sums),
    })
}

fn check(file: Option<(&[u8], &[u8])>, algorithm: &[u8], sums: &Checksums<'_>) -> PackageCheck {
    /// `RPMFILE_CONFIG`.
    const CONFIGURATION: u64 = 1;
    let Some((flags, listed)) = file.filter(|(_, digest)| !digest.is_empty()) else {
        return PackageCheck::NotListed;
    };
    let own = match algorithm {
        b"8" => sums.sha256,
        b"2" => sums.sha1,
        b"1" | b"(none)" | b"0" => sums.md5,
        _ => return PackageCheck::NotListed,
    };
    let flags: u64 = std::str::from_utf8(flags)
        .ok()
        .and_then(|flags| flags.parse().ok())
        .unwrap_or(0);
    let is_configuration = flags & CONFIGURATION != 0;
    match own {
        None => PackageCheck::Unread,
        Some(own) => match (
            own.as_bytes().eq_ignore_ascii_case(listed),
            is_configuration,
        ) {
            (true, false) => PackageCheck::Matches,
            (true, true) => PackageCheck::Conffile,
            (false, false) => PackageCheck::Differs,
            (false, true) => PackageCheck::ConffileChanged,
        },
    }
}
