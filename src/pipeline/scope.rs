//! What the pipeline is told from outside, beside events.

/// What does not change while a host is observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Name of the host.
    pub host: String,
    /// Its boot.
    pub boot_id: Option<String>,
    /// Store command lines as they are, secrets included.
    pub full_command_lines: bool,
    /// Keep flows that stay on the host.
    pub include_loopback: bool,
}

/// What the file system knows of a process that the kernel's report does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its executable is not the host's file of that path.
    pub is_foreign: bool,
}
