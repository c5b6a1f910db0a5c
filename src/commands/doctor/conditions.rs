//! What the host offers, in sentences, with what to do where it offers too little.

use crate::{
    capture::Surroundings,
    report::doctor::{Condition, Grade},
};

/// Without these nothing can be observed.
const NEEDED: [&str; 3] = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"];

/// What is lost without each of the others.
const USEFUL: [(&str, &str); 3] = [
    (
        "CAP_SYS_PTRACE",
        "namespaces of other processes cannot be read",
    ),
    (
        "CAP_DAC_READ_SEARCH",
        "files of other processes cannot be looked at",
    ),
    (
        "CAP_SYS_ADMIN",
        "no network namespace can be made for canary flows",
    ),
];

/// Every respect in which the host may be suited.
pub(super) fn conditions(around: &Surroundings) -> Vec<Condition> {
    [
        Some(capabilities(around)),
        Some(type_information(around)),
        Some(kprobes(around)),
        lockdown(around),
        Some(cgroups(around)),
        container(around),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn condition(
    topic: &'static str,
    grade: Grade,
    finding: impl Into<String>,
    advice: Option<&'static str>,
) -> Condition {
    Condition {
        topic,
        grade,
        finding: finding.into(),
        advice,
    }
}

fn capabilities(around: &Surroundings) -> Condition {
    const TOPIC: &str = "capabilities";
    let missing = &around.missing_capabilities;
    if missing.is_empty() && around.inner_namespaces.contains(&"user") {
        return condition(
            TOPIC,
            Grade::Bad,
            "those of a user namespace count for nothing outside of it",
            Some("run it as root of the host itself"),
        );
    }
    if missing.is_empty() {
        return condition(TOPIC, Grade::Good, "all that are used", None);
    }
    let is_needed = |name: &&str| NEEDED.contains(name);
    let mut parts = Vec::new();
    if around.user != 0 {
        parts.push(format!("this is user {} and not root", around.user));
    }
    let needed: Vec<&str> = missing.iter().copied().filter(is_needed).collect();
    if !needed.is_empty() {
        parts.push(format!("missing {}", needed.join(", ")));
    }
    for (name, loss) in USEFUL {
        if missing.contains(&name) {
            parts.push(format!("missing {name}: {loss}"));
        }
    }
    let grade = match needed.is_empty() {
        true => Grade::Poor,
        false => Grade::Bad,
    };
    let advice = match around.user {
        0 => {
            "root lacks them in a container, or where a service manager takes them: run it outside"
        }
        _ => "run it as root",
    };
    condition(TOPIC, grade, parts.join("; "), Some(advice))
}

fn type_information(around: &Surroundings) -> Condition {
    const TOPIC: &str = "type information";
    if around.has_btf {
        return condition(TOPIC, Grade::Good, "this kernel has BTF", None);
    }
    condition(
        TOPIC,
        Grade::Bad,
        "`/sys/kernel/btf/vmlinux` is missing, and no hook can be loaded without it",
        Some("boot a kernel that was built with CONFIG_DEBUG_INFO_BTF, as Debian's are"),
    )
}

fn kprobes(around: &Surroundings) -> Condition {
    const TOPIC: &str = "kprobes";
    let left = match around.cgroup_root {
        Some(_) => "backend `cgroup` is left",
        None => "and without cgroup v2 no backend is left",
    };
    if !around.has_kprobes {
        return condition(
            TOPIC,
            Grade::Poor,
            format!("this kernel has none (CONFIG_KPROBE_EVENTS is off): {left}"),
            Some("below, and in docs/limits.md, is what that backend does not see"),
        );
    }
    if around.is_paranoid_about_probes {
        return condition(
            TOPIC,
            Grade::Poor,
            format!(
                "`kernel.perf_event_paranoid` is above 2, where this kernel lets only \
                 CAP_SYS_ADMIN use them: {left}"
            ),
            Some("run it as root, or `sysctl kernel.perf_event_paranoid=2`"),
        );
    }
    condition(TOPIC, Grade::Good, "this kernel has them", None)
}

fn lockdown(around: &Surroundings) -> Option<Condition> {
    let mode = around.lockdown.as_deref()?;
    Some(match mode {
        "confidentiality" => condition(
            "lockdown",
            Grade::Bad,
            "mode `confidentiality` forbids programs that read the kernel's memory, as all hooks do",
            Some("boot with `lockdown=integrity`, which allows them"),
        ),
        mode => condition("lockdown", Grade::Good, format!("mode `{mode}`"), None),
    })
}

fn cgroups(around: &Surroundings) -> Condition {
    match &around.cgroup_root {
        Some(root) => condition(
            "cgroup v2",
            Grade::Good,
            format!("mounted at {}", root.display()),
            None,
        ),
        None => condition(
            "cgroup v2",
            Grade::Poor,
            "not mounted: backend `cgroup` cannot be used, and applications have no context",
            Some("mount -t cgroup2 none /sys/fs/cgroup"),
        ),
    }
}

fn container(around: &Surroundings) -> Option<Condition> {
    let inner = &around.inner_namespaces;
    if inner.is_empty() {
        return None;
    }
    let mut parts = vec![format!(
        "this is one, or like one, with namespaces of its own ({})",
        inner.join(", ")
    )];
    if inner.contains(&"cgroup") {
        parts.push("backend `cgroup` sees only what is in it".to_owned());
    }
    if inner.contains(&"pid") {
        parts.push("processes have other ids in it than those that are recorded".to_owned());
    }
    Some(condition(
        "container",
        Grade::Poor,
        parts.join("; "),
        Some("run it on the host itself"),
    ))
}
