//! What the host says about itself and its processes, read below a root path that is passed in.
//!
//! Files here change and vanish while they are read, and may be forbidden: whatever cannot be read
//! is `None`, never an error. Nothing is asked of anybody but the kernel and local files.

mod accounts;
mod containers;
mod files;
mod network;
mod packages;
mod process;
mod provenance;

use std::{
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::Path,
};

pub use accounts::{Account, Accounts, account_named};
pub use containers::facts_of_container;
pub use files::{device_of, is_host_file};
pub use network::{network_namespaces, own_addresses};
pub use packages::{Checksums, Owner, Packages};
pub use process::{Arguments, arguments_of};
pub use provenance::{Answered, ExamineLimits, Examiner, FileQuestion, Stop};

/// Far above any of these files on a real host, and small enough to be read.
const LARGEST_FILE: u64 = 64 << 20;

/// The kernel's random name for this boot.
pub fn boot_id(root: &Path) -> Option<String> {
    line_of(root, "proc/sys/kernel/random/boot_id")
}

/// The host's name.
pub fn host_name(root: &Path) -> Option<String> {
    line_of(root, "proc/sys/kernel/hostname")
}

/// Inode number of the mount namespace that a process is in.
pub fn mount_namespace_of(root: &Path, pid: u32) -> Option<u32> {
    namespace_at(&root.join(format!("proc/{pid}/ns/mnt")))
}

/// Inode number of the network namespace that a process is in.
pub fn network_namespace_of(root: &Path, pid: u32) -> Option<u32> {
    namespace_at(&root.join(format!("proc/{pid}/ns/net")))
}

/// Reads the link of a namespace: `net:[4026531840]`.
fn namespace_at(link: &Path) -> Option<u32> {
    let target = fs::read_link(link).ok()?;
    let text = target.to_str()?;
    let (_, number) = text.strip_suffix(']')?.split_once(":[")?;
    number.parse().ok()
}

fn line_of(root: &Path, path: &str) -> Option<String> {
    let content = content_of(&root.join(path))?;
    let line = content.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn content_of(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes_at(path)?).into_owned())
}

fn bytes_at(path: &Path) -> Option<Vec<u8>> {
    first_bytes_at(path, LARGEST_FILE)
}

fn first_bytes_at(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The process ids below `proc`, in ascending order.
fn pids_of(root: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(root.join("proc")) else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            std::str::from_utf8(entry.file_name().as_bytes())
                .ok()?
                .parse()
                .ok()
        })
        .collect();
    pids.sort_unstable();
    pids
}
