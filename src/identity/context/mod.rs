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

mod container;
mod unit;

use crate::model::{Context, RawIdentity, bytes_of_text};
use container::container_of;
use unit::unit_of;

/// Units whose processes are jobs of users rather than one service.
const CRON_UNITS: [&str; 5] = [
    "anacron.service",
    "cron.service",
    "crond.service",
    "cronie.service",
    "fcron.service",
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
    context_on_path(raw, &components).unwrap_or_else(Context::none)
}

/// The number of the user whose slice a cgroup path is in.
pub fn slice_uid_of(cgroup_path: &str) -> Option<u32> {
    let mut components = cgroup_path.split('/').filter(|part| !part.is_empty());
    if components.next()? != "user.slice" {
        return None;
    }
    uid_of_slice(components.next()?)
}

fn context_on_path(raw: &RawIdentity, components: &[&str]) -> Option<Context> {
    let (slices, rest) = without_slices(components);
    if let ["user.slice", user_slice, ..] = slices
        && let Some(uid) = uid_of_slice(user_slice)
    {
        let user = raw.slice_user.clone().unwrap_or_else(|| uid.to_string());
        if let Some(context) = context_of_user(&user, uid, rest) {
            return Some(context);
        }
    }
    if let Some(container) = container_of(slices, rest) {
        let (engine, name) = (container.engine, container.name);
        return Some(Context::new(format!("container:{engine}/{name}")));
    }
    let unit = unit_of(rest.first()?)?;
    if CRON_UNITS.contains(&unit.as_str()) {
        let user = raw.user.clone();
        let user = user.or_else(|| raw.uid.map(|uid| uid.to_string()));
        return Some(Context::new(format!(
            "cron:{}",
            user.as_deref().unwrap_or("unknown")
        )));
    }
    Some(Context::new(format!("unit:{unit}")))
}

/// What belongs to the user; services of the system that work for a user do not.
fn context_of_user(user: &str, uid: u32, rest: &[&str]) -> Option<Context> {
    let (first, below) = rest.split_first()?;
    if first.starts_with("session-") && first.ends_with(".scope") {
        return Some(Context::new(format!("session:{user}")));
    }
    if *first != format!("user@{uid}.service") {
        return None;
    }
    let (slices, rest) = without_slices(below);
    if let Some(container) = container_of(slices, rest) {
        let (engine, name) = (container.engine, container.name);
        return Some(Context::new(format!("container:{engine}@{user}/{name}")));
    }
    let unit = rest.first().and_then(|first| unit_of(first));
    let unit = unit.as_deref().unwrap_or("user@.service");
    Some(Context::new(format!("user-unit:{user}:{unit}")))
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
mod tests;
