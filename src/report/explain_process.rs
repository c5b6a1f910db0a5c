//! Processes and identities as labelled facts.

use super::{explain::IdentityFacts, facts::Facts, files::Interactivity, humane::second};
use crate::model::{Executable, Process};

pub(super) fn process_lines(process: &Process) -> Facts {
    let mut facts = Facts::default();
    facts.add_if("pid", process.pid.map(|pid| pid.to_string()));
    facts.add_if("started", process.started.map(second));
    if let Some(exe) = &process.exe {
        facts.add("executable", exe.path.clone());
        let marks = executable_marks(exe);
        if !marks.is_empty() {
            facts.add("executable", marks.join(", "));
        }
    }
    facts.add_if("command", process.comm.clone());
    let cut = if process.argv_truncated {
        " … (cut)"
    } else {
        ""
    };
    facts.add_if(
        "arguments",
        process.cmdline.as_ref().map(|line| format!("{line}{cut}")),
    );
    facts.add_if("directory", process.working_directory.clone());
    let parents: Vec<String> = process
        .ancestors
        .iter()
        .map(|ancestor| format!("{} ({})", ancestor.comm, ancestor.pid))
        .collect();
    if parents.is_empty() {
        facts.add_if("parent", process.ppid.map(|pid| pid.to_string()));
    } else {
        facts.add("parents", parents.join(" ← "));
    }
    facts.add_if("users", user_text(process));
    facts.add_if("terminal", process.tty.clone());
    facts.add_if("cgroup", process.cgroup_path.clone());
    facts.add_if(
        "namespaces",
        process.namespaces.map(|namespaces| {
            format!(
                "net {}, mnt {}, pid {}, user {}",
                namespaces.net, namespaces.mnt, namespaces.pid, namespaces.user
            )
        }),
    );
    facts
}

/// Whether somebody sits before a process.
pub(super) fn add_interactivity(interactive: &Interactivity, facts: &mut Facts) {
    let Some(is_interactive) = interactive.is_interactive else {
        return;
    };
    let answer = if is_interactive { "yes" } else { "no" };
    let evidence = interactive.evidence.join(", ");
    facts.add("interactive", format!("{answer}: {evidence}"));
}

fn executable_marks(exe: &Executable) -> Vec<String> {
    let claims = [
        (exe.is_deleted, "deleted"),
        (exe.is_memfd, "memfd: never in a file system"),
        (
            exe.is_truncated,
            "path cut: its first components are missing",
        ),
        (exe.is_foreign, "not the host's file of that name"),
    ];
    let mut marks: Vec<String> = claims
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, mark)| mark.to_owned())
        .collect();
    if let (Some(device), Some(inode)) = (exe.device, exe.inode) {
        let (major, minor) = (device >> 20, device & 0xf_ffff);
        marks.push(format!("device {major}:{minor}, inode {inode}"));
    }
    marks
}

fn user_text(process: &Process) -> Option<String> {
    let parts: Vec<String> = [
        ("uid", process.uid),
        ("euid", process.euid),
        ("login uid", process.login_uid),
        ("audit session", process.audit_session),
    ]
    .into_iter()
    .filter_map(|(label, number)| number.map(|number| format!("{label} {number}")))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub(super) fn identity_lines(identity: &IdentityFacts) -> Facts {
    let mut facts = Facts::default();
    let exe = Executable {
        is_deleted: identity.is_deleted,
        is_memfd: identity.is_memfd,
        is_foreign: identity.is_foreign,
        ..Executable::default()
    };
    facts.add(
        "executable",
        identity.exe.as_deref().unwrap_or("(not known)"),
    );
    let marks = executable_marks(&exe);
    if !marks.is_empty() {
        facts.add("executable", marks.join(", "));
    }
    facts.add_if(
        "arguments",
        identity
            .interpreter_argv
            .as_ref()
            .map(|argv| argv.join(" ")),
    );
    facts.add_if("directory", identity.interpreter_directory.clone());
    facts.add_if("cgroup", identity.cgroup_path.clone());
    let user = match (&identity.user, identity.uid) {
        (Some(user), Some(uid)) => Some(format!("{user} ({uid})")),
        (Some(user), None) => Some(user.clone()),
        (None, uid) => uid.map(|uid| uid.to_string()),
    };
    facts.add_if("user", user);
    facts.add_if("logged in", identity.login_user.clone());
    facts.add_if("started by", identity.job_daemon.clone());
    if let Some(container) = &identity.container {
        let told = [
            ("name", &container.name),
            ("image", &container.image),
            ("service", &container.service),
        ];
        for (what, text) in told {
            facts.add_if(
                "container",
                text.as_ref().map(|text| format!("{what} {text}")),
            );
        }
        let pod = container.pod.as_ref();
        facts.add_if(
            "container",
            pod.map(|pod| format!("pod {}/{}", pod.namespace, pod.name)),
        );
    }
    facts.add_if("stated context", identity.stated_context.clone());
    facts.add_if("stated script", identity.stated_script.clone());
    facts
}
