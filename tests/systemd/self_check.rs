//! The unit that proves what the confined observer sees, after each of its starts.

use std::{fs, net::IpAddr};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::{
    guest::{SELF_CHECK, await_some, output_of, property, run, systemctl},
    record::{Record, status},
};

const PROGRAM: &str = "/usr/bin/egress-baseline";
const PLACE: &str = "/run/systemd/system/egress-baseline-self-check.service.d";

/// How many kinds of flow the quick part makes.
const KINDS: usize = 12;

pub(crate) fn trials_after_boot() -> Vec<Trial> {
    vec![
        Trial::test("the start of the host is followed by a proof", || {
            is_proved("fexit")
        }),
        Trial::test(
            "status has one line about the proof, and it is good",
            status_has_one_line,
        ),
        Trial::test(
            "what the proof sends is not recorded as the host's",
            canaries_are_left_out,
        ),
    ]
}

pub(crate) fn trials_of(backend: &'static str) -> Vec<Trial> {
    vec![Trial::test(
        format!("{backend}: a start of the service is followed by a proof"),
        move || is_proved(backend),
    )]
}

pub(crate) fn last_trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a service that its watchdog started anew is proved as well",
            || is_proved("cgroup"),
        ),
        Trial::test(
            "a proof that is hindered fails its unit, and status says by what",
            hindered_fails,
        ),
    ]
}

/// The latest self-check of the watch period that runs, once it is over.
fn latest() -> Result<Value, String> {
    await_some("the unit ends", || {
        let state = property(SELF_CHECK, "ActiveState")?;
        let check = status()?["latest"]["self_check"].clone();
        let is_over = state == "failed" || (state == "inactive" && !check.is_null());
        Ok(is_over.then_some(check))
    })
    .map_err(|cause| format!("{cause}; {}", said()))
}

/// What the unit said, for whoever looks why a trial failed.
fn said() -> String {
    let arguments = ["--no-pager", "--output", "cat", "--unit", SELF_CHECK];
    run("journalctl", &arguments).unwrap_or_else(|cause| cause)
}

fn is_proved(backend: &str) -> Result<(), Failed> {
    let check = latest()?;
    let period = Record::read()?.last_period()?.id;
    let told = status()?["latest"]["watch_period_id"].as_i64();
    let seen = check["kinds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|kind| kind["verdict"] == "seen")
        .count();
    // None may stay in part either: these backends have no blind spot for what all programs do.
    let expected = match backend {
        "cgroup" => KINDS - count(&check, "in_part"),
        _ => KINDS,
    };
    if check["obstacle"].is_null()
        && check["backend"] == backend
        && seen == expected
        && told == Some(period)
        && property(SELF_CHECK, "Result")? == "success"
    {
        return Ok(());
    }
    Err(format!(
        "{seen} seen in {told:?}, {period} runs: {check}; {}",
        said()
    )
    .into())
}

fn count(check: &Value, verdict: &str) -> usize {
    let kinds = check["kinds"].as_array();
    let has_it = |kind: &&Value| kind["verdict"] == verdict;
    kinds.into_iter().flatten().filter(has_it).count()
}

fn status_has_one_line() -> Result<(), Failed> {
    latest()?;
    let text = run(PROGRAM, &["status"])?;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("Self-check"))
        .collect();
    let stored = Record::read()?.self_checks;
    match lines.as_slice() {
        [line] if line.contains("12 of 12 kinds of flow seen, ") && stored.len() == 1 => Ok(()),
        _ => Err(format!("{stored:?} is stored: {text}").into()),
    }
}

/// The guest's own network has the same addresses; nobody but the kernel answers in it without a
/// process.
fn canaries_are_left_out() -> Result<(), Failed> {
    latest()?;
    let mut flows = Record::read()?.flows;
    flows.retain(|flow| {
        let is_near = matches!(flow.dst_ip, Some(IpAddr::V4(address)) if !address.is_multicast());
        flow.exe.as_deref() == Some(PROGRAM) || (flow.exe.is_none() && is_near)
    });
    match flows.as_slice() {
        [] => Ok(()),
        canaries => Err(format!("recorded: {canaries:?}").into()),
    }
}

/// Last, since what it does to the unit stays.
fn hindered_fails() -> Result<(), Failed> {
    latest()?;
    fs::create_dir_all(PLACE)?;
    // Without the internet's families nothing can be made.
    let families =
        "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_NETLINK\n";
    fs::write(format!("{PLACE}/lab.conf"), families)?;
    systemctl(&["daemon-reload"])?;
    let output = output_of("systemctl", &["start", SELF_CHECK])?;
    let state = property(SELF_CHECK, "ActiveState")?;
    let obstacle = status()?["latest"]["self_check"]["obstacle"].clone();
    let text = run(PROGRAM, &["status"])?;
    if !output.status.success()
        && state == "failed"
        && obstacle.is_string()
        && text.contains("Self-check  could not run: ")
    {
        return Ok(());
    }
    Err(format!("{state}, {obstacle}: {text}{}", said()).into())
}
