//! A restart while processes talk: what is missing is what was sent in the gap.

use std::{fs, path::Path, thread, time::Duration};

use libtest_mimic::{Failed, Trial};

use super::{
    contact::{Call, LOAD_TCP, LOAD_UDP, calls_in, stop_file},
    guest::{SERVICE, await_some, property, run, systemctl},
    record::{Record, WatchPeriod, status},
};

const LOG: &str = "/run/lab-load.log";
const LOAD: &str = "lab-load.service";

/// Enough for some flushes of counts that the kernel holds.
const EACH_SIDE: Duration = Duration::from_secs(4);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a restart under load misses nothing but what was sent in the gap",
            restart_is_exact,
        ),
        Trial::test(
            "a stop under load misses nothing that was sent before it",
            stop_is_exact,
        ),
    ]
}

fn start_load() -> Result<(), String> {
    fs::remove_file(stop_file(Path::new(LOG))).ok();
    let unit = format!("--unit={LOAD}");
    run(
        "systemd-run",
        &[
            "--quiet",
            "--collect",
            &unit,
            "--",
            "/tests/systemd",
            "--load",
            LOG,
        ],
    )?;
    thread::sleep(EACH_SIDE);
    Ok(())
}

fn stop_load() -> Result<Vec<Call>, String> {
    fs::write(stop_file(Path::new(LOG)), "").map_err(|cause| cause.to_string())?;
    await_some("the load ends", || {
        let state = property(LOAD, "ActiveState")?;
        match state.as_str() {
            "inactive" => Ok(Some(())),
            "failed" => Err("the load failed".to_owned()),
            _ => Ok(None),
        }
    })?;
    calls_in(&fs::read_to_string(LOG).map_err(|cause| cause.to_string())?)
}

/// How many calls there are to `port` in `calls`, and how many of them were watched from their
/// beginning to their end.
fn expected(calls: &[Call], port: u16, watched: &[&WatchPeriod]) -> (u64, u64) {
    let to_port = calls.iter().filter(|call| call.port == port);
    let (mut made, mut surely) = (0, 0);
    for call in to_port {
        made += 1;
        surely += u64::from(watched.iter().any(|period| {
            period.started.unix_ns() < call.before_ns
                && call.after_ns < period.covered_until.unix_ns()
        }));
    }
    (made, surely)
}

fn judge(calls: &[Call], before: &Record, after: &Record, periods: usize) -> Result<(), Failed> {
    let start = after.periods.len().saturating_sub(periods);
    let watched: Vec<&WatchPeriod> = after.periods[start..].iter().collect();
    for port in [LOAD_TCP, LOAD_UDP] {
        let (made, surely) = expected(calls, port, &watched);
        let recorded = after.attempts_to(port) - before.attempts_to(port);
        if surely == 0 || recorded < surely || recorded > made {
            return Err(format!(
                "to {port}: {made} made, {surely} of them watched, {recorded} recorded; {watched:?}"
            )
            .into());
        }
    }
    if after.losses.len() > before.losses.len() {
        return Err(format!("lost: {:?}", after.losses).into());
    }
    Ok(())
}

fn restart_is_exact() -> Result<(), Failed> {
    let before = Record::read()?;
    start_load()?;
    systemctl(&["restart", SERVICE])?;
    thread::sleep(EACH_SIDE);
    let calls = stop_load()?;
    // What is counted in the kernel is fetched at the end.
    systemctl(&["restart", SERVICE])?;
    let after = Record::read()?;
    judge(&calls, &before, &after, 3)?;
    let [.., old, new, _] = after.periods.as_slice() else {
        return Err("there are too few watch periods".into());
    };
    let sides = |from: i64, until: i64| {
        calls
            .iter()
            .filter(|call| from < call.before_ns && call.after_ns < until)
            .count()
    };
    let sides = (
        sides(0, old.covered_until.unix_ns()),
        sides(new.started.unix_ns(), i64::MAX),
    );
    if sides.0 == 0 || sides.1 == 0 || old.ended.is_none() {
        return Err(format!("the load was not on both sides: {sides:?}").into());
    }
    let gap = format!("\"since\":\"{}\"", old.covered_until);
    let told = status()?["coverage"]["gaps"].to_string();
    if told.contains(&gap) && old.covered_until < new.started {
        return Ok(());
    }
    Err(format!("`status` tells of {told}, not of {gap}").into())
}

fn stop_is_exact() -> Result<(), Failed> {
    let before = Record::read()?;
    start_load()?;
    systemctl(&["stop", SERVICE])?;
    let after = Record::read();
    let calls = stop_load()?;
    systemctl(&["start", SERVICE])?;
    judge(&calls, &before, &after?, 1)
}
