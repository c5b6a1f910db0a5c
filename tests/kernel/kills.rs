//! Observers that are killed at any moment: what they said they had written is there.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use libtest_mimic::Failed;
use rustix::process::Signal;

use super::{
    load::{now_ns, scaled},
    observer::{Observer, ask},
    session::backend_asked_for,
    stored::Stored,
    workshop::{Workshop, text_of},
};

const FLUSH: i64 = 1_000_000_000;
/// Kills of all lanes together, and observers that run beside each other.
const KILLS: u64 = 50;
const FEWEST_KILLS: u64 = 6;
const LANES: u64 = 5;

/// Moments that are the same in every run (xorshift64*).
struct Moments(u64);

impl Moments {
    /// Somewhere within two flush intervals.
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        Duration::from_millis(number % 2_000)
    }
}

/// A process that sends steadily and logs when.
struct Steady {
    exe: String,
    log: PathBuf,
    child: Child,
}

impl Steady {
    fn start(workshop: &Workshop) -> Result<Self, String> {
        let failed = |cause: io::Error| format!("start the load: {cause}");
        let exe = workshop.link("steady").map_err(failed)?;
        let log = workshop.path().join("steady.log");
        let mut command = workshop.command(&exe).map_err(failed)?;
        command.args(["--part-load", "steady"]).arg(&log);
        Ok(Self {
            exe: text_of(&exe),
            log,
            child: command.stdin(Stdio::piped()).spawn().map_err(failed)?,
        })
    }

    /// When each datagram was sent: after the first time and before the second.
    fn end(&mut self) -> Result<Vec<(i64, i64)>, String> {
        drop(self.child.stdin.take());
        self.child.wait().map_err(|cause| cause.to_string())?;
        let text = fs::read_to_string(&self.log).map_err(|cause| cause.to_string())?;
        let times = text.lines().map(|line| {
            let (before, after) = line.split_once(' ')?;
            Some((before.parse().ok()?, after.parse().ok()?))
        });
        times
            .collect::<Option<Vec<_>>>()
            .filter(|times| !times.is_empty())
            .ok_or_else(|| "the load's log makes no sense".to_owned())
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An observer that was killed.
struct Killed {
    launched: i64,
    signalled: i64,
    /// When it was gone, hooks included; in an emulated machine seconds later.
    at: i64,
}

/// Kills one observer after another on one database.
fn kill_again_and_again(database: &Path, lane: u64, kills: u64) -> Result<Vec<Killed>, String> {
    let mut moments = Moments(0x9e37_79b9_7f4a_7c15 ^ (lane + 1));
    let mut killed = Vec::new();
    let options = ["--backend", &backend_asked_for(), "--flush-every", "1s"];
    for _ in 0..kills {
        let launched = now_ns();
        let observer = Observer::start(database, &options)?;
        thread::sleep(moments.next());
        let signalled = now_ns();
        observer.stop_with(Signal::KILL)?;
        killed.push(Killed {
            launched,
            signalled,
            at: now_ns(),
        });
        let integrity = Stored::open(database)?.integrity()?;
        if integrity != "ok" {
            return Err(format!("after kill {}: {integrity}", killed.len()));
        }
    }
    Ok(killed)
}

pub(crate) fn killed_at_any_moment() -> Result<(), Failed> {
    let workshop = Workshop::build_quiet()?;
    let kills = scaled(KILLS).max(FEWEST_KILLS);
    let lanes = LANES.min(kills / 3);
    let mut load = Steady::start(&workshop)?;
    let database = |lane: u64| workshop.path().join(format!("flows-{lane}.db"));
    let killed: Vec<Result<Vec<Killed>, String>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..lanes)
            .map(|lane| {
                let database = database(lane);
                scope.spawn(move || kill_again_and_again(&database, lane, kills / lanes))
            })
            .collect();
        let panicked = |_| Err("its thread panicked".to_owned());
        runs.into_iter()
            .map(|run| run.join().unwrap_or_else(panicked))
            .collect()
    });
    let sent = load.end()?;
    let mut late = 0;
    for (lane, killed) in (0..).zip(killed) {
        let killed = killed?;
        let stored = Stored::open(&database(lane))?;
        for (number, killed) in (1..).zip(&killed) {
            late += u64::from(judge_kill(&stored, &load.exe, number, killed, &sent)?);
        }
        gaps_are_visible(&database(lane), killed.len())?;
    }
    // A machine that is busy with something else is late now and then.
    if late > kills / 2 {
        return Err(format!("{late} of {kills} missed more than one flush interval").into());
    }
    Ok(())
}

/// Compares one watch period with the load's log; whether more than a flush interval is missing.
fn judge_kill(
    stored: &Stored,
    exe: &str,
    period: i64,
    killed: &Killed,
    sent: &[(i64, i64)],
) -> Result<bool, String> {
    let of_period = |column: &str| {
        let query = format!("SELECT {column} FROM watch_periods WHERE watch_period_id = ?1");
        stored.number(&query, [period])
    };
    let (started, covered) = (of_period("started_ns")?, of_period("covered_until_ns")?);
    let recorded = stored.number(
        "SELECT SUM(attempts) FROM flows WHERE watch_period_id = ?1 AND exe = ?2",
        (period, exe),
    )?;
    let count = |is_in: &dyn Fn(i64, i64) -> bool| {
        let number = sent.iter().filter(|(after, before)| is_in(*after, *before));
        i64::try_from(number.count()).unwrap_or(i64::MAX)
    };
    // An emulated machine may have nothing better than a clock that stands still for milliseconds:
    // what happens at a bound may lie on either side of it.
    let least = count(&|after, before| after > started && before < covered);
    let most = count(&|after, before| before >= killed.launched && after <= killed.at);
    let is_open = of_period("ended_ns IS NULL")? == 1;
    if recorded < least || recorded > most || !is_open || covered > killed.at {
        return Err(format!(
            "kill {period}: {recorded} recorded, at least {least} and at most {most} expected; \
             covered for {} ms of {} ms; it broke off: {is_open}",
            (covered - started) / 1_000_000,
            (killed.at - started) / 1_000_000
        ));
    }
    Ok(killed.signalled - covered > FLUSH + FLUSH / 2)
}

fn gaps_are_visible(database: &Path, kills: usize) -> Result<(), String> {
    let output = ask(database, &["status", "--format", "json"])?;
    let status: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|cause| cause.to_string())?;
    let number = |list: &serde_json::Value, key: &str| {
        let list = list.as_array().map_or(&[][..], Vec::as_slice);
        list.iter().filter(|one| one[key] == "broken").count()
    };
    // Periods that were killed before anything was written lie within a gap.
    let (broken, gaps) = (
        number(&status["partial"], "ending"),
        number(&status["coverage"]["gaps"], "after"),
    );
    let text = ask(database, &["status"])?;
    let text = String::from_utf8_lossy(&text.stdout);
    if broken == kills && gaps > 0 && text.contains("broke off") {
        return Ok(());
    }
    Err(format!(
        "{kills} kills, {broken} periods that broke off, {gaps} gaps:\n{text}"
    ))
}
