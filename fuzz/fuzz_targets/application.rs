//! Raw identity → application: paths of cgroups and executables, and arguments, that others chose.
//!
//! An input is texts with a NUL between each two: cgroup path, executable, user, user of the slice,
//! working directory; then arguments, which also stand for the names of ancestors.
#![no_main]

use egress_baseline::{
    identity::{application_of, container_on, is_interpreter, job_daemon_of, run_of, slice_uid_of},
    model::{Ancestor, ProcessKey, RawIdentity, bytes_of_text, text_of_bytes},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut texts = input.split(|byte| *byte == 0).map(|bytes| {
        let text = text_of_bytes(bytes);
        assert_eq!(bytes_of_text(&text), bytes);
        text
    });
    let mut next = || texts.next().filter(|text| !text.is_empty());
    let cgroup_path = next();
    let mut raw = RawIdentity {
        cgroup_path: cgroup_path.clone(),
        exe: next(),
        user: next(),
        slice_user: next(),
        interpreter_directory: next(),
        is_foreign: input.len() % 2 == 1,
        uid: Some(1000),
        ..RawIdentity::default()
    };
    let words: Vec<String> = texts.collect();
    raw.interpreter_argv = Some(words.clone());
    let application = application_of(&raw);
    assert_eq!(application, application_of(&raw));
    assert!(!application.context.as_str().is_empty());
    assert!(!application.program.is_empty());
    assert!(application.script.as_deref() != Some(""));
    assert_folded_once(&raw);
    let interpreted = raw.exe.as_deref().is_some_and(is_interpreter);
    let key = ProcessKey {
        pid: 9,
        started_boot_ns: 8,
        exec_id: u64::from(interpreted),
    };
    let ancestors: Vec<Ancestor> = words
        .into_iter()
        .map(|comm| Ancestor {
            pid: 7,
            started_boot_ns: 6,
            comm,
        })
        .collect();
    drop(job_daemon_of(&ancestors).map(str::to_owned));
    drop(run_of(
        &application.context,
        Some(5),
        Some("b00t"),
        Some(key),
        &ancestors,
    ));
    if let Some(path) = cgroup_path {
        slice_uid_of(&path);
        drop(container_on(&path));
        assert_nothing_is_claimed_below(&path);
    }
});

/// The program of an application is its own program.
fn assert_folded_once(raw: &RawIdentity) {
    let program = application_of(raw).program;
    let again = RawIdentity {
        exe: Some(program.clone()),
        ..raw.clone()
    };
    if !raw.is_foreign {
        assert_eq!(application_of(&again).program, program);
    }
}

/// What a process names its own cgroups below one that it was given changes nothing.
fn assert_nothing_is_claimed_below(below: &str) {
    if below.split('/').any(|component| component == "..") {
        return;
    }
    let context = |path: String| {
        let raw = RawIdentity {
            cgroup_path: Some(path),
            slice_user: Some("alice".to_owned()),
            ..RawIdentity::default()
        };
        application_of(&raw).context
    };
    let service = context(format!("/system.slice/web.service/{below}"));
    assert_eq!(service.as_str(), "unit:web.service");
    let session = context(format!(
        "/user.slice/user-1000.slice/session-4.scope/{below}"
    ));
    assert_eq!(session.as_str(), "session:alice");
    let manager = context(format!(
        "/user.slice/user-1000.slice/user@1000.service/{below}"
    ));
    let manager = manager.as_str();
    let is_alices = manager.starts_with("user-unit:alice:")
        || manager.starts_with("container:") && manager.contains("@alice/");
    assert!(is_alices, "{manager}");
}
