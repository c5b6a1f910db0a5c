//! The raw identity that rollups are keyed by, and the application that it stands for now.

use super::Application;

/// What is known of a flow's maker that does not change from one process image to the next.
///
/// Rollups are keyed by it, so that the mapping to an application can be computed again when its
/// rules change. Arguments vary without bound and enter only where they decide what the program
/// is: for interpreters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawIdentity {
    /// The host that was observed.
    pub host: String,
    /// Path of the executable, unfolded; `kernel:NAME` for the kernel.
    pub exe: Option<String>,
    /// See [`super::Executable`].
    pub is_deleted: bool,
    /// See [`super::Executable`].
    pub is_memfd: bool,
    /// See [`super::Executable`].
    pub is_foreign: bool,
    /// Redacted arguments, for interpreters only.
    pub interpreter_argv: Option<Vec<String>>,
    /// Working directory, for interpreters only (a script's path may be relative).
    pub interpreter_directory: Option<String>,
    /// Cgroup v2 path at the attempt.
    pub cgroup_path: Option<String>,
    /// User id at the attempt.
    pub uid: Option<u32>,
    /// Name of that user when it was recorded, or what an import said.
    pub user: Option<String>,
    /// Name of the user whose slice the cgroup path is in, when it was recorded.
    pub slice_user: Option<String>,
    /// The context that an import stated.
    pub stated_context: Option<String>,
    /// The script that an import stated.
    pub stated_script: Option<String>,
}

/// A raw identity and the application that it stands for under the present rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityRecord {
    /// What was seen.
    pub raw: RawIdentity,
    /// What it stands for.
    pub application: Application,
    /// What tells one run of it from the next: one cgroup id of a unit, one child of cron; none
    /// where runs cannot be told apart.
    pub run: Option<String>,
}
