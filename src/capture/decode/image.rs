//! Process images and cgroups.

use std::mem::offset_of;

use super::{has_flag, process_key, read, types};
use crate::model::{Ancestor, CgroupSeen, ImageFlags, Namespaces, ProcessImage, text_of_bytes};

/// The bytes up to the first NUL.
pub(super) fn name(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Path components from leaf to root, each ended by a NUL → a path. A path that was too long to be
/// read whole does not begin with a slash.
fn path(components: &[u8], is_truncated: bool) -> Vec<u8> {
    let mut parts: Vec<_> = components.split(|byte| *byte == 0).collect();
    // What follows the last NUL.
    parts.pop();
    parts.reverse();
    let joined = parts.join(&b'/');
    if is_truncated {
        return joined;
    }
    [b"/".as_slice(), &joined].concat()
}

fn arguments(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if whole.is_empty() && bytes.is_empty() {
        return Vec::new();
    }
    whole.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

pub(super) fn cgroup(bytes: &[u8]) -> Option<CgroupSeen> {
    let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let end = usize::try_from(u32_at(offset_of!(types::cgroup_record, path_end))?).ok()?;
    let text = bytes
        .get(offset_of!(types::cgroup_record, text)..)?
        .get(..end)?;
    Some(CgroupSeen {
        id: u64_at(offset_of!(types::cgroup_record, id))?,
        path: path(text, false),
    })
}

fn image_flags(flags: u32) -> ImageFlags {
    let flag = |flag: types::image_flags| has_flag(flags, flag.0);
    ImageFlags {
        exe_deleted: flag(types::image_flags::IMAGE_EXE_DELETED),
        exe_pseudo: flag(types::image_flags::IMAGE_EXE_PSEUDO),
        exe_truncated: flag(types::image_flags::IMAGE_EXE_TRUNCATED),
        directory_truncated: flag(types::image_flags::IMAGE_DIRECTORY_TRUNCATED),
        argv_truncated: flag(types::image_flags::IMAGE_ARGV_TRUNCATED),
        argv_unreadable: flag(types::image_flags::IMAGE_ARGV_UNREADABLE),
        kernel_thread: flag(types::image_flags::IMAGE_KERNEL_THREAD),
        argv_elsewhere: flag(types::image_flags::IMAGE_ARGV_ELSEWHERE),
    }
}

/// A process record ends after the used part of its text; the rest is filled up with zeroes.
fn process_record(bytes: &[u8]) -> Option<types::process_record> {
    const HEAD: usize = offset_of!(types::process_record, text);
    const WHOLE: usize = size_of::<types::process_record>();
    if !(HEAD..=WHOLE).contains(&bytes.len()) {
        return None;
    }
    let mut whole = bytes.to_vec();
    whole.resize(WHOLE, 0);
    read(&whole)
}

pub(super) fn process(bytes: &[u8]) -> Option<ProcessImage> {
    let record = process_record(bytes)?;
    let flags = image_flags(record.flags);
    let [exe_end, directory_end, argv_end] =
        [record.exe_end, record.directory_end, record.argv_end]
            .map(|end| usize::try_from(end).unwrap_or(usize::MAX));
    let exe = record.text.get(..exe_end)?;
    let directory = record.text.get(exe_end..directory_end)?;
    let argv = record.text.get(directory_end..argv_end)?;
    let ancestors = usize::try_from(record.ancestor_count).ok()?;
    Some(ProcessImage {
        key: process_key(&record.key),
        ppid: record.ppid,
        uid: record.uid,
        euid: record.euid,
        login_uid: record.login_uid,
        audit_session: record.audit_session,
        tty: name(&record.tty).to_vec(),
        comm: name(&record.comm).to_vec(),
        cgroup_id: record.cgroup_id,
        namespaces: Namespaces {
            net: record.net_namespace,
            mnt: record.mnt_namespace,
            user: record.user_namespace,
            pid: record.pid_namespace,
        },
        exe_device: u64::from(record.exe_device),
        exe_inode: record.exe_inode,
        exe: if exe.is_empty() {
            Vec::new()
        } else {
            path(exe, flags.exe_truncated)
        },
        directory: if directory.is_empty() && flags.kernel_thread {
            Vec::new()
        } else {
            path(directory, flags.directory_truncated)
        },
        argv: arguments(argv),
        ancestors: record
            .ancestors
            .get(..ancestors)?
            .iter()
            .map(ancestor)
            .collect(),
        flags,
    })
}

fn ancestor(ancestor: &types::ancestor) -> Ancestor {
    Ancestor {
        pid: ancestor.pid,
        started_boot_ns: ancestor.started_boot_ns,
        comm: text_of_bytes(name(&ancestor.comm)),
    }
}
