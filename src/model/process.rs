//! Who made a flow, as it was at the attempt.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One process image: a pid alone is reused, and one process execs several programs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ProcessKey {
    /// Process id in the initial pid namespace (the kernel's tgid).
    pub pid: u32,
    /// Start of the process: nanoseconds since boot, suspend included.
    pub started_boot_ns: u64,
    /// The kernel's count of execs in this line of descent.
    pub exec_id: u64,
}

/// An older member of the parent chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Start: nanoseconds since boot.
    pub started_boot_ns: u64,
    /// The kernel's short name of it (at most 15 bytes), as [`super::text_of_bytes`] writes it.
    pub comm: String,
}

/// Inode numbers of the namespaces that a process is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Namespaces {
    /// Network namespace.
    pub net: u32,
    /// Mount namespace.
    pub mnt: u32,
    /// User namespace.
    pub user: u32,
    /// Pid namespace.
    pub pid: u32,
}

/// The file that a process image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Executable {
    /// Its path in its own mount namespace, as [`super::text_of_bytes`] writes it; of a memfd
    /// `/memfd:NAME`; of a kernel thread `kernel:NAME`.
    pub path: String,
    /// The kernel's device number (`major << 20 | minor`) and inode, where the kernel told them.
    pub device: Option<u64>,
    /// Inode number on that device.
    pub inode: Option<u64>,
    /// The file had no name any more.
    pub is_deleted: bool,
    /// The file is an anonymous one that was never in a file system.
    pub is_memfd: bool,
    /// The path was longer than is read; its first components are missing.
    pub is_truncated: bool,
    /// The path was seen in another mount namespace and is not the host's file of that name.
    pub is_foreign: bool,
}

/// One process image, as the store keeps it. What an import does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The host that it ran on.
    pub host: String,
    /// The kernel's key; none for imported flows.
    pub key: Option<ProcessKey>,
    /// Boot that the key belongs to (the kernel's boot id).
    pub boot_id: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// Parent process id.
    pub ppid: Option<u32>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// What it runs.
    pub exe: Option<Executable>,
    /// The kernel's short name.
    pub comm: Option<String>,
    /// Arguments, redacted unless the full form was asked for.
    pub argv: Option<Vec<String>>,
    /// Arguments as one line: `argv` quoted for a shell, or what an import said.
    pub cmdline: Option<String>,
    /// Arguments were longer than is read.
    pub argv_truncated: bool,
    /// Working directory, in its own mount namespace.
    pub working_directory: Option<String>,
    /// The parent chain, nearest first, at most 8.
    pub ancestors: Vec<Ancestor>,
    /// Real user id when it was first seen.
    pub uid: Option<u32>,
    /// Effective user id when it was first seen.
    pub euid: Option<u32>,
    /// The user who logged in (audit), if anybody did.
    pub login_uid: Option<u32>,
    /// Audit session number, if any.
    pub audit_session: Option<u32>,
    /// Controlling terminal, such as `pts0`.
    pub tty: Option<String>,
    /// Cgroup v2 id when it was first seen.
    pub cgroup_id: Option<u64>,
    /// Cgroup v2 path when it was first seen.
    pub cgroup_path: Option<String>,
    /// Namespaces.
    pub namespaces: Option<Namespaces>,
}
