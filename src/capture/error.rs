//! Why nothing can be captured, and what to do about it.

use crate::model::BackendFailure;

/// What libbpf says of a table that the kernel refuses to set aside.
pub(super) const NO_TABLE: &str = ": failed to create: ";

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel does not describe its types.
    #[error("this kernel has no BTF: `/sys/kernel/btf/vmlinux` is missing")]
    NoBtf,
    /// The process lacks capabilities; their names.
    #[error("not permitted: missing {0}")]
    MissingCapabilities(String),
    /// No backend could be loaded and attached.
    #[error("no backend works on this kernel: {}", list(.0))]
    NoBackend(Vec<BackendFailure>),
    /// The ring buffer could not be opened.
    #[error("open the ring buffer: {0}")]
    Ring(String),
}

fn list(failures: &[BackendFailure]) -> String {
    let parts: Vec<_> = failures
        .iter()
        .map(|failure| format!("{}: {}", failure.backend, failure.reason))
        .collect();
    parts.join("; ")
}

impl CaptureError {
    pub(super) fn ring(error: libbpf_rs::Error) -> Self {
        Self::Ring(format!("{error:#}"))
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoBtf => "a kernel built with CONFIG_DEBUG_INFO_BTF is needed, \
                            as those of Debian 11 and newer are"
                .to_owned(),
            Self::MissingCapabilities(_) => "run as root, or grant CAP_BPF, CAP_PERFMON, \
                 CAP_NET_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
                .to_owned(),
            Self::NoBackend(failures)
                if failures.iter().any(|one| one.reason.contains(NO_TABLE)) =>
            {
                "the kernel has no room for a table of that size: make those in `[limits]` of the \
                 configuration smaller"
                    .to_owned()
            }
            Self::NoBackend(failures) if failures.len() == 1 => {
                "try `--backend auto`, which takes whatever this kernel offers".to_owned()
            }
            Self::NoBackend(_) | Self::Ring(_) => {
                "Linux 5.10 or newer is needed, with kprobes or with cgroup v2 mounted; \
                 `egress-baseline doctor` names what stands in the way"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CaptureError;
    use crate::model::BackendFailure;

    #[test]
    fn tables_that_are_too_large_are_named_as_what_to_change() {
        let failure = |reason: &str| {
            CaptureError::NoBackend(vec![BackendFailure {
                backend: "cgroup".to_owned(),
                reason: reason.to_owned(),
            }])
        };
        let too_large = "load the BPF programs: cannot allocate memory \
                         (map 'connections': failed to create: -ENOMEM)";
        assert!(failure(too_large).hint().contains("`[limits]`"));
        assert!(
            !failure("attach `cgroup_connect4`: busy")
                .hint()
                .contains("`[limits]`")
        );
    }
}
