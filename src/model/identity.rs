//! The raw identity that rollups are keyed by, and the application that it stands for now.

use serde::{Deserialize, Serialize};

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
    /// The account that somebody logged in with: its name when it was recorded, or its number.
    pub login_user: Option<String>,
    /// Short name of the daemon among its ancestors that starts jobs at set times.
    pub job_daemon: Option<String>,
    /// What files of the host say of the container that it is in.
    pub container: Option<ContainerFacts>,
    /// The context that an import stated.
    pub stated_context: Option<String>,
    /// The script that an import stated.
    pub stated_script: Option<String>,
}

/// What an engine wrote down of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFacts {
    /// Its name, made up or given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The service that it is an instance of: of Compose `PROJECT/SERVICE`, of Swarm `SERVICE`, of
    /// ECS `FAMILY/CONTAINER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The pod that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodFacts>,
}

/// What Kubernetes calls a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PodFacts {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Name of the container; none of the one that only holds the namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
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
