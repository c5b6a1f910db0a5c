//! What each thread may do once it has what only the start can give it.
//!
//! Credentials and capabilities belong to threads, not to processes: every thread gives up its own.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path, path::PathBuf};

use rustix::{
    io::Errno,
    process::{Gid, Uid, geteuid},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

use crate::identity::facts::Account;

/// What the capture thread keeps: reading maps (BPF, PERFMON, NET_ADMIN for the counters of cgroup
/// programs), namespaces of other processes (SYS_PTRACE) and files under their roots
/// (DAC_READ_SEARCH).
pub(super) const FOR_HOOKS: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// What the thread keeps that attaches to modules: kernels of Debian want SYS_ADMIN for a probe.
pub(super) const FOR_MODULES: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN);

/// What the thread keeps that reads what engines wrote down of containers.
pub(super) const FOR_READING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// What the thread keeps that examines files: through the processes that run them.
pub(super) const FOR_FILES: CapabilitySet =
    CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);

/// What the thread that writes the database keeps: its files are open.
pub(super) const FOR_WRITING: CapabilitySet = CapabilitySet::empty();

/// Why privileges were not given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The kernel refused.
    #[error("give up privileges: {what}")]
    Refused {
        /// The step.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Only root can become another user.
    #[error("become user `{0}`: not started as root")]
    NotRoot(String),
    /// The user that is to write the database does not own what is there.
    #[error("`{}` does not belong to user `{user}`", path.display())]
    NotOwned {
        /// The file or directory.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// The directory of the database could not be made.
    #[error("make `{}` for user `{user}`", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The user.
        user: String,
        /// Why.
        source: io::Error,
    },
}

impl PrivilegeError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Refused { .. } => {
                "a seccomp filter or a container may forbid it: allow it there".to_owned()
            }
            Self::NotRoot(user) => format!(
                "start it as root or as `{user}`, or leave `user` out of `[service]` in the \
                 configuration"
            ),
            Self::NotOwned { path, user } => format!(
                "`chown -R {user}: {}` if nothing else is in there, or name another database",
                directory_of(path).display()
            ),
            Self::Directory { .. } => {
                "make the directory by hand and give it to that user".to_owned()
            }
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent().unwrap_or(path)
}

/// Leaves this thread with the capabilities in `kept` that it has, as `account` if one is named,
/// without a way back for it or for what it might start.
pub(super) fn give_up(
    account: Option<&Account>,
    kept: CapabilitySet,
) -> Result<(), PrivilegeError> {
    let has = capabilities(None).map_err(refused("read capabilities"))?;
    set_no_new_privs(true).map_err(refused("no new privileges"))?;
    // Without this capability the set is the service manager's to limit.
    if has.effective.contains(CapabilitySet::SETPCAP) {
        limit_bounding_set(kept).map_err(refused("limit the bounding set"))?;
    }
    if let Some(account) = account {
        become_user(account)?;
    }
    clear_ambient_capability_set().map_err(refused("clear the ambient set"))?;
    let left = has.permitted & kept;
    let sets = CapabilitySets {
        effective: left,
        permitted: left,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(refused("drop capabilities"))
}

fn refused(what: &'static str) -> impl Fn(Errno) -> PrivilegeError {
    move |errno| PrivilegeError::Refused {
        what,
        source: errno.into(),
    }
}

fn limit_bounding_set(kept: CapabilitySet) -> Result<(), Errno> {
    for capability in CapabilitySet::all() - kept {
        // One that this kernel does not know is in no set.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    Ok(())
}

fn become_user(account: &Account) -> Result<(), PrivilegeError> {
    let uid = Uid::from_raw(account.uid);
    if geteuid() == uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        return Err(PrivilegeError::NotRoot(account.name.clone()));
    }
    let gid = Gid::from_raw(account.gid);
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    // Permitted capabilities would go with uid 0.
    set_keep_capabilities(true).map_err(refused("keep capabilities"))?;
    set_thread_groups(&groups).map_err(refused("set groups"))?;
    set_thread_res_gid(gid, gid, gid).map_err(refused("set the group"))?;
    set_thread_res_uid(uid, uid, uid).map_err(refused("set the user"))?;
    set_keep_capabilities(false).map_err(refused("keep no capabilities"))
}

/// Sees to it, while still root, that `account` can write the database.
///
/// A directory that is missing is made. What is there is never given away: whoever owns the
/// directory could have put a link to anything there.
pub(super) fn prepare_place(database: &Path, account: &Account) -> Result<(), PrivilegeError> {
    if !geteuid().is_root() || account.uid == 0 {
        return Ok(());
    }
    let Some(directory) = database.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    let failed = |source| PrivilegeError::Directory {
        path: directory.to_owned(),
        user: account.name.clone(),
        source,
    };
    match fs::DirBuilder::new().mode(0o750).create(directory) {
        Ok(()) => {
            std::os::unix::fs::lchown(directory, Some(account.uid), Some(account.gid))
                .map_err(failed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // The store tells better what is wrong with the path.
        Err(_) => return Ok(()),
    }
    for path in [directory.to_owned()]
        .into_iter()
        .chain(files_of(database, directory))
    {
        demand_owner(&path, account)?;
    }
    Ok(())
}

/// The database and the files beside it that begin with its name.
fn files_of(database: &Path, directory: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;

    let name = database.file_name().unwrap_or_default().as_bytes();
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_bytes().starts_with(name))
        .map(|entry| entry.path())
        .collect()
}

fn demand_owner(path: &Path, account: &Account) -> Result<(), PrivilegeError> {
    use std::os::unix::fs::MetadataExt as _;

    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.uid() != account.uid => Err(PrivilegeError::NotOwned {
            path: path.to_owned(),
            user: account.name.clone(),
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}
