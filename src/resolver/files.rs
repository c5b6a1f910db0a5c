//! Files that may be anything, read with a bound.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// Lists of names to be blocked are kept in `/etc/hosts`, and are far longer: what is beyond counts as
/// one thing that is left out.
const LARGEST_FILE: u64 = 64 << 10;

/// The text of a plain file, as far as it is read; none if there is none.
pub(super) fn text_of(path: &Path, left_out: &mut u64) -> Option<String> {
    // What is no plain file may hang, or act when it is opened or read.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty()).ok()?;
    let about = fstat(&file).ok()?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    if bytes.len() as u64 > LARGEST_FILE {
        *left_out += 1;
        // The last line may be half of one.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(end);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a link leads to.
pub(super) fn link_of(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.to_string_lossy().into_owned())
}
