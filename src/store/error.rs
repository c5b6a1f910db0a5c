//! Why the store could not be used, and what the operator can do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

/// Why the store could not be used; the text names the path and `hint` says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database at the path.
    #[error("no database at `{}`", path.display())]
    NotFound {
        /// The database.
        path: PathBuf,
    },
    /// The directory that the database would be in does not exist, nor does the one above it.
    #[error("cannot create `{}`: no directory `{}`", path.display(), directory.display())]
    NoDirectory {
        /// The database.
        path: PathBuf,
        /// What is missing.
        directory: PathBuf,
    },
    /// This user may not read or write the database or its directory.
    #[error("no permission for the database `{}`", path.display())]
    NoPermission {
        /// The database.
        path: PathBuf,
    },
    /// The database or the file system that it is on cannot be written.
    #[error("the database `{}` cannot be written: read-only", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The path leads to something that is no SQLite file.
    #[error("`{}` is not a database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a SQLite database of another program.
    #[error("`{}` is a database of another program", path.display())]
    OtherProgram {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program wrote the database.
    #[error(
        "the database `{}` has schema {found}, this program knows up to {known}",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The database waits for a migration, which a reader cannot do.
    #[error(
        "the database `{}` has schema {found}, this program reads {known}",
        path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema that this program reads.
        known: i64,
    },
    /// SQLite found the file damaged.
    #[error("the database `{}` is damaged", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file system or quota is used up.
    #[error("no space left for the database `{}`", path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// Another process held the database for too long.
    #[error("the database `{}` is locked by another process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// Another observer records into the database.
    #[error("another observer records into `{}`{}", path.display(), pid_suffix(*pid))]
    Observed {
        /// The database.
        path: PathBuf,
        /// Its pid, if it can be read.
        pid: Option<u32>,
    },
    /// A record of a dump refers to one that did not come before it.
    #[error("the record refers to {what} {id}, which no earlier record describes")]
    UnknownReference {
        /// What kind of record.
        what: &'static str,
        /// Its id within the dump.
        id: u64,
    },
    /// A row holds a value that this program never writes.
    #[error("the database `{}` holds a value that makes no sense", path.display())]
    UnknownValue {
        /// The database.
        path: PathBuf,
        /// Which value.
        source: rusqlite::Error,
    },
    /// SQLite failed in a way that has no remedy of its own.
    #[error("the database `{}`", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file system failed in a way that has no remedy of its own.
    #[error("the database file `{}`", path.display())]
    File {
        /// The database or a file beside it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl StoreError {
    /// What the operator can do about it, if anything is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "record one with `egress-baseline observe`, or name another with `--db`".to_owned()
            }
            Self::NoDirectory { directory, .. } => {
                format!("create it first: mkdir -p {}", quoted(directory))
            }
            Self::NoPermission { .. } => {
                "run as root, or as a member of the group that owns the file".to_owned()
            }
            Self::ReadOnly { .. } => {
                "make the file and its file system writable, or name another place with `--db`"
                    .to_owned()
            }
            Self::NotADatabase { .. } | Self::OtherProgram { .. } => {
                "it was left as it is; name another file with `--db`".to_owned()
            }
            Self::Newer { .. } => {
                "a newer egress-baseline wrote it and it was left as it is; use that version"
                    .to_owned()
            }
            Self::Older { path, .. } => format!(
                "bring it up to date as a user who may write it: egress-baseline --db {} prune",
                quoted(path)
            ),
            Self::Damaged { path, .. } => {
                format!("save what can be read: sqlite3 {} .recover", quoted(path))
            }
            Self::DiskFull { .. } => {
                "free some space, then run `egress-baseline prune`; what was recorded is kept"
                    .to_owned()
            }
            Self::Busy { .. } => {
                "a long import or prune may be under way; try again when it is done".to_owned()
            }
            Self::Observed { pid: Some(pid), .. } => {
                format!("stop it first (`kill {pid}`), or name another database with `--db`")
            }
            Self::Observed { pid: None, .. } => {
                "stop it first, or name another database with `--db`".to_owned()
            }
            Self::UnknownReference { .. } => {
                "the dump is incomplete or its lines changed order; dump it again with `dump --all`"
                    .to_owned()
            }
            Self::UnknownValue { .. } => {
                "something else wrote into the database; restore it from a backup".to_owned()
            }
            Self::Sqlite { .. } | Self::File { .. } => return None,
        })
    }

    /// Sorts a failure of SQLite by what can be done about it.
    pub(super) fn of_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let rusqlite::Error::SqliteFailure(failure, _) = &source else {
            return Self::UnknownValue { path, source };
        };
        if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE {
            return Self::DiskFull { path };
        }
        match failure.code {
            ErrorCode::DiskFull => Self::DiskFull { path },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { path },
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            ErrorCode::PermissionDenied => Self::NoPermission { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged { path, source },
            _ => Self::Sqlite { path, source },
        }
    }

    /// Sorts a failure of the file system by what can be done about it.
    pub(super) fn of_file(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::IsADirectory => Self::NotADatabase { path },
            _ => Self::File { path, source },
        }
    }
}

fn pid_suffix(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// A path that can be pasted into a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.clone().into_owned(), Into::into)
}
