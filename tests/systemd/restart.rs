//! A restart while processes talk: what is missing is what was sent in the gap.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use egress_baseline::model::Timestamp;
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

/// What a load did while the service was started anew and stopped, and what was recorded of it.
#[derive(Debug)]
struct Played {
    calls: Vec<Call>,
    before: Record,
    after: Record,
}

/// The first of them that runs plays.
pub(crate) fn trials() -> Vec<Trial> {
    let played: Arc<OnceLock<Result<Played, String>>> = Arc::default();
    let trial = |name: &str, judge: fn(&Played) -> Result<(), Failed>| {
        let played = Arc::clone(&played);
        Trial::test(name, move || match played.get_or_init(play) {
            Ok(played) => judge(played),
            Err(cause) => Err(cause.into()),
        })
    };
    vec![
        trial(
            "a restart under load misses nothing but what was sent in the gap",
            restart_is_exact,
        ),
        trial(
            "a stop under load misses nothing that was sent before it",
            stop_is_exact,
        ),
    ]
}

fn play() -> Result<Played, String> {
    let before = Record::read()?;
    start_load()?;
    systemctl(&["restart", SERVICE])?;
    thread::sleep(EACH_SIDE);
    systemctl(&["stop", SERVICE])?;
    // It reads while the load goes on, after the end of what is watched.
    let after = Record::read()?;
    let calls = stop_load()?;
    Ok(Played {
        calls,
        before,
        after,
    })
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

impl Played {
    /// The watch periods before and after the restart.
    fn periods(&self) -> Result<(&WatchPeriod, &WatchPeriod), Failed> {
        match self.after.periods.as_slice() {
            [.., old, new] if self.after.periods.len() == self.before.periods.len() + 1 => {
                Ok((old, new))
            }
            periods => Err(format!("the watch periods are {periods:?}").into()),
        }
    }

    /// Whether everything is recorded that was sent while a watch period covers, and nothing that
    /// was sent after its end; `is_its_own` tells by their times which flows belong to it.
    fn judge(
        &self,
        period: &WatchPeriod,
        is_its_own: impl Fn(Timestamp) -> bool,
    ) -> Result<(), Failed> {
        let (start, covered) = (period.started.unix_ns(), period.covered_until.unix_ns());
        let end = end_of(period).unix_ns();
        for port in [LOAD_TCP, LOAD_UDP] {
            let calls = || self.calls.iter().filter(|call| call.port == port);
            let surely = calls()
                .filter(|call| start < call.before_ns && call.after_ns < covered)
                .count();
            let perhaps = calls()
                .filter(|call| start <= call.after_ns && call.before_ns <= end)
                .count();
            let attempts = |record: &Record| record.attempts_to(port, &is_its_own);
            let recorded = attempts(&self.after) - attempts(&self.before);
            if surely == 0 || recorded < surely as u64 || recorded > perhaps as u64 {
                return Err(format!(
                    "to {port}: {surely} to {perhaps} sent, {recorded} recorded in {period:?}"
                )
                .into());
            }
        }
        if self.after.losses.len() > self.before.losses.len() {
            return Err(format!("lost: {:?}", self.after.losses).into());
        }
        Ok(())
    }
}

/// What was sent between two flushes and the end is recorded too, and covered to the last flush.
fn end_of(period: &WatchPeriod) -> Timestamp {
    period.ended.unwrap_or(period.covered_until)
}

fn restart_is_exact(played: &Played) -> Result<(), Failed> {
    let (old, new) = played.periods()?;
    played.judge(old, |at| at <= end_of(old))?;
    let gap = format!("\"since\":\"{}\"", old.covered_until);
    let told = status()?["coverage"]["gaps"].to_string();
    if told.contains(&gap) && old.ended.is_some() && old.covered_until < new.started {
        return Ok(());
    }
    Err(format!("`status` tells of {told}, not of {gap}").into())
}

fn stop_is_exact(played: &Played) -> Result<(), Failed> {
    let (old, new) = played.periods()?;
    played.judge(new, |at| at > end_of(old))?;
    let end = end_of(new).unix_ns();
    let went_on = played.calls.iter().any(|call| end < call.before_ns);
    match (went_on, new.ended) {
        (true, Some(_)) => Ok(()),
        (went_on, ended) => Err(format!("it ended {ended:?}; the load went on: {went_on}").into()),
    }
}
