//! Counts the times that the kernel did not run a program because it was running on that CPU already.

#![expect(
    unsafe_code,
    reason = "libbpf-rs can ask this only of all programs of the host"
)]

use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::skel::Skel;

use super::skeleton::EgressSkel;

/// How often programs of the object were skipped since they were loaded.
pub(super) fn skipped_runs(skeleton: &EgressSkel<'_>) -> u64 {
    skeleton
        .object()
        .progs()
        .filter(libbpf_rs::ProgramImpl::autoload)
        .map(|program| {
            let mut info = libbpf_sys::bpf_prog_info::default();
            let mut length = u32::try_from(size_of_val(&info)).unwrap_or(0);
            // SAFETY: `info` has room for `length` bytes, and zeroed it asks for no arrays, so that
            // the kernel writes into nothing else.
            let result = unsafe {
                libbpf_sys::bpf_prog_get_info_by_fd(
                    program.as_fd().as_raw_fd(),
                    &raw mut info,
                    &raw mut length,
                )
            };
            if result == 0 {
                info.recursion_misses
            } else {
                0
            }
        })
        .sum()
}
