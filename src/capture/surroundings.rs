//! What this host offers to hooks, for whoever asks why they do not work.

use std::{fs, path::PathBuf};

use rustix::{
    process::geteuid,
    system::uname,
    thread::{CapabilitySet, capabilities},
};

use super::requirements::{BTF, cgroup_root, has_kprobes, is_paranoid_about_probes};

/// Everything that observing and its proof may need, each with the word for it.
const CAPABILITIES: [(CapabilitySet, &str); 6] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
    (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
];

/// What [`CapabilitySet::SYS_ADMIN`] stands for as well.
const WITHIN_SYS_ADMIN: [&str; 2] = ["CAP_BPF", "CAP_PERFMON"];

/// Links of namespaces that every kernel gives the same number when it starts.
const FIRST_NAMESPACES: [(&str, &str); 3] = [
    ("user", "user:[4026531837]"),
    ("pid", "pid:[4026531836]"),
    ("cgroup", "cgroup:[4026531835]"),
];

/// What this host offers to hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Release of the kernel.
    pub kernel: String,
    /// Effective user id.
    pub user: u32,
    /// Capabilities that are lacking, by name.
    pub missing_capabilities: Vec<&'static str>,
    /// Whether the kernel describes its types.
    pub has_btf: bool,
    /// Whether the kernel has kprobes.
    pub has_kprobes: bool,
    /// Whether it has them, and `kernel.perf_event_paranoid` keeps this process from using them.
    pub is_paranoid_about_probes: bool,
    /// Kernel lockdown: `none`, `integrity` or `confidentiality`; none where it has no such thing.
    pub lockdown: Option<String>,
    /// Where the whole of cgroup v2 is mounted.
    pub cgroup_root: Option<PathBuf>,
    /// Namespaces (`user`, `pid`, `cgroup`) that are not the host's own.
    pub inner_namespaces: Vec<&'static str>,
}

/// Release of the kernel that runs.
pub fn kernel_release() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// Looks around.
pub fn surroundings() -> Surroundings {
    Surroundings {
        kernel: kernel_release(),
        user: geteuid().as_raw(),
        missing_capabilities: missing_capabilities(),
        has_btf: fs::metadata(BTF).is_ok(),
        has_kprobes: has_kprobes(),
        is_paranoid_about_probes: has_kprobes() && is_paranoid_about_probes(),
        lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
            .ok()
            .and_then(|text| lockdown_in(&text)),
        cgroup_root: cgroup_root(),
        inner_namespaces: inner_namespaces(),
    }
}

/// Namespaces that are not the host's own.
pub(super) fn inner_namespaces() -> Vec<&'static str> {
    FIRST_NAMESPACES
        .into_iter()
        .filter(|(name, first)| {
            fs::read_link(format!("/proc/self/ns/{name}"))
                .is_ok_and(|link| link.as_os_str() != *first)
        })
        .map(|(name, _)| name)
        .collect()
}

fn missing_capabilities() -> Vec<&'static str> {
    let Ok(sets) = capabilities(None) else {
        return Vec::new();
    };
    let has = sets.effective;
    CAPABILITIES
        .into_iter()
        .filter(|(capability, name)| {
            let is_within =
                has.contains(CapabilitySet::SYS_ADMIN) && WITHIN_SYS_ADMIN.contains(name);
            !has.contains(*capability) && !is_within
        })
        .map(|(_, name)| name)
        .collect()
}

/// The mode in brackets, as in `none [integrity] confidentiality`.
fn lockdown_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::lockdown_in;

    #[test]
    fn the_mode_of_lockdown_is_the_one_in_brackets() {
        let mode = lockdown_in("none [integrity] confidentiality\n");
        assert_eq!(mode.as_deref(), Some("integrity"));
        assert_eq!(lockdown_in(""), None);
    }
}
