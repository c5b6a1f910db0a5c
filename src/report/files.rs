//! Files that ran, as explanations show them.

use serde::Serialize;

use super::{
    facts::Facts,
    humane::{bytes, second},
};
use crate::model::{
    FilePlace, FileRole, FileSeen, NoDigest, Ownership, Package, PackageCheck, Process, RawIdentity,
};

/// A file with what became of it since the version before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileExplained {
    /// The file.
    #[serde(flatten)]
    pub seen: FileSeen,
    /// What deserves a look, as words.
    pub flags: Vec<&'static str>,
    /// How it differs from what ran under the same path before.
    pub change: Option<FileChange>,
}

/// How a file differs from what ran under the same path before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// `with_package`: its package has another version too. `without_package`: only the content is
    /// another. `unpackaged`: it belongs to no package. `unknown`: one of the two was not read.
    pub how: &'static str,
    /// SHA-256 of the earlier one.
    pub earlier_sha256: Option<String>,
    /// Version of its package.
    pub earlier_version: Option<String>,
}

/// Files in the order in which they came, each with what changed since the one before it of the same
/// role and path.
pub fn explain_files(files: &[FileSeen]) -> Vec<FileExplained> {
    files
        .iter()
        .map(|seen| {
            let earlier = files
                .iter()
                .filter(|other| other.role == seen.role && other.file.path == seen.file.path)
                .filter(|other| (other.first, other.last) < (seen.first, seen.last))
                .filter(|other| is_another_content(other, seen))
                .max_by_key(|other| (other.last, other.first));
            FileExplained {
                seen: seen.clone(),
                flags: flags_of(seen),
                change: earlier.map(|earlier| change(earlier, seen)),
            }
        })
        .collect()
}

fn is_another_content(one: &FileSeen, other: &FileSeen) -> bool {
    match (&one.file.sha256, &other.file.sha256) {
        (Some(one), Some(other)) => one != other,
        _ => {
            (one.file.device, one.file.inode, one.file.size)
                != (other.file.device, other.file.inode, other.file.size)
        }
    }
}

fn change(earlier: &FileSeen, seen: &FileSeen) -> FileChange {
    let version = |package: &Option<Package>| package.as_ref().and_then(|of| of.version.clone());
    let (before, now) = (&earlier.file, &seen.file);
    let how = if before.sha256.is_none() || now.sha256.is_none() {
        "unknown"
    } else if before.package.is_none() && now.package.is_none() {
        "unpackaged"
    } else if version(&before.package) == version(&now.package) {
        "without_package"
    } else {
        "with_package"
    };
    FileChange {
        how,
        earlier_sha256: before.sha256.clone(),
        earlier_version: version(&before.package),
    }
}

fn flags_of(seen: &FileSeen) -> Vec<&'static str> {
    let file = &seen.file;
    let check = file.package.as_ref().map(|package| package.check);
    let flags = [
        (check == Some(PackageCheck::Differs), "differs_from_package"),
        (file.ownership == Ownership::Unowned, "no_package"),
        (
            file.ownership == Ownership::OtherNamespace,
            "other_mount_namespace",
        ),
        (file.ownership == Ownership::NoName, "no_name"),
        (file.place == Some(FilePlace::Temporary), "temporary_place"),
        (file.place == Some(FilePlace::Home), "home"),
        (file.writable_by_all.is_some(), "writable_by_all"),
        (file.is_setuid(), "setuid"),
        (file.is_setgid(), "setgid"),
        (file.capabilities.is_some(), "capabilities"),
    ];
    let holding = flags.into_iter().filter(|(holds, _)| *holds);
    holding.map(|(_, flag)| flag).collect()
}

/// Whether somebody sits before a process, and by what that is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interactivity {
    /// None where nothing is known of the process.
    pub is_interactive: Option<bool>,
    /// What tells it.
    pub evidence: Vec<String>,
}

/// A terminal makes a process interactive. A session alone does not: what is started over SSH, or by a
/// job that PAM made a session for, may have nobody before it.
pub fn interactivity(process: Option<&Process>, identity: &RawIdentity) -> Interactivity {
    let Some(process) = process.filter(|process| process.key.is_some()) else {
        return Interactivity::default();
    };
    let mut evidence = vec![match &process.tty {
        Some(tty) => format!("terminal {tty}"),
        None => "no terminal".to_owned(),
    }];
    evidence.extend(
        process
            .audit_session
            .map(|session| format!("login session {session} (audit)")),
    );
    let login = identity.login_user.clone();
    let login = login.or_else(|| process.login_uid.map(|uid| uid.to_string()));
    evidence.extend(login.map(|user| format!("somebody logged in as {user} (loginuid)")));
    let cgroup = identity.cgroup_path.as_deref().unwrap_or_default();
    if cgroup.contains("/session-") {
        evidence.push(format!("cgroup {cgroup}"));
    }
    Interactivity {
        is_interactive: Some(process.tty.is_some()),
        evidence,
    }
}

/// A file as labelled facts.
pub(super) fn file_facts(explained: &FileExplained) -> Facts {
    let (seen, file) = (&explained.seen, &explained.seen.file);
    let mut facts = Facts::default();
    facts.add("path", file.path.clone());
    if let Some(resolved) = &file.resolved_path {
        facts.add("path", format!("which leads to {resolved}"));
    }
    facts.add("package", package_text(seen));
    if let Some(change) = &explained.change {
        facts.add("changed", change_text(change));
    }
    match (&file.sha256, file.no_sha256) {
        (Some(sha256), _) => facts.add("SHA-256", sha256.clone()),
        (None, why) => facts.add("SHA-256", format!("not known: {}", no_digest_text(why))),
    }
    facts.add_if("file", file_text(seen));
    facts.add_if("mode", mode_text(seen));
    facts.add_if(
        "gives",
        file.capabilities
            .as_ref()
            .map(|set| format!("capabilities {}", capability_names(set))),
    );
    facts.add_if(
        "place",
        file.place.map(|place| match place {
            FilePlace::Temporary => "a directory for temporary files: everybody may put one there",
            FilePlace::Home => "somebody's home",
        }),
    );
    facts.add_if(
        "place",
        file.writable_by_all
            .as_ref()
            .map(|path| format!("everybody may write to {path}")),
    );
    facts.add(
        "ran",
        format!("{} to {}", second(seen.first), second(seen.last)),
    );
    facts
}

/// The heading of a file.
pub(super) fn heading_of(role: FileRole) -> &'static str {
    match role {
        FileRole::Executable => "File of the executable",
        FileRole::Script => "File of the script",
    }
}

fn package_text(seen: &FileSeen) -> String {
    let file = &seen.file;
    let Some(package) = &file.package else {
        return match file.ownership {
            Ownership::Packaged | Ownership::Unowned => "none: no package has this file",
            Ownership::DatabaseUnreadable => "not known: the package database could not be read",
            Ownership::NoDatabase => "not known: this host has no package database that is known",
            Ownership::Unsettled => "not known: packages were being installed",
            Ownership::OtherNamespace => {
                "not compared: a file of another mount namespace, not the host's"
            }
            Ownership::NoName => {
                "not compared: the file had no name any more (deleted, replaced or in memory)"
            }
            Ownership::Gone => "not known: the file was gone before it could be looked at",
        }
        .to_owned();
    };
    let mut text = package.name.clone();
    for part in [&package.version, &package.architecture]
        .into_iter()
        .flatten()
    {
        text.push(' ');
        text.push_str(part);
    }
    format!("{text} (by {}), {}", package.manager, check_text(package))
}

fn check_text(package: &Package) -> &'static str {
    match (package.check, package.manager.as_str()) {
        (PackageCheck::Matches, "dpkg") => {
            "and the file is as the package put it there, by MD5: no proof against an attacker"
        }
        (PackageCheck::Matches, _) => {
            "and the file is as the package put it there, by its database: no proof against an attacker"
        }
        (PackageCheck::Differs, _) => "BUT THE FILE IS NOT WHAT THE PACKAGE PUT THERE",
        (PackageCheck::Conffile, _) => "and it is a configuration file, unchanged",
        (PackageCheck::ConffileChanged, _) => {
            "and it is a configuration file that was changed, as these may be"
        }
        (PackageCheck::NotListed, _) => "which has no checksum of the file",
        (PackageCheck::Unsettled, _) => "which was being installed: not compared",
        (PackageCheck::Unread, _) => "not compared, since the file was not read",
    }
}

fn change_text(change: &FileChange) -> String {
    let earlier = change.earlier_sha256.as_deref().unwrap_or("not known");
    let version = change.earlier_version.as_deref().unwrap_or("not known");
    match change.how {
        "with_package" => {
            format!("with its package, from version {version} (SHA-256 before: {earlier})")
        }
        "without_package" => {
            format!("THE CONTENT, AND NOT THE VERSION OF ITS PACKAGE (SHA-256 before: {earlier})")
        }
        "unpackaged" => format!("another content than before (SHA-256 before: {earlier})"),
        _ => "another file than before, of which not both were read".to_owned(),
    }
}

fn no_digest_text(why: Option<NoDigest>) -> &'static str {
    match why {
        Some(NoDigest::TooLarge) => "larger than files that are read",
        Some(NoDigest::Unreadable) => "it could not be read",
        Some(NoDigest::Gone) => "it was gone, or another stood in its place",
        Some(NoDigest::Changing) => "it was written to while it was read",
        Some(NoDigest::Remote) => "on a file system that a server or a program gives out",
        Some(NoDigest::Irregular) => "it is no plain file",
        Some(NoDigest::Stopped) => "the observer ended first",
        None => "nobody says why",
    }
}

fn file_text(seen: &FileSeen) -> Option<String> {
    const MINOR_BITS: u32 = 20;
    let file = &seen.file;
    let device = file.device?;
    let (major, minor) = (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
    let mut text = format!("device {major}:{minor}, inode {}", file.inode?);
    if let (Some(size), Some(changed)) = (file.size, file.changed) {
        text.push_str(&format!(", {}, changed {}", bytes(size), second(changed)));
    }
    Some(text)
}

fn mode_text(seen: &FileSeen) -> Option<String> {
    let file = &seen.file;
    let mut text = format!("{:04o}", file.mode?);
    for (holds, word) in [(file.is_setuid(), "setuid"), (file.is_setgid(), "setgid")] {
        if holds {
            text.push_str(&format!(", {word}"));
        }
    }
    if let (Some(uid), Some(gid)) = (file.owner_uid, file.owner_gid) {
        text.push_str(&format!(", of uid {uid}, gid {gid}"));
    }
    Some(text)
}

/// Names of capabilities, in the order of their numbers.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

fn capability_names(set: &str) -> String {
    let Ok(bits) = u64::from_str_radix(set, 16) else {
        return set.to_owned();
    };
    let names: Vec<String> = (0..u64::BITS)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit| match CAPABILITIES.get(bit as usize) {
            Some(name) => format!("cap_{name}"),
            None => format!("number {bit}"),
        })
        .collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
