//! What must be there before anything is tried, so that its lack is named and not just an errno.

use std::{fs, path::PathBuf};

use rustix::thread::{CapabilitySet, capabilities};

use super::CaptureError;

pub(super) const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Loading: CAP_BPF; reading kernel memory: CAP_PERFMON, without which the kernel answers a
/// misleading EINVAL; the cgroup programs: CAP_NET_ADMIN. CAP_SYS_ADMIN stands for all of them.
const NEEDED: [(CapabilitySet, &str); 3] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
];

/// Checks what every backend needs: capabilities and BTF.
pub fn check() -> Result<(), CaptureError> {
    if let Ok(sets) = capabilities(None)
        && !sets.effective.contains(CapabilitySet::SYS_ADMIN)
    {
        let missing: Vec<_> = NEEDED
            .iter()
            .filter(|(capability, _)| !sets.effective.contains(*capability))
            .map(|(_, name)| *name)
            .collect();
        if !missing.is_empty() {
            return Err(CaptureError::MissingCapabilities(missing.join(", ")));
        }
    }
    if fs::metadata(BTF).is_err() {
        return Err(CaptureError::NoBtf);
    }
    Ok(())
}

/// Where the whole cgroup v2 hierarchy is mounted, which need not be `/sys/fs/cgroup`.
pub(super) fn cgroup_root() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2" && mount.root == "/")
        .map(|mount| mount.mount_point)
}

/// Whether attaching kprobes takes CAP_SYS_ADMIN, which this process does not have: kernels of Debian
/// and Ubuntu do not let CAP_PERFMON do it above this level.
pub(super) fn is_paranoid_about_probes() -> bool {
    const HIGHEST_OF_MAINLINE: i32 = 2;
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    let is_above = level
        .ok()
        .and_then(|level| level.trim().parse::<i32>().ok())
        .is_some_and(|level| level > HIGHEST_OF_MAINLINE);
    is_above
        && capabilities(None).is_ok_and(|sets| !sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Whether the kernel has kprobes at all.
pub(super) fn has_kprobes() -> bool {
    fs::metadata("/sys/bus/event_source/devices/kprobe/type").is_ok()
}
