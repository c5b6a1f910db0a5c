//! From a root to a file, one name after the other, as whoever has that root for its own would go.
//!
//! `openat2` would do it in one call, but systemd withholds that from services with
//! `RestrictSUIDSGID=`.

use std::{collections::VecDeque, os::fd::OwnedFd};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat, readlinkat},
    io::Errno,
};

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// More names than a path of the kernel's length has.
const MOST_NAMES: usize = 4_096;

/// Where a walk ended.
#[derive(Debug)]
pub(super) struct Walked {
    /// The file; opened as a place, not to be read.
    pub(super) file: OwnedFd,
    /// Its path from that root, without links.
    pub(super) path: Vec<u8>,
    /// The file, or the first directory above it, that everybody may write to.
    pub(super) writable_by_all: Option<Vec<u8>>,
}

/// A name that was gone through.
struct Step {
    name: Vec<u8>,
    place: OwnedFd,
    mode: u32,
}

/// Goes from `root` to `path`, through links.
pub(super) fn walk(root: OwnedFd, path: &[u8]) -> Result<Walked, Errno> {
    const FLAGS: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let mode = fstat(&root)?.st_mode;
    let mut steps = vec![Step {
        name: Vec::new(),
        place: root,
        mode,
    }];
    let mut names: VecDeque<Vec<u8>> = names_in(path).collect();
    let (mut links, mut gone) = (0, 0);
    while let Some(name) = names.pop_front() {
        gone += 1;
        if gone > MOST_NAMES {
            return Err(Errno::NAMETOOLONG);
        }
        if name == b".." {
            steps.truncate(steps.len().saturating_sub(1).max(1));
            continue;
        }
        let Some(above) = steps.last() else {
            return Err(Errno::NOENT);
        };
        let place = openat(&above.place, name.as_slice(), FLAGS, Mode::empty())?;
        let mode = fstat(&place)?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::Symlink {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP);
            }
            let target = readlinkat(&place, "", Vec::new())?.into_bytes();
            if target.starts_with(b"/") {
                steps.truncate(1);
            }
            for name in names_in(&target).collect::<Vec<_>>().into_iter().rev() {
                names.push_front(name);
            }
            continue;
        }
        steps.push(Step { name, place, mode });
    }
    end_of(steps)
}

fn names_in(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}

fn end_of(mut steps: Vec<Step>) -> Result<Walked, Errno> {
    let path_to = |steps: &[Step]| -> Vec<u8> {
        let names: Vec<&[u8]> = steps.iter().map(|step| step.name.as_slice()).collect();
        match names.as_slice() {
            [_] => b"/".to_vec(),
            names => names.join(&b'/'),
        }
    };
    let loosest = steps.iter().rposition(|step| is_everybodys(step.mode));
    let writable_by_all = loosest.map(|at| path_to(&steps[..=at]));
    let path = path_to(&steps);
    let last = steps.pop().ok_or(Errno::NOENT)?;
    Ok(Walked {
        file: last.place,
        path,
        writable_by_all,
    })
}

/// Whether everybody may write to a file, or put other files in the place of those of a directory.
fn is_everybodys(mode: u32) -> bool {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
    mode & OTHERS_WRITE != 0 && !(is_directory && mode & STICKY != 0)
}
