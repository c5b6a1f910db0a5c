//! The database file itself: where it may be made, who may read it, whose it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Gid, Mode, fchmod, fchown};

use super::{
    StoreError,
    migrate::{self, APPLICATION_ID},
};

const GROUP: &str = "egress-baseline";
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_LENGTH: u64 = 100;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing yet.
    Empty,
    /// A database of ours.
    Ours,
}

/// Looks at the first bytes without SQLite, which would write beside a file that is not ours.
///
/// Our application id is always in the file and never only in the write-ahead log, because a new
/// database is made before it is switched to that log.
pub(super) fn inspect(path: &Path) -> Result<Content, StoreError> {
    let mut header = Vec::new();
    let metadata = fs::metadata(path).map_err(|error| StoreError::of_file(path, error))?;
    if !metadata.is_file() {
        return Err(StoreError::NotADatabase {
            path: path.to_owned(),
        });
    }
    File::open(path)
        .and_then(|file| file.take(HEADER_LENGTH).read_to_end(&mut header))
        .map_err(|error| StoreError::of_file(path, error))?;
    if header.is_empty() {
        return Ok(Content::Empty);
    }
    if !header.starts_with(MAGIC) {
        return Err(StoreError::NotADatabase {
            path: path.to_owned(),
        });
    }
    let number = |at: usize| {
        let bytes = header
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, i32::from_be_bytes)
    };
    if number(68) != APPLICATION_ID {
        return Err(StoreError::OtherProgram {
            path: path.to_owned(),
        });
    }
    refuse_newer(path, i64::from(number(60)))?;
    Ok(Content::Ours)
}

/// Refuses a schema that this program does not know.
pub(super) fn refuse_newer(path: &Path, found: i64) -> Result<(), StoreError> {
    let known = migrate::newest();
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// Makes an empty file with its final owner and mode if there is none: SQLite gives the files
/// beside it the same.
pub(super) fn create_if_missing(path: &Path) -> Result<(), StoreError> {
    create_directory(path)?;
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(StoreError::of_file(path, error)),
    };
    // Readable for the group only once it is the right group.
    if let Some(group) = group_id(&fs::read_to_string("/etc/group").unwrap_or_default())
        && fchown(&file, None, Some(Gid::from_raw(group))).is_ok()
    {
        fchmod(&file, Mode::from_raw_mode(0o640))
            .map_err(|error| StoreError::of_file(path, error.into()))?;
    }
    Ok(())
}

/// The path with `suffix` added to the file name, as SQLite names the files beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the last component of the directory only: more would hide a mistyped path.
fn create_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    match fs::DirBuilder::new().mode(0o750).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // On a read-only file system an existing directory may be reported as that.
        Err(_) if directory.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoDirectory {
            path: path.to_owned(),
            directory: directory.parent().unwrap_or(directory).to_owned(),
        }),
        Err(error) => Err(StoreError::of_file(path, error)),
    }
}

/// The number of our group in the text of `/etc/group`. Groups that only a directory service
/// knows do not count: asking one could send packets.
fn group_id(groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(GROUP)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::group_id;

    #[test]
    fn the_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\negress-baseline-old:x:7:\negress-baseline:x:991:alice,bob\n";
        assert_eq!(group_id(groups), Some(991));
        assert_eq!(group_id("egress-baseline:x:many:\n"), None);
        assert_eq!(group_id("egress-baseline"), None);
        assert_eq!(group_id(""), None);
    }
}
