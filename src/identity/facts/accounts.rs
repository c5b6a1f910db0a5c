//! Names of accounts.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::content_of;

/// The names in a host's `etc/passwd`, read again whenever that file changed.
///
/// The file alone: the name service may ask servers, and this program sends nothing. Accounts of a
/// directory stay numbers.
#[derive(Debug)]
pub struct Accounts {
    path: PathBuf,
    seen: Option<Version>,
    names: BTreeMap<u32, String>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Accounts {
    /// The accounts of the host below `root`.
    pub fn of_host(root: &Path) -> Self {
        Self {
            path: root.join("etc/passwd"),
            seen: None,
            names: BTreeMap::new(),
        }
    }

    /// The name of the account with a number; of several, the one that the file has first.
    pub fn name_of(&mut self, uid: u32) -> Option<&str> {
        self.read_if_changed();
        self.names.get(&uid).map(String::as_str)
    }

    /// All names by number.
    pub fn names(&mut self) -> &BTreeMap<u32, String> {
        self.read_if_changed();
        &self.names
    }

    fn read_if_changed(&mut self) {
        let version = fs::metadata(&self.path).ok().map(|file| Version {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            changed_s: file.ctime(),
            changed_ns: file.ctime_nsec(),
        });
        // A file that is being replaced is gone for a moment: what was known stays known.
        if version.is_none() || version == self.seen {
            return;
        }
        if let Some(content) = content_of(&self.path) {
            self.names = names_in(&content);
            self.seen = version;
        }
    }
}

fn names_in(passwd: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_password), Some(uid)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if let Ok(uid) = uid.parse()
            && !name.is_empty()
            && !name.starts_with(['#', '+', '-'])
        {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}
