//! Why a backend could not be turned on, in words that an operator can use.

use std::sync::Mutex;

use libbpf_rs::PrintLevel;

use super::{Backend, backend::Hook, error::NO_TABLE, requirements, surroundings};

/// What libbpf had to say since the last look: it knows more than the errno that it returns.
static COMPLAINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn hear(_level: PrintLevel, text: String) {
    if let Ok(mut complaints) = COMPLAINTS.lock() {
        complaints.push(text.trim_end().to_owned());
    }
}

pub(super) fn last_complaint() -> Option<String> {
    let complaints = std::mem::take(&mut *COMPLAINTS.lock().ok()?);
    if let Some(verdict) = complaints.iter().find_map(|text| verifiers_verdict(text)) {
        return Some(verdict);
    }
    // What follows only says that nothing could be loaded.
    let is_about_table = |text: &&String| text.contains(NO_TABLE);
    let last = complaints
        .iter()
        .find(is_about_table)
        .or_else(|| complaints.iter().rev().find(|text| text.contains("failed")))?;
    Some(last.trim_start_matches("libbpf: ").to_owned())
}

/// The program and the last thing that the kernel's verifier said of it, which is why it refused.
fn verifiers_verdict(complaint: &str) -> Option<String> {
    let (head, log) = complaint.split_once("-- BEGIN PROG LOAD LOG --")?;
    let program = head.split('\'').nth(1)?;
    let verdict = log
        .lines()
        .filter(|line| !line.starts_with("processed ") && !line.starts_with("-- END"))
        .rfind(|line| !line.trim().is_empty())?;
    Some(format!("program `{program}`: {}", verdict.trim()))
}

pub(super) fn load_failure(backend: Backend, error: &libbpf_rs::Error) -> String {
    let complaint = last_complaint();
    let is_verdict = complaint
        .as_ref()
        .is_some_and(|text| text.starts_with("program `"));
    // Without a verdict of the verifier it is the kernel that will have none of them.
    if error.kind() == libbpf_rs::ErrorKind::PermissionDenied && !is_verdict {
        if surroundings::inner_namespaces().contains(&"user") {
            return "capabilities of a user namespace do not load BPF programs".to_owned();
        }
        if backend == Backend::Fexit {
            return "this kernel refuses trampolines (fentry, fexit)".to_owned();
        }
    }
    reason_with("load the BPF programs", error, complaint)
}

pub(super) fn attach_failure(hook: &Hook, error: &libbpf_rs::Error) -> String {
    // Backend `fexit` has some as well.
    let is_probe = hook.program.contains("probe_");
    if is_probe && !requirements::has_kprobes() {
        drop(last_complaint());
        return "this kernel has no kprobes (CONFIG_KPROBE_EVENTS is off)".to_owned();
    }
    if is_probe && requirements::is_paranoid_about_probes() {
        drop(last_complaint());
        return "this kernel lets only CAP_SYS_ADMIN attach kprobes \
                (kernel.perf_event_paranoid is above 2)"
            .to_owned();
    }
    reason(&format!("attach `{}`", hook.program), error)
}

pub(super) fn reason(what: &str, error: &libbpf_rs::Error) -> String {
    reason_with(what, error, last_complaint())
}

fn reason_with(what: &str, error: &libbpf_rs::Error, complaint: Option<String>) -> String {
    match complaint {
        Some(complaint) => format!("{what}: {error:#} ({complaint})"),
        None => format!("{what}: {error:#}"),
    }
}
