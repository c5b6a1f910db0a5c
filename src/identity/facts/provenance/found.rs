//! The very file that ran: opened without waiting for anybody, and compared with what the kernel told.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open};

use super::{
    FileQuestion, Status,
    place::capabilities_of,
    walk::{Walked, walk},
};
use crate::{
    identity::facts::{
        bytes_at,
        files::{Mount, is_host_file, root_of_host},
    },
    model::{FileRole, Timestamp, bytes_of_text},
};

/// What is known of a file that was found before it is read.
#[derive(Debug)]
pub(super) struct Found {
    /// The process through which it was found.
    pub(super) pid: u32,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) status: Status,
    /// The path that leads to it, without links; none if no path does.
    pub(super) named_path: Option<Vec<u8>>,
    pub(super) writable_by_all: Option<Vec<u8>>,
    /// Whether that path is one of the host.
    pub(super) is_hosts: bool,
    /// Capabilities that it gives.
    pub(super) capabilities: Option<String>,
}

/// The file that is asked for; `None` if it is gone, or another stands in its place.
pub(super) fn find(root: &Path, question: &FileQuestion) -> Option<(OwnedFd, Found)> {
    match question.role {
        FileRole::Executable => executable(root, question),
        FileRole::Script => script(root, question),
    }
}

fn executable(root: &Path, question: &FileQuestion) -> Option<(OwnedFd, Found)> {
    let (device, inode) = (question.exe_device, question.exe_inode);
    let pid = question.process.pid;
    let running = running(root, question);
    let base = match question.is_foreign {
        // Whatever its path, it is another file of the host, or none.
        true => running.as_ref().and_then(|_| root_of_process(root, pid)),
        false => root_of_host(root),
    };
    let walked = base
        .filter(|_| !question.is_nameless)
        .and_then(|base| walk(base, &bytes_of_text(&question.path)).ok())
        .filter(|walked| is_file(root, &walked.file, pid, device, inode));
    let (named_path, writable_by_all, by_name) = match walked {
        Some(walked) => (Some(walked.path), walked.writable_by_all, Some(walked.file)),
        None => (None, None, None),
    };
    let file = running.or(by_name)?;
    // A path that leads elsewhere by now, but the file has not lost its name as far as is known.
    let named_path = named_path.or_else(|| {
        (question.is_foreign && !question.is_nameless).then(|| bytes_of_text(&question.path))
    });
    let found = Found {
        status: status_of(&fstat(&file).ok()?),
        pid,
        device,
        inode,
        named_path,
        writable_by_all,
        is_hosts: !question.is_foreign,
        capabilities: capabilities_of(&file),
    };
    Some((file, found))
}

/// The executable through the process, if that runs it still.
fn running(root: &Path, question: &FileQuestion) -> Option<OwnedFd> {
    let pid = question.process.pid;
    let link = root.join(format!("proc/{pid}/exe"));
    let file = open(&link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    is_file(root, &file, pid, question.exe_device, question.exe_inode).then_some(file)
}

fn script(root: &Path, question: &FileQuestion) -> Option<(OwnedFd, Found)> {
    let pid = question.process.pid;
    let path = bytes_of_text(&question.path);
    let own_root = running(root, question).and_then(|_| root_of_process(root, pid));
    let host_root = root_of_host(root)?;
    let (base, is_own) = match own_root {
        Some(own) if !is_same_place(&own, &host_root)? => (own, true),
        // In the other mount namespace the path may lead to another file.
        _ if question.is_elsewhere => return None,
        _ => (host_root, false),
    };
    let Walked {
        file,
        path,
        writable_by_all,
    } = walk(base, &path).ok()?;
    let stat = fstat(&file).ok()?;
    let device =
        mount_of(root, &file, pid).map_or_else(|| kernel_device(&stat), |mount| mount.device);
    let is_hosts = !is_own || is_host_file(root, &path, device, stat.st_ino).unwrap_or(false);
    let found = Found {
        status: status_of(&stat),
        pid,
        device,
        inode: stat.st_ino,
        named_path: Some(path),
        writable_by_all,
        is_hosts,
        capabilities: capabilities_of(&file),
    };
    Some((file, found))
}

fn root_of_process(root: &Path, pid: u32) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(root.join(format!("proc/{pid}/root")), flags, Mode::empty()).ok()
}

/// Whether two roots are one: of the same mount too, since another one may hide what is below.
fn is_same_place(one: &OwnedFd, other: &OwnedFd) -> Option<bool> {
    let (a, b) = (fstat(one).ok()?, fstat(other).ok()?);
    let is_same_file = (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    Some(is_same_file && mount_number(one).is_some() && mount_number(one) == mount_number(other))
}

/// Whether it is the file with the kernel's device and inode number, and a plain one.
fn is_file(root: &Path, file: &OwnedFd, pid: u32, device: u64, inode: u64) -> bool {
    let Ok(stat) = fstat(file) else { return false };
    // On btrfs and overlayfs `stat` tells another device than the kernel has.
    stat.st_ino == inode
        && FileType::from_raw_mode(stat.st_mode).is_file()
        && (kernel_device(&stat) == device
            || mount_of(root, file, pid).is_some_and(|mount| mount.device == device))
}

fn kernel_device(stat: &Stat) -> u64 {
    const MINOR_BITS: u32 = 20;
    let (major, minor) = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    u64::from(major) << MINOR_BITS | u64::from(minor)
}

/// The mount that a file was opened through.
pub(super) fn mount_of(root: &Path, file: &OwnedFd, pid: u32) -> Option<Mount> {
    let number = mount_number(file)?;
    let tables = ["self".to_owned(), "1".to_owned(), pid.to_string()];
    tables.iter().find_map(|process| {
        let table = bytes_at(&root.join(format!("proc/{process}/mountinfo")))?;
        table
            .split(|byte| *byte == b'\n')
            .filter_map(Mount::from_line)
            .find(|mount| mount.id == number)
    })
}

/// The line that begins with `mnt_id:`.
fn mount_number(file: &OwnedFd) -> Option<u64> {
    let info = bytes_at(Path::new(&format!(
        "/proc/self/fdinfo/{}",
        file.as_raw_fd()
    )))?;
    let text = std::str::from_utf8(&info).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

pub(super) fn status_of(stat: &Stat) -> Status {
    const PERMISSIONS: u32 = 0o7777;
    let at = |seconds: i64, nanoseconds: u64| {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or_default();
        let seconds = seconds.saturating_mul(1_000_000_000);
        Timestamp::from_unix_ns(seconds.saturating_add(nanoseconds))
    };
    Status {
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        changed: at(stat.st_ctime, stat.st_ctime_nsec),
        written: at(stat.st_mtime, stat.st_mtime_nsec),
        mode: stat.st_mode & PERMISSIONS,
        uid: stat.st_uid,
        gid: stat.st_gid,
    }
}
