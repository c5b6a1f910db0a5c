//! Hosts that lack what observing needs: it is named, and nothing is left behind.

use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};

use super::observer::program;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a kernel without type information is named as such", || {
            let hide = "mount -t tmpfs none /sys/kernel/btf";
            refused(hide, "auto", &["no BTF", "/sys/kernel/btf/vmlinux"])
        }),
        Trial::test("a host without cgroup v2 is told how to mount it", || {
            let hide = "for place in $(awk '/ - cgroup2 / { print $5 }' /proc/self/mountinfo); \
                do umount $place; done";
            refused(
                hide,
                "cgroup",
                &["cgroup v2 is not mounted", "mount -t cgroup2"],
            )
        }),
        Trial::test("a place that cannot be written is named", || {
            let hide = "mount -t tmpfs -o ro none \"$PLACE\"";
            refused(hide, "auto", &["flows.db", "hint:"])
        }),
    ]
}

/// Runs `observe` where `hide` was run before, in a mount namespace of its own.
fn refused(hide: &str, backend: &str, expected: &[&str]) -> Result<(), Failed> {
    let place = tempfile::tempdir().map_err(|cause| format!("make a folder: {cause}"))?;
    let script = format!(
        "set -e; {hide}; exec \"$PROGRAM\" --db \"$PLACE/flows.db\" observe --for 1s \
         --backend {backend}"
    );
    let output: Output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("PROGRAM", program())
        .env("PLACE", place.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| format!("start unshare: {cause}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(2) {
        return Err(format!("it ended with {}: {said}", output.status).into());
    }
    for words in expected {
        if !said.contains(words) {
            return Err(format!("`{words}` was not said: {said}").into());
        }
    }
    Ok(())
}
