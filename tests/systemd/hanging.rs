//! Threads that hang: systemd must learn of it and start the service anew.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use libtest_mimic::{Failed, Trial};

use super::{
    contexts::use_backend,
    guest::{SERVICE, await_some, journal, number, systemctl, threads},
    record::{Record, is_active},
};

const PLACE: &str = "/run/systemd/system/egress-baseline.service.d";

/// Shorter than the unit's, so that the trials are.
const TIMEOUT: Duration = Duration::from_secs(14);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a service that is well is left alone", well_is_left_alone),
        Trial::test("a capture thread that hangs is replaced", || {
            hang("capture")
        }),
        Trial::test("a writing thread that hangs is replaced", || {
            hang("egress-baseline")
        }),
    ]
}

pub(crate) fn last_trials() -> Vec<Trial> {
    vec![Trial::test(
        "a stopped service leaves a whole database",
        stop_is_orderly,
    )]
}

/// Has the service record through that backend, and its watchdog bite sooner, from one start on.
pub(crate) fn use_backend_under_watch(backend: &str) -> Result<(), String> {
    let failed = |cause: io::Error| format!("write below {PLACE}: {cause}");
    fs::create_dir_all(PLACE).map_err(failed)?;
    fs::write(
        format!("{PLACE}/lab.conf"),
        format!("[Service]\nWatchdogSec={}s\n", TIMEOUT.as_secs()),
    )
    .map_err(failed)?;
    systemctl(&["daemon-reload"])?;
    use_backend(backend)
}

/// The trials before these have kept it busy meanwhile.
fn well_is_left_alone() -> Result<(), Failed> {
    if !Path::new(PLACE).exists() {
        use_backend_under_watch("cgroup")?;
    }
    let since = number(SERVICE, "ActiveEnterTimestampMonotonic")?;
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let age = Duration::from_secs(uptime.tv_sec.unsigned_abs())
        .saturating_sub(Duration::from_micros(since));
    thread::sleep((TIMEOUT * 2).saturating_sub(age));
    let restarts = number(SERVICE, "NRestarts")?;
    if restarts == 0 && is_active()? {
        return Ok(());
    }
    Err(format!("it was started anew {restarts} times: {}", journal()?).into())
}

/// Holds a thread still; ended when dropped.
struct Hold(Child);

impl Hold {
    fn thread(id: &str) -> Result<Self, String> {
        let mut child = Command::new("/tests/hang")
            .arg(id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| cause.to_string())?;
        let stdout = child.stdout.take();
        let hold = Self(child);
        let mut said = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut said)
                .map_err(|cause| cause.to_string())?;
        }
        match said.as_str() {
            "stopped\n" => Ok(hold),
            _ => Err(format!("thread {id} could not be held")),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn hang(name: &str) -> Result<(), Failed> {
    let threads = threads()?;
    let id = threads
        .get(name)
        .ok_or_else(|| format!("there is no thread {name}"))?
        .field("Pid")?
        .to_owned();
    let before = number(SERVICE, "NRestarts")?;
    let hung = Record::read()?.last_period()?.id;
    let hold = Hold::thread(&id)?;
    await_some("systemd starts it anew", || {
        let is_anew = number(SERVICE, "NRestarts")? > before && is_active()?;
        Ok(is_anew.then_some(()))
    })?;
    drop(hold);
    let said = journal()?;
    let record = Record::read()?;
    let is_broken_off = record
        .periods
        .iter()
        .any(|period| period.id == hung && period.ended.is_none());
    if is_broken_off && record.last_period()?.id > hung && said.contains("Watchdog timeout") {
        return Ok(());
    }
    Err(format!("broken off: {is_broken_off}; it said: {said}").into())
}

fn stop_is_orderly() -> Result<(), Failed> {
    systemctl(&["stop", SERVICE])?;
    let record = Record::read()?;
    let last = record.last_period()?;
    let log = fs::metadata("/var/lib/egress-baseline/flows.db-wal")?.len();
    if last.ended.is_some() && log == 0 {
        return Ok(());
    }
    Err(format!("it ended {:?}, {log} bytes are left in the log", last.ended).into())
}
