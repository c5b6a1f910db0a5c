//! Whether a file that a process runs is the host's.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Mode, OFlags, fstat, open, openat},
    io::Errno,
};

use super::bytes_at;

/// Bits that the kernel keeps for the minor number of a device.
const MINOR_BITS: u32 = 20;

/// Whether the host has at `path` the very file with that device and inode number; `None` if that
/// cannot be told.
///
/// `device` is the kernel's own number (`major << 20 | minor`). On btrfs and overlayfs `stat` tells
/// another one, so it is compared with what the mount table says of the path; the inode number is
/// the same in both.
pub fn is_host_file(root: &Path, path: &[u8], device: u64, inode: u64) -> Option<bool> {
    if !path.starts_with(b"/") {
        return Some(false);
    }
    let found = match open_below(root_of_host(root)?, path) {
        Ok(file) => fstat(&file).ok()?.st_ino,
        // The kernel's path of a file has no symbolic links in it. Where the host has one, it has
        // no file of that path.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => return Some(false),
        Err(_) => return None,
    };
    if found != inode {
        return Some(false);
    }
    Some(device_of(root, path)? == device)
}

/// The kernel's number of the device that `path` is on, by the mount table of the host.
pub fn device_of(root: &Path, path: &[u8]) -> Option<u64> {
    // Some sandboxes hide their first process from everybody; then this one stands for the host.
    let table = bytes_at(&root.join("proc/1/mountinfo"))
        .or_else(|| bytes_at(&root.join("proc/self/mountinfo")))?;
    let mounts: Vec<Mount> = table
        .split(|byte| *byte == b'\n')
        .filter_map(Mount::from_line)
        .collect();
    let mut current = mounts.iter().find(|mount| {
        mount.point == b"/"
            && (mount.parent == mount.id || mounts.iter().all(|other| other.id != mount.parent))
    })?;
    // As the kernel walks: in the mount where it is, the first mount point on the way leads on. A
    // longer one may be in the table and hidden by a shorter one that was mounted later.
    for _ in &mounts {
        let next = mounts
            .iter()
            .filter(|mount| mount.parent == current.id && mount.id != current.id)
            .filter(|mount| is_on_the_way(&mount.point, path))
            .min_by_key(|mount| mount.point.len());
        match next {
            Some(mount) => current = mount,
            None => break,
        }
    }
    Some(current.device)
}

/// The root directory of the first process, or `root` where that is not ours to see.
pub(super) fn root_of_host(root: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let of_first_process = root.join("proc/1/root");
    open(&of_first_process, flags, Mode::empty())
        .or_else(|_| open(root, flags, Mode::empty()))
        .ok()
}

/// Opens what is at `path` below `root`, through no symbolic link, one name after the other.
///
/// `openat2` would do it in one call, but systemd withholds that from services with
/// `RestrictSUIDSGID=`, since a filter cannot look at its flags.
fn open_below(root: OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .peekable();
    let mut current = root;
    while let Some(name) = names.next() {
        // No file has such a name, and it would lead out of the root.
        if name == b".." {
            return Err(Errno::NOENT);
        }
        let kind = match names.peek() {
            Some(_) => OFlags::DIRECTORY,
            None => OFlags::empty(),
        };
        current = openat(&current, name, flags | kind, Mode::empty())?;
    }
    Ok(current)
}

/// A line of the mount table.
pub(super) struct Mount {
    pub(super) id: u64,
    parent: u64,
    pub(super) device: u64,
    point: Vec<u8>,
    /// Type of the file system.
    pub(super) kind: Vec<u8>,
}

impl Mount {
    /// `36 35 98:0 /root /point options - type source superoptions`.
    pub(super) fn from_line(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        let device = std::str::from_utf8(fields.next()?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        let _root = fields.next()?;
        Some(Self {
            id,
            parent,
            device: u64::from(major) << MINOR_BITS | u64::from(minor),
            point: unescaped(fields.next()?),
            // Fields that a kernel adds end with a hyphen.
            kind: fields
                .skip_while(|field| *field != b"-")
                .nth(1)
                .unwrap_or_default()
                .to_vec(),
        })
    }
}

/// The table writes blanks, line ends and backslashes as `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let escaped = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn is_on_the_way(point: &[u8], path: &[u8]) -> bool {
    point == b"/"
        || path
            .strip_prefix(point)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
