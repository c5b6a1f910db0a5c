//! Hosts that lack what observing needs: it is named, and nothing is left behind.

use std::{
    env,
    path::Path,
    process::{Command, Output, Stdio},
};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::observer::program;

pub(crate) fn trials() -> Vec<Trial> {
    [
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
        Trial::test(
            "doctor finds no fault with a host that has none",
            sound_host_is_sound,
        ),
    ]
    .into_iter()
    .chain(
        HOSTS
            .iter()
            .map(|host| Trial::test(host.says, || diagnosed(host))),
    )
    .collect()
}

/// A host that lacks something, and what `doctor` must say of it.
struct Host {
    /// What `doctor` does there.
    says: &'static str,
    /// Further namespaces than that of mounts.
    namespaces: &'static [&'static str],
    /// Makes it lack that.
    setup: &'static str,
    /// What starts the program.
    launcher: &'static str,
    topic: &'static str,
    grade: &'static str,
    words: &'static [&'static str],
}

/// One that lacks nothing more than the machine does.
const PLAIN: Host = Host {
    says: "",
    namespaces: &[],
    setup: ":",
    launcher: "",
    topic: "",
    grade: "",
    words: &[],
};

const HOSTS: [Host; 6] = [
    Host {
        says: "doctor names a kernel without type information",
        setup: "mount -t tmpfs none /sys/kernel/btf",
        topic: "type information",
        grade: "bad",
        words: &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"],
        ..PLAIN
    },
    Host {
        says: "doctor names a lockdown that forbids every hook",
        setup: "mkdir -p /sys/kernel/security; mount -t tmpfs none /sys/kernel/security; \
                    echo 'none integrity [confidentiality]' >/sys/kernel/security/lockdown",
        topic: "lockdown",
        grade: "bad",
        words: &["confidentiality", "lockdown=integrity"],
        ..PLAIN
    },
    Host {
        says: "doctor names a setting that withholds kprobes",
        setup: "mount -t tmpfs none /sys/bus/event_source/devices; \
                    mkdir /sys/bus/event_source/devices/kprobe; \
                    echo 6 >/sys/bus/event_source/devices/kprobe/type; echo 3 >\"$PLACE/level\"; \
                    mount --bind \"$PLACE/level\" /proc/sys/kernel/perf_event_paranoid",
        launcher: "\"$OWN\" --without-namespaces",
        topic: "kprobes",
        grade: "poor",
        words: &["kernel.perf_event_paranoid", "CAP_SYS_ADMIN"],
        ..PLAIN
    },
    Host {
        says: "doctor names each capability that is missing",
        launcher: "\"$OWN\" --confined",
        topic: "capabilities",
        grade: "bad",
        words: &["missing CAP_BPF;", "missing CAP_SYS_ADMIN"],
        ..PLAIN
    },
    Host {
        says: "doctor names a user namespace, where no capability counts",
        namespaces: &["--user", "--map-root-user"],
        topic: "capabilities",
        grade: "bad",
        words: &["user namespace", "root of the host"],
        ..PLAIN
    },
    Host {
        says: "doctor names a container that it runs in",
        namespaces: &["--pid", "--fork", "--mount-proc", "--cgroup"],
        topic: "container",
        grade: "poor",
        words: &["(pid, cgroup)", "on the host itself"],
        ..PLAIN
    },
];

/// Whether `doctor` says what is wrong with a host.
fn diagnosed(host: &Host) -> Result<(), Failed> {
    let conditions = conditions_of(host)?;
    let found = conditions
        .iter()
        .find(|condition| condition["topic"] == host.topic)
        .ok_or_else(|| format!("no word of it among {conditions:?}"))?;
    let text = format!("{} {}", found["finding"], found["advice"]);
    let are_said = host.words.iter().all(|word| text.contains(word));
    if are_said && found["grade"] == host.grade {
        return Ok(());
    }
    Err(format!("it says {found}").into())
}

/// The machine itself lacks nothing but, perhaps, kprobes.
fn sound_host_is_sound() -> Result<(), Failed> {
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    let conditions = conditions_of(&PLAIN)?;
    let is_sound = |condition: &Value| {
        condition["grade"] == "good" || (condition["topic"] == "kprobes" && !has_kprobes)
    };
    if conditions.len() >= 4 && conditions.iter().all(is_sound) {
        return Ok(());
    }
    Err(format!("it says {conditions:?}").into())
}

/// What `doctor` says of the host.
fn conditions_of(host: &Host) -> Result<Vec<Value>, Failed> {
    let place = tempfile::tempdir()?;
    let script = format!(
        "set -e; {}; exec {} \"$PROGRAM\" --config /dev/null doctor --quick --format json",
        host.setup, host.launcher
    );
    let output = Command::new("unshare")
        .arg("--mount")
        .args(host.namespaces)
        .args(["sh", "-c", &script])
        .env("PROGRAM", program())
        .env("OWN", env::current_exe()?)
        .env("PLACE", place.path())
        .stdin(Stdio::null())
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout).map_err(|cause| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("no document: {cause}: {said}")
    })?;
    let conditions = document["conditions"].as_array();
    Ok(conditions.cloned().unwrap_or_default())
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
