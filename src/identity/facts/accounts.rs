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
    homes: Vec<(u32, String)>,
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
            homes: Vec::new(),
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

    /// Numbers and home directories.
    pub(super) fn homes(&mut self) -> &[(u32, String)] {
        self.read_if_changed();
        &self.homes
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
            self.homes = homes_in(&content).collect();
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

/// Numbers and home directories, in the order of the file.
fn homes_in(passwd: &str) -> impl Iterator<Item = (u32, String)> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_name, _password, number, _group, _comment, home, ..] = fields.as_slice() else {
            return None;
        };
        let uid = number.parse().ok()?;
        home.starts_with('/').then(|| (uid, (*home).to_owned()))
    })
}

/// The home directory of the account with a number, as the file below `root` has it.
pub(super) fn home_of(root: &Path, uid: u32) -> Option<String> {
    let passwd = content_of(&root.join("etc/passwd"))?;
    homes_in(&passwd)
        .find(|(of, _)| *of == uid)
        .map(|(_, home)| home)
}

/// An account of this host that a service can run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// Other groups that it is a member of.
    pub groups: Vec<u32>,
}

/// The account called `name` in the files below `root`.
pub fn account_named(root: &Path, name: &str) -> Option<Account> {
    let passwd = content_of(&root.join("etc/passwd"))?;
    let groups = content_of(&root.join("etc/group")).unwrap_or_default();
    account_in(&passwd, &groups, name)
}

fn account_in(passwd: &str, groups: &str, name: &str) -> Option<Account> {
    let (uid, gid) = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((uid.parse().ok()?, gid.parse().ok()?))
    })?;
    let groups = groups
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_group, _password, number, members] = fields.as_slice() else {
                return None;
            };
            let is_member = members.split(',').any(|member| member == name);
            is_member.then(|| number.parse().ok())?
        })
        .collect();
    Some(Account {
        name: name.to_owned(),
        uid,
        gid,
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::{Account, account_in};

    #[test]
    fn an_account_has_its_own_group_and_those_that_name_it() {
        let passwd = "root:x:0:0::/:/bin/sh\nwatch:x:990:991::/:/sbin/nologin\n";
        let groups = "root:x:0:\nadm:x:4:syslog,watch\nwatchers:x:5:watcher\nwatch:x:991:\n";
        let expected = Account {
            name: "watch".to_owned(),
            uid: 990,
            gid: 991,
            groups: vec![4],
        };
        assert_eq!(account_in(passwd, groups, "watch"), Some(expected));
        assert_eq!(account_in(passwd, groups, "watcher"), None);
        assert_eq!(account_in("watch:x:many:1::/:/", groups, "watch"), None);
    }
}
