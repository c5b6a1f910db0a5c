//! What the capture thread may do once its hooks are on.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Reading maps (BPF, PERFMON, NET_ADMIN for the counters of cgroup programs), namespaces of other
/// processes (SYS_PTRACE) and files under their roots (DAC_READ_SEARCH).
const NEEDED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// Gives up every other capability of this thread, which decodes what strangers wrote.
pub(super) fn drop_all_but_needed() {
    let Ok(has) = capabilities(None) else { return };
    let kept = CapabilitySets {
        effective: has.effective & NEEDED,
        permitted: has.permitted & NEEDED,
        inheritable: CapabilitySet::empty(),
    };
    // Only ever takes away; where that is refused, the thread is as it was.
    let _unchanged = set_capabilities(None, kept).is_err();
}
