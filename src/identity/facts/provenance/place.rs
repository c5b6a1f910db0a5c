//! Where a file lies, and what it gives to whoever runs it.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::getxattr;

use crate::{
    identity::facts::accounts::Accounts,
    model::{FilePlace, bytes_of_text},
};

/// Where everybody may put a file.
const TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run/shm"];

/// Where homes are, whoever has one.
const HOMES: [&str; 3] = ["/home", "/root", "/var/home"];

/// Accounts of people have numbers from here on.
const FIRST_PERSON: u32 = 1_000;

/// Nobody's.
const NOBODY: u32 = 65_534;

/// The homes of the host's accounts.
#[derive(Debug)]
pub(super) struct Homes {
    accounts: Accounts,
}

impl Homes {
    pub(super) fn of_host(root: &Path) -> Self {
        Self {
            accounts: Accounts::of_host(root),
        }
    }

    fn has(&mut self, path: &[u8]) -> bool {
        self.accounts
            .homes()
            .iter()
            .filter(|(uid, home)| {
                *uid >= FIRST_PERSON && *uid != NOBODY && home.len() > 1 && home.starts_with('/')
            })
            .any(|(_, home)| is_below(path, home.trim_end_matches('/')))
    }
}

/// Where a path leads to.
pub(super) fn place_of(path: &[u8], is_hosts: bool, homes: &mut Homes) -> Option<FilePlace> {
    if TEMPORARY.iter().any(|place| is_below(path, place)) {
        return Some(FilePlace::Temporary);
    }
    let is_home = HOMES.iter().any(|place| is_below(path, place)) || is_hosts && homes.has(path);
    is_home.then_some(FilePlace::Home)
}

fn is_below(path: &[u8], place: &str) -> bool {
    let place = bytes_of_text(place);
    path.strip_prefix(&*place)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// The capabilities that a file gives, of `struct vfs_cap_data`: a magic number, then the two sets
/// in one or two words.
pub(super) fn capabilities_of(file: &OwnedFd) -> Option<String> {
    const FLAGS: u32 = 0x0000_00ff;
    const FIRST: u32 = 0x0100_0000;
    let mut bytes = [0; 64];
    // A file that is opened as a place has no attributes of its own; its link has the file's.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let length = getxattr(path, "security.capability", &mut bytes).ok()?;
    let word = |at: usize| -> Option<u32> {
        let bytes = bytes[..length].get(at * 4..at * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let magic = word(0)? & !FLAGS;
    let low = word(1)?;
    let high = if magic == FIRST { 0 } else { word(3)? };
    let permitted = u64::from(high) << 32 | u64::from(low);
    Some(format!("{permitted:x}"))
}
