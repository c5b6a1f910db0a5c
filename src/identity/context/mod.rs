//! Cgroup v2 path → context.
//!
//! Who may write where decides what is believed. Directly below a slice of the system, only root
//! makes cgroups (the service manager, container engines), so the **first component that is no
//! slice** says what the process belongs to. What lies below it may have been handed to the service, and
//! a process can name its own cgroups like any unit or container there: it is never read. Two
//! exceptions:
//! - the manager of a user (`user@1000.service`): its subtree is read by the same rule, but every
//!   answer bears the user's name, so that it cannot be taken for the system's;
//! - services that are container engines: what they make directly below themselves is a container.
//!
//! Where the cgroup tells a session or nothing, ancestors tell a job of cron or at, and the account
//! that somebody logged in with tells a session. They are never asked about a service: a process may
//! take the name of a daemon.

mod container;
mod naming;
mod unit;

use crate::model::{Context, RawIdentity, bytes_of_text};
use container::{Called, Container, container_of};
use naming::{name_of_container, name_of_pod};
use unit::unit_of;

/// Units whose processes are jobs of users rather than one service, without `.service`, and what
/// their jobs are called.
pub(super) const JOB_UNITS: [(&str, &str); 8] = [
    ("anacron", "cron"),
    ("atd", "at"),
    ("cron", "cron"),
    ("crond", "cron"),
    ("cronie", "cron"),
    ("cronie-anacron", "cron"),
    ("dcron", "cron"),
    ("fcron", "cron"),
];

/// Units that let people log in. Where nothing moves a session out of them, the account that
/// somebody logged in with tells the session from the service.
pub(super) const LOGIN_UNITS: [&str; 10] = [
    "console-getty.service",
    "container-getty@.service",
    "dropbear.service",
    "dropbear@.service",
    "getty@.service",
    "serial-getty@.service",
    "ssh.service",
    "ssh@.service",
    "sshd.service",
    "sshd@.service",
];

/// The context of a process.
pub(super) fn context_of(raw: &RawIdentity) -> Context {
    if let Some(stated) = raw.stated_context.as_deref()
        && !stated.is_empty()
    {
        return Context::new(stated);
    }
    if raw
        .exe
        .as_deref()
        .is_some_and(|exe| exe.starts_with("kernel:"))
    {
        return Context::kernel();
    }
    let components = components_of(raw.cgroup_path.as_deref().unwrap_or_default());
    let components: Vec<&str> = components.iter().map(String::as_str).collect();
    // Seen from inside a cgroup namespace, what is outside is `..`: nothing can be said of it.
    if components.contains(&"..") {
        return Context::none();
    }
    context_on_path(raw, &components)
        .or_else(|| job_of(raw))
        .or_else(|| session_of_login(raw))
        .unwrap_or_else(Context::none)
}

/// The number of the user whose slice a cgroup path is in.
pub fn slice_uid_of(cgroup_path: &str) -> Option<u32> {
    let mut components = cgroup_path.split('/').filter(|part| !part.is_empty());
    if components.next()? != "user.slice" {
        return None;
    }
    uid_of_slice(components.next()?)
}

/// A container by what its engine keeps files under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerId {
    /// The engine, as contexts name it.
    pub engine: &'static str,
    /// All of its id.
    pub id: String,
    /// The user who runs it without root.
    pub uid: Option<u32>,
}

/// The container that a cgroup belongs to, if an engine named that by an id.
pub fn container_on(cgroup_path: &str) -> Option<ContainerId> {
    let components = components_of(cgroup_path);
    let components: Vec<&str> = components.iter().map(String::as_str).collect();
    if components.contains(&"..") {
        return None;
    }
    let (slices, rest) = without_slices(&components);
    let uid = slice_uid_of(cgroup_path);
    let of_user = uid.and_then(|uid| {
        let (first, below) = rest.split_first()?;
        (*first == format!("user@{uid}.service")).then_some(below)
    });
    let (container, uid) = match of_user {
        Some(below) => {
            let (slices, rest) = without_slices(below);
            (container_of(slices, rest)?, uid)
        }
        None => (container_of(slices, rest)?, None),
    };
    match container.called {
        Called::Id(id) => Some(ContainerId {
            engine: container.engine,
            id,
            uid,
        }),
        Called::Name(_) => None,
    }
}

fn context_on_path(raw: &RawIdentity, components: &[&str]) -> Option<Context> {
    let (slices, rest) = without_slices(components);
    if let ["user.slice", user_slice, ..] = slices
        && let Some(uid) = uid_of_slice(user_slice)
    {
        let user = raw.slice_user.clone().unwrap_or_else(|| uid.to_string());
        if let Some(context) = context_of_user(raw, &user, uid, rest) {
            return Some(context);
        }
    }
    if let Some(container) = container_of(slices, rest) {
        return Some(context_of_container(raw, &container, ""));
    }
    let first = rest.first()?;
    // OpenRC has a cgroup for each of its services at the top.
    let of_openrc = first.strip_prefix("openrc.").filter(|_| slices.is_empty());
    let unit = match of_openrc {
        Some(name) => unit_of(&format!("{name}.service"))?,
        None => unit_of(first)?,
    };
    let job = JOB_UNITS
        .iter()
        .find(|(name, _)| unit.strip_suffix(".service") == Some(name));
    if let Some((_, kind)) = job {
        return Some(job_context(raw, kind));
    }
    if LOGIN_UNITS.contains(&unit.as_str())
        && let Some(session) = session_of_login(raw)
    {
        return Some(session);
    }
    Some(Context::new(format!("unit:{unit}")))
}

/// What belongs to the user; services of the system that work for a user do not.
fn context_of_user(raw: &RawIdentity, user: &str, uid: u32, rest: &[&str]) -> Option<Context> {
    let (first, below) = rest.split_first()?;
    if first.starts_with("session-") && first.ends_with(".scope") {
        // pam_systemd makes a session for a job too, where it is asked to.
        return Some(job_of(raw).unwrap_or_else(|| Context::new(format!("session:{user}"))));
    }
    if *first != format!("user@{uid}.service") {
        return None;
    }
    let (slices, rest) = without_slices(below);
    if let Some(container) = container_of(slices, rest) {
        return Some(context_of_container(raw, &container, &format!("@{user}")));
    }
    let unit = rest.first().and_then(|first| unit_of(first));
    let unit = unit.as_deref().unwrap_or("user@.service");
    Some(Context::new(format!("user-unit:{user}:{unit}")))
}

/// `of_user` stands behind the engine's name.
fn context_of_container(raw: &RawIdentity, container: &Container, of_user: &str) -> Context {
    let facts = raw.container.as_ref();
    if let Some(pod) = facts.and_then(|facts| facts.pod.as_ref())
        && of_user.is_empty()
    {
        return Context::new(format!("pod:{}", name_of_pod(pod, &raw.host)));
    }
    let name = name_of_container(&container.called, facts);
    Context::new(format!("container:{}{of_user}/{name}", container.engine))
}

/// The job that a daemon among the ancestors started.
fn job_of(raw: &RawIdentity) -> Option<Context> {
    let kind = match raw.job_daemon.as_deref()? {
        "atd" => "at",
        _ => "cron",
    };
    Some(job_context(raw, kind))
}

fn job_context(raw: &RawIdentity, kind: &str) -> Context {
    let user = raw.user.clone();
    let user = user.or_else(|| raw.uid.map(|uid| uid.to_string()));
    Context::new(format!("{kind}:{}", user.as_deref().unwrap_or("unknown")))
}

fn session_of_login(raw: &RawIdentity) -> Option<Context> {
    let user = raw.login_user.as_deref()?;
    Some(Context::new(format!("session:{user}")))
}

/// The components as the kernel has them. What stands for bytes that are no text is in no name of a
/// unit.
fn components_of(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|component| !component.is_empty())
        .map(|component| String::from_utf8_lossy(&bytes_of_text(component)).into_owned())
        .collect()
}

fn without_slices<'a, 'b>(components: &'a [&'b str]) -> (&'a [&'b str], &'a [&'b str]) {
    let depth = components
        .iter()
        .take_while(|component| component.ends_with(".slice"))
        .count();
    components.split_at(depth)
}

/// `user-1000.slice` → 1000.
fn uid_of_slice(component: &str) -> Option<u32> {
    let number = component.strip_prefix("user-")?.strip_suffix(".slice")?;
    number.parse().ok()
}

#[cfg(test)]
mod fact_tests;
#[cfg(test)]
mod tests;
