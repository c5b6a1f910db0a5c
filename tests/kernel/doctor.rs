//! `doctor`, and the self-check of an observer, on the kernel that runs.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use egress_baseline::{canary::kinds, proof::quick_kinds};
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    contexts::{Cgroup, filled},
    dump::Dump,
    observer::{Observer, ask, program},
    session::backend_asked_for,
    workshop::Workshop,
};

const NOBODY: u32 = 65_534;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "doctor sees each kind as its backend claims",
            each_kind_is_seen,
        ),
        Trial::test(
            "doctor misses what its hooks do not reach",
            what_hooks_do_not_reach_is_missed,
        ),
        Trial::test(
            "doctor cannot prove what a kernel without kprobes sees through them",
            kprobes_are_needed_for_their_backend,
        ),
        Trial::test(
            "doctor names the capabilities that a user lacks",
            lacking_capabilities_are_named,
        ),
        Trial::test(
            "an observer proves itself and learns nothing from canaries, its own or of doctor",
            observer_proves_itself,
        ),
        Trial::test(
            "an observer that may make no namespace says so and observes",
            hindered_observer_goes_on,
        ),
        Trial::test("the self-check can be turned off", self_check_can_be_off),
    ]
}

fn doctor(command: &mut Command, arguments: &[&str]) -> Result<Output, String> {
    command
        .args(["--config", "/dev/null", "doctor"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| format!("start doctor: {cause}"))
}

fn document(output: &Output) -> Result<Value, Failed> {
    let document: Value = serde_json::from_slice(&output.stdout)
        .map_err(|cause| format!("no document: {cause}: {}", said(output)))?;
    if document["version"] == 1 {
        return Ok(document);
    }
    Err(format!("its version is {}", document["version"]).into())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names of the kinds with that verdict, with what is said of them.
fn with_verdict(list: &Value, verdict: &str) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|kind| kind["verdict"] == verdict)
        .map(|kind| format!("{}: {} {}", kind["kind"], kind["detail"], kind["recorded"]))
        .collect()
}

fn expect_status(output: &Output, status: i32) -> Result<(), Failed> {
    if output.status.code() == Some(status) {
        return Ok(());
    }
    Err(format!(
        "expected status {status}, it ended with {}: {}{}",
        output.status,
        said(output),
        String::from_utf8_lossy(&output.stdout)
    )
    .into())
}

fn each_kind_is_seen() -> Result<(), Failed> {
    let backend = backend_asked_for();
    let arguments = ["--backend", &backend, "--format", "json"];
    let output = doctor(&mut Command::new(program()), &arguments)?;
    expect_status(&output, 0)?;
    let document = document(&output)?;
    let told = document["kinds"].as_array().map_or(0, Vec::len);
    let seen = with_verdict(&document["kinds"], "seen").len();
    let missed = with_verdict(&document["kinds"], "missed");
    if told == kinds().len() && missed.is_empty() && seen > told / 2 {
        return Ok(());
    }
    Err(format!("{seen} of {told} kinds seen, missed {missed:?}").into())
}

/// Hooks are attached to what the process takes for the root of all cgroups; it is not in there, and
/// so are its makers not.
fn what_hooks_do_not_reach_is_missed() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let directory = workshop.folder("cgroups")?;
    let mut command = Command::new("/proc/self/exe");
    let cgroups = ["root", "beside"].map(|name| {
        Cgroup::make(&filled(&format!("egress-doctor-{name}-{{own}}")))?
            .ok_or_else(|| "the host has a cgroup of that name".to_owned())
    });
    let [root, beside] = cgroups;
    let (root, beside) = (root?, beside?);
    command
        .arg("--below-own-root")
        .arg(root.leaf())
        .arg(beside.leaf())
        .arg(directory)
        .arg(program());
    let arguments = ["--quick", "--backend", "cgroup", "--format", "json"];
    let output = doctor(&mut command, &arguments)?;
    expect_status(&output, 1)?;
    let document = document(&output)?;
    let missed = with_verdict(&document["kinds"], "missed");
    let is_datagram_missed = missed.iter().any(|kind| kind.contains("udp4-sendto"));
    if is_datagram_missed {
        return Ok(());
    }
    Err(format!("missed only {missed:?}").into())
}

fn kprobes_are_needed_for_their_backend() -> Result<(), Failed> {
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    let arguments = ["--quick", "--backend", "kprobe", "--format", "json"];
    let output = doctor(&mut Command::new(program()), &arguments)?;
    expect_status(&output, if has_kprobes { 0 } else { 2 })?;
    let document = document(&output)?;
    let is_named = document["obstacle"]
        .as_str()
        .is_some_and(|obstacle| obstacle.contains("kprobes"));
    if is_named != has_kprobes {
        return Ok(());
    }
    Err(format!("its obstacle is {}", document["obstacle"]).into())
}

fn lacking_capabilities_are_named() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    // The program may lie where nobody has no business.
    let copy = workshop.path().join("egress-baseline");
    fs::copy(program(), &copy)?;
    let mut command = Command::new(copy);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let output = doctor(&mut command, &["--quick", "--format", "json"])?;
    expect_status(&output, 2)?;
    let document = document(&output)?;
    let capabilities = document["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["topic"] == "capabilities")
        .ok_or("no word of capabilities")?;
    let finding = capabilities["finding"].as_str().unwrap_or_default();
    let are_named = ["user 65534", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"]
        .iter()
        .all(|name| finding.contains(name));
    if are_named && capabilities["grade"] == "bad" && said(&output).contains("hint:") {
        return Ok(());
    }
    Err(format!("it says `{finding}`, and {}", said(&output)).into())
}

/// What the database holds of self-checks.
fn self_checks(database: &Path) -> Result<Vec<Value>, Failed> {
    let output = ask(database, &["dump", "--all"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let records: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let mut records = records?;
    records.retain(|record| record["kind"] == "self_check");
    Ok(records)
}

fn observer_proves_itself() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let backend = backend_asked_for();
    let mut observer = Observer::start(&database, &["--backend", &backend])?;
    observer.await_line("self-check:")?;
    let mut beside = Command::new(program());
    beside.arg("--db").arg(&database);
    let output = doctor(&mut beside, &["--quick", "--backend", &backend, "--record"])?;
    let ended = observer.stop_with(Signal::INT)?;
    expect_status(&output, 0)?;
    let checks = self_checks(&database)?;
    let [own, doctors] = checks.as_slice() else {
        return Err(format!("{} self-checks: {}", checks.len(), ended.said).into());
    };
    for check in [own, doctors] {
        let missed = with_verdict(&check["kinds"], "missed");
        if !check["obstacle"].is_null() || !missed.is_empty() {
            return Err(format!("obstacle {}, missed {missed:?}", check["obstacle"]).into());
        }
    }
    let own_kinds = own["kinds"].as_array().map_or(0, Vec::len);
    let is_in_status =
        String::from_utf8_lossy(&ask(&database, &["status"])?.stdout).contains("Self-check  ");
    let exe = fs::canonicalize(program())?;
    let learned = Dump::read(&database)?
        .flows
        .iter()
        .filter(|flow| flow.exe.as_deref() == exe.to_str())
        .count();
    if own_kinds == quick_kinds().len() && is_in_status && learned == 0 {
        return Ok(());
    }
    Err(format!("{own_kinds} kinds, in status: {is_in_status}, {learned} flows learned").into())
}

/// Through the hooks that every kernel attaches without CAP_SYS_ADMIN: some let nobody else use
/// kprobes.
fn hindered_observer_goes_on() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let output = Command::new("/proc/self/exe")
        .arg("--without-namespaces")
        .arg(program())
        .arg("--db")
        .arg(&database)
        .args(["observe", "--backend", "cgroup", "--for", "2s"])
        .stdin(Stdio::null())
        .output()?;
    expect_status(&output, 0)?;
    let checks = self_checks(&database)?;
    let is_told = said(&output).contains("self-check: could not run: make a network namespace");
    match checks.as_slice() {
        [check] if is_told && check["obstacle"].is_string() => Ok(()),
        other => Err(format!("it stored {other:?} and said {}", said(&output)).into()),
    }
}

fn self_check_can_be_off() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let config = workshop.path().join("config.toml");
    fs::write(&config, "[observe]\nself_check = false\n")?;
    let config = config.to_string_lossy().into_owned();
    let backend = backend_asked_for();
    let arguments = ["--config", &config, "--backend", &backend, "--for", "1s"];
    let ended = Observer::start(&database, &arguments)?.await_end()?;
    let checks = self_checks(&database)?;
    if ended.status.success() && checks.is_empty() && !ended.said.contains("self-check") {
        return Ok(());
    }
    Err(format!("{checks:?}: {}", ended.said).into())
}
