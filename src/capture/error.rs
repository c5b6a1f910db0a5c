//! Why nothing can be captured, and what to do about it.

use crate::model::BackendFailure;

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
            Self::NoBackend(failures) if failures.len() == 1 => {
                "try `--backend auto`, which takes whatever this kernel offers".to_owned()
            }
            Self::NoBackend(_) | Self::Ring(_) => {
                "Linux 5.10 or newer is needed, with kprobes or with cgroup v2 mounted".to_owned()
            }
        }
    }
}
