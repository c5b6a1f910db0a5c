//! What a baseline is kept for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The service context of a process: `unit:NAME`, `user-unit:USER:NAME`,
/// `container:RUNTIME/NAME`, `pod:NAMESPACE/NAME/CONTAINER`, `cron:USER`, `at:USER`,
/// `session:USER`, `kernel`, `none`, or what an import said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(String);

impl Context {
    /// A context from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Outside every service, session and container, or not known.
    pub fn none() -> Self {
        Self::new("none")
    }

    /// The kernel itself.
    pub fn kernel() -> Self {
        Self::new("kernel")
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a container or a pod.
    pub fn is_container(&self) -> bool {
        self.0.starts_with("container:") || self.0.starts_with("pod:")
    }

    /// Whether it is a job that a daemon started at a set time.
    pub fn is_job(&self) -> bool {
        self.0.starts_with("cron:") || self.0.starts_with("at:")
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a baseline is kept for: context, program and script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Application {
    /// The service context.
    pub context: Context,
    /// The program's path; `foreign:…`, `kernel:…` and `(no process)` are no paths of this host.
    pub program: String,
    /// What an interpreter runs, if the program is one.
    pub script: Option<String>,
}

impl Application {
    /// The program of flows that were imported without a process.
    pub const NO_PROCESS: &'static str = "(no process)";
}

impl fmt::Display for Application {
    /// `unit:backup.service /usr/bin/python3.11 /opt/push.py`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.context, self.program)?;
        match &self.script {
            Some(script) => write!(f, " {script}"),
            None => Ok(()),
        }
    }
}
