//! How the service stands after the start of the system.

use std::{fs, os::unix::fs::MetadataExt};

use libtest_mimic::{Failed, Trial};

use super::{
    guest::{SELF_CHECK, SERVICE, Thread, await_some, number, output_of, property, run, threads},
    record::{Record, is_active, status},
};

/// CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_PERFMON and CAP_BPF.
const FOR_HOOKS: u64 = 1 << 2 | 1 << 12 | 1 << 19 | 1 << 38 | 1 << 39;

/// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
const FOR_FILES: u64 = 1 << 2 | 1 << 19;

/// CAP_SYS_ADMIN, CAP_PERFMON and CAP_BPF.
const FOR_MODULES: u64 = 1 << 21 | 1 << 38 | 1 << 39;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("the service is up before the network is", precedes_network),
        Trial::test(
            "what the first service sends once the network is up is recorded",
            first_flow_is_recorded,
        ),
        Trial::test(
            "the time from boot until the hooks were on is recorded",
            boot_gap_is_recorded,
        ),
        Trial::test(
            "every thread is the service's own user with what it needs and no more",
            threads_are_confined,
        ),
        Trial::test(
            "the database is its user's and for its group to read",
            database_is_the_groups,
        ),
        Trial::test(
            "a member of the group sees the observer run",
            member_sees_it_run,
        ),
        Trial::test(
            "how names are resolved is recorded, though the resolver starts after the service",
            resolver_is_recorded,
        ),
        Trial::test("systemd finds no fault with the units", units_are_verified),
    ]
}

fn precedes_network() -> Result<(), Failed> {
    if !is_active()? {
        return Err(run("systemctl", &["status", SERVICE])
            .unwrap_or_else(|said| said)
            .into());
    }
    let active = number(SERVICE, "ActiveEnterTimestampMonotonic")?;
    let before = number("network-pre.target", "ActiveEnterTimestampMonotonic")?;
    let network = number("lab-network.service", "ExecMainStartTimestampMonotonic")?;
    if 0 < active && active <= before && before <= network {
        return Ok(());
    }
    Err(format!(
        "the service was up after {active} µs, network-pre.target after {before}, the network \
         began after {network}"
    )
    .into())
}

fn first_flow_is_recorded() -> Result<(), Failed> {
    match Record::read()?.attempts_to(3001, |_| true) {
        1 => Ok(()),
        other => Err(format!("{other} attempts to it are recorded").into()),
    }
}

fn boot_gap_is_recorded() -> Result<(), Failed> {
    let active_us = number(SERVICE, "ActiveEnterTimestampMonotonic")?;
    let started_us = number(SERVICE, "ExecMainStartTimestampMonotonic")?;
    let record = Record::read()?;
    let since_boot_ns = record
        .periods
        .first()
        .and_then(|period| period.settings["since_boot_ns"].as_u64())
        .ok_or("no watch period says it")?;
    let status = status()?;
    let boots = &status["coverage"]["boots"];
    let told_ms = boots[0]["milliseconds"].as_u64();
    // Between the start of the process and its word that it is ready.
    if (started_us..=active_us).contains(&(since_boot_ns / 1_000))
        && told_ms == Some(since_boot_ns / 1_000_000)
    {
        return Ok(());
    }
    Err(format!(
        "started after {started_us} µs and ready after {active_us}, it says {since_boot_ns} ns \
         and {boots}"
    )
    .into())
}

fn resolver_is_recorded() -> Result<(), Failed> {
    let read = await_some("the servers that systemd-resolved asks", || {
        let read = status()?["resolver"].clone();
        let is_there = read["resolved"]["asks"][0].as_str() == Some("10.77.0.2");
        Ok(is_there.then_some(read))
    })?;
    let text = run("egress-baseline", &["status"])?;
    let line = text.lines().find(|line| line.starts_with("Resolver"));
    let is_told = line.is_some_and(|line| {
        line.contains("127.0.0.53 (systemd-resolved asks 10.77.0.2)")
            && line.contains("names through resolve are known of the host only")
    });
    if is_told
        && read["nameservers"] == serde_json::json!(["127.0.0.53"])
        && read["resolved"]["domains"] == serde_json::json!(["~."])
    {
        return Ok(());
    }
    Err(format!("it tells {line:?} and {read}").into())
}

fn threads_are_confined() -> Result<(), Failed> {
    let uid = run("id", &["-u", "egress-baseline"])?;
    let gid = run("id", &["-g", "egress-baseline"])?;
    // Others come and go while it starts.
    let threads = await_some("four threads are left", || {
        let threads = threads()?;
        let names: Vec<&str> = threads.keys().map(String::as_str).collect();
        Ok((names == ["capture", "egress-baseline", "files", "hooks"]).then_some(threads))
    })?;
    for (name, thread) in &threads {
        let kept = match name.as_str() {
            "capture" => FOR_HOOKS,
            "files" => FOR_FILES,
            "hooks" => FOR_MODULES,
            _ => 0,
        };
        confined(thread, uid.trim(), gid.trim(), kept)
            .map_err(|cause| format!("thread {name}: {cause}"))?;
    }
    Ok(())
}

fn confined(thread: &Thread, uid: &str, gid: &str, kept: u64) -> Result<(), String> {
    for (field, expected) in [("Uid", uid), ("Gid", gid)] {
        let found = thread.field(field)?;
        if uid == "0" || found.split_whitespace().any(|one| one != expected) {
            return Err(format!("{field} is {found}"));
        }
    }
    for (field, expected) in [
        ("CapEff", kept),
        ("CapPrm", kept),
        ("CapBnd", kept),
        ("CapInh", 0),
        ("CapAmb", 0),
    ] {
        let found = thread.set(field)?;
        if found != expected {
            return Err(format!("{field} is {found:x}"));
        }
    }
    for (field, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        let found = thread.field(field)?;
        if found != expected {
            return Err(format!("{field} is {found}"));
        }
    }
    Ok(())
}

fn database_is_the_groups() -> Result<(), Failed> {
    let uid = run("id", &["-u", "egress-baseline"])?;
    let gid = run("id", &["-g", "egress-baseline"])?;
    for name in ["flows.db", "flows.db-wal", "flows.db-shm"] {
        let metadata = fs::metadata(format!("/var/lib/egress-baseline/{name}"))?;
        let mode = metadata.mode() & 0o7777;
        if metadata.uid().to_string() != uid.trim()
            || metadata.gid().to_string() != gid.trim()
            || mode != 0o640
        {
            return Err(format!("{name}: {}:{} {mode:o}", metadata.uid(), metadata.gid()).into());
        }
    }
    Ok(())
}

fn member_sees_it_run() -> Result<(), Failed> {
    let text = run(
        "runuser",
        &["-u", "alice", "--", "/usr/bin/egress-baseline", "status"],
    )?;
    let pid = property(SERVICE, "MainPID")?;
    if text.contains(&format!("running, pid {pid}")) {
        return Ok(());
    }
    Err(text.into())
}

fn units_are_verified() -> Result<(), Failed> {
    let output = output_of(
        "systemd-analyze",
        &[
            "verify",
            "--man=no",
            "--recursive-errors=no",
            SERVICE,
            SELF_CHECK,
        ],
    )?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && said.is_empty() {
        return Ok(());
    }
    Err(said.into_owned().into())
}
