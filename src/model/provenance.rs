//! Files that ran: where they come from, and whether they are what was put there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{IdentityRecord, Process, Timestamp};

/// Gives each variant of an enum a word, the same in the store, in JSON and in text.
macro_rules! words {
    ($name:ident, $count:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// All of them.
            pub const ALL: [Self; $count] = [$(Self::$variant),+];

            /// The word for it in the store and in JSON.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL
                    .into_iter()
                    .find(|one| one.word() == text)
                    .ok_or(())
            }
        }
    };
}

/// What a file was to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// What the kernel ran.
    Executable,
    /// What an interpreter ran.
    Script,
}

words!(FileRole, 2, { Executable => "executable", Script => "script" });

/// Whose a file is, by the package database of the host.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// A package's.
    Packaged,
    /// No package's.
    Unowned,
    /// The database could not be read, or its tool gave no answer.
    DatabaseUnreadable,
    /// The host has none that is known.
    NoDatabase,
    /// The database was being changed.
    Unsettled,
    /// It is a file of another mount namespace: the host's packages say nothing of it.
    OtherNamespace,
    /// It had no name any more, or never had one: what has its path now is another file.
    NoName,
    /// It was gone, or another file stood in its place, before anybody looked.
    #[default]
    Gone,
}

words!(Ownership, 8, {
    Packaged => "packaged",
    Unowned => "unowned",
    DatabaseUnreadable => "database_unreadable",
    NoDatabase => "no_database",
    Unsettled => "unsettled",
    OtherNamespace => "other_namespace",
    NoName => "no_name",
    Gone => "gone",
});

/// What came of comparing a file with its package. The package database's own check is no proof
/// against somebody who can write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageCheck {
    /// It is what the package put there.
    Matches,
    /// It is not.
    Differs,
    /// It is a configuration file as the package put it there.
    Conffile,
    /// It is a configuration file that was changed, as these may be.
    ConffileChanged,
    /// The database has no checksum of it.
    NotListed,
    /// The database was being changed.
    Unsettled,
    /// The file was not read.
    Unread,
}

words!(PackageCheck, 7, {
    Matches => "matches",
    Differs => "differs",
    Conffile => "conffile",
    ConffileChanged => "conffile_changed",
    NotListed => "not_listed",
    Unsettled => "unsettled",
    Unread => "unread",
});

/// Why there is no digest of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoDigest {
    /// It is larger than files that are read.
    TooLarge,
    /// It could not be read.
    Unreadable,
    /// It was gone, or another file stood in its place.
    Gone,
    /// It was written to while it was read.
    Changing,
    /// It is on a network file system: reading it would make traffic.
    Remote,
    /// It is no plain file.
    Irregular,
    /// The observer ended first.
    Stopped,
}

words!(NoDigest, 7, {
    TooLarge => "too_large",
    Unreadable => "unreadable",
    Gone => "gone",
    Changing => "changing",
    Remote => "remote",
    Irregular => "irregular",
    Stopped => "stopped",
});

/// Where a file lies that packages do not put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilePlace {
    /// Below a directory for temporary files, where everybody may put one.
    Temporary,
    /// In somebody's home.
    Home,
}

words!(FilePlace, 2, { Temporary => "temporary", Home => "home" });

/// The package that a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Whose database says so: `dpkg`, `rpm` or `apk`.
    pub manager: String,
    /// Its name.
    pub name: String,
    /// Its version at that time.
    pub version: Option<String>,
    /// Its architecture.
    pub architecture: Option<String>,
    /// Whether the file is what it put there.
    pub check: PackageCheck,
}

/// A file as it was when it was examined. Another content, place or package is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileFacts {
    /// The host that it ran on.
    pub host: String,
    /// Its path, as the process had it.
    pub path: String,
    /// Path without symbolic links, where that is another.
    pub resolved_path: Option<String>,
    /// The kernel's device number (`major << 20 | minor`).
    pub device: Option<u64>,
    /// Inode number on that device.
    pub inode: Option<u64>,
    /// Bytes.
    pub size: Option<u64>,
    /// When its content, its mode or its owner changed last.
    pub changed: Option<Timestamp>,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: Option<String>,
    /// Why there is none.
    pub no_sha256: Option<NoDigest>,
    /// Permissions, with setuid, setgid and sticky.
    pub mode: Option<u32>,
    /// User that it belongs to.
    pub owner_uid: Option<u32>,
    /// Group that it belongs to.
    pub owner_gid: Option<u32>,
    /// Capabilities that it gives whoever runs it: the permitted set in hexadecimal.
    pub capabilities: Option<String>,
    /// Where it lies.
    pub place: Option<FilePlace>,
    /// The file itself, or the first directory above it, that everybody may write to; a directory
    /// with the sticky bit is none.
    pub writable_by_all: Option<String>,
    /// Whose it is.
    pub ownership: Ownership,
    /// The package, if it is one's.
    pub package: Option<Package>,
}

impl FileFacts {
    /// Whether it gives whoever runs it the rights of its owner.
    pub fn is_setuid(&self) -> bool {
        const SETUID: u32 = 0o4000;
        self.mode.is_some_and(|mode| mode & SETUID != 0)
    }

    /// Whether it gives whoever runs it the rights of its group.
    pub fn is_setgid(&self) -> bool {
        const SETGID: u32 = 0o2000;
        self.mode.is_some_and(|mode| mode & SETGID != 0)
    }
}

/// A file in use by flows of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUse {
    /// The file.
    pub file: Arc<FileFacts>,
    /// What it was.
    pub role: FileRole,
    /// Whose flows.
    pub identity: Arc<IdentityRecord>,
    /// The process image.
    pub process: Arc<Process>,
    /// First attempt.
    pub first: Timestamp,
    /// Last attempt, or the end of the last connection.
    pub last: Timestamp,
}

/// A file that ran, with when it did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileSeen {
    /// What it was.
    pub role: FileRole,
    /// First attempt.
    pub first: Timestamp,
    /// Last attempt.
    pub last: Timestamp,
    /// The file.
    #[serde(flatten)]
    pub file: FileFacts,
}

#[cfg(test)]
mod tests {
    use super::{FilePlace, FileRole, NoDigest, Ownership, PackageCheck};

    #[test]
    fn words_survive_writing_and_reading_in_the_store_and_in_json() {
        macro_rules! survive {
            ($($name:ident),+) => {
                $(for one in $name::ALL {
                    assert_eq!(one.word().parse(), Ok(one));
                    assert_eq!(serde_json::to_value(one).unwrap(), one.word());
                })+
            };
        }
        survive!(FileRole, Ownership, PackageCheck, NoDigest, FilePlace);
    }
}
