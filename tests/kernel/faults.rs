//! What goes wrong while observing: the observer is killed, the disk is full, processes come and go
//! faster than anyone can look.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use egress_baseline::{canary::with_own_mounts, model::LossCause};
use libtest_mimic::{Failed, Trial};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Signal,
};

use super::{
    child::Report,
    load::{look_again, now_ns, scaled},
    observer::{Observer, ask},
    session::backend_asked_for,
    stored::Stored,
    told::trial,
    workshop::{Workshop, text_of},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "an observer that is killed loses nothing that it said it had written",
            killed_at_any_moment,
        ),
        trial(
            "a full disk is told, waited for, and costs what is counted",
            full_disk,
        ),
        trial(
            "a hundred thousand processes that live for one datagram are recorded or counted",
            short_lives,
        ),
    ]
}

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
    at: i64,
}

/// Kills one observer after another on one database.
fn kill_again_and_again(database: &Path, lane: u64, kills: u64) -> Result<Vec<Killed>, String> {
    let mut moments = Moments(0x9e37_79b9_7f4a_7c15 ^ (lane + 1));
    let mut killed = Vec::new();
    let backend = backend_asked_for();
    for _ in 0..kills {
        let launched = now_ns();
        let observer = Observer::start(database, &["--backend", &backend, "--flush-every", "1s"])?;
        thread::sleep(moments.next());
        observer.stop_with(Signal::KILL)?;
        killed.push(Killed {
            launched,
            at: now_ns(),
        });
        let integrity = Stored::open(database)?.integrity()?;
        if integrity != "ok" {
            return Err(format!("after kill {}: {integrity}", killed.len()));
        }
    }
    Ok(killed)
}

fn killed_at_any_moment() -> Result<(), Failed> {
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
    let least = count(&|after, before| after >= started && before <= covered);
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
    Ok(killed.at - covered > FLUSH + FLUSH / 2)
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

fn full_disk() -> Result<(), Failed> {
    let workshop = Workshop::build_quiet()?;
    let place = workshop.folder("small-disk")?;
    with_own_mounts(|| {
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .map_err(|errno| format!("make mounts private: {errno}"))?;
        mount(
            "none",
            &place,
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=16m"),
        )
        .map_err(|errno| format!("mount a small disk: {errno}"))?;
        observe_on_small_disk(&workshop, &place)
    })??;
    Ok(())
}

/// Rounds of datagrams, and the places that each goes to: more rows than may wait.
const ROUNDS: u64 = 6;
const PLACES: &str = "1000";
const MOST_WAITING: &str = "[limits]\nwaiting_flows = 2500\n";

fn observe_on_small_disk(workshop: &Workshop, place: &Path) -> Result<(), String> {
    let configuration = workshop.path().join("waiting.toml");
    fs::write(&configuration, MOST_WAITING).map_err(|cause| cause.to_string())?;
    let database = place.join("flows.db");
    let mut observer = Observer::start_with(
        &database,
        Some(&configuration),
        &["--backend", &backend_asked_for(), "--flush-every", "1s"],
    )?;
    let filler = place.join("filler");
    fill(&filler).map_err(|cause| format!("fill the disk: {cause}"))?;
    let mut sent = 0;
    let mut exes = Vec::new();
    for round in 0..ROUNDS {
        let words = ["--part-load", "datagrams", "unconnected", "3000", PLACES];
        let run = workshop.run(format!("round-{round}"), &words)?;
        let Report::Made(made) = &run.report else {
            return Err(format!("nothing was sent: {:?}", run.report));
        };
        sent += made.attempts;
        exes.push(run.exe_text());
        if round == 0 {
            observer.await_words("flows are kept in memory")?;
        }
        // Rounds fall into flushes of their own.
        thread::sleep(Duration::from_millis(1_200));
    }
    status_says(&database, "nothing was written for")?;
    fs::remove_file(&filler).map_err(|cause| cause.to_string())?;
    observer.await_words("the database is written again")?;
    let ended = observer.stop_with(Signal::INT)?;
    let stored = Stored::open(&database)?;
    let mut recorded = 0;
    for exe in &exes {
        recorded += stored.sums(exe, None)?.attempts;
    }
    let lost = stored.lost(LossCause::StoreFailed)?;
    let all = stored
        .number("SELECT SUM(attempts) FROM flows", [])?
        .cast_unsigned();
    let integrity = stored.integrity()?;
    // Other processes of the machine lose what they sent as well: the whole sum is what the observer
    // says that it saw.
    let is_short = lost > 0 && recorded > 0 && recorded <= sent && recorded + lost >= sent;
    if is_short && attempts_said(&ended.said) == Some(all + lost) && integrity == "ok" {
        return Ok(());
    }
    Err(format!(
        "{sent} sent, {recorded} recorded, {lost} counted as lost, {all} attempts in all; \
         integrity: {integrity}; the observer said:\n{}",
        ended.said
    ))
}

/// The attempts of the whole machine, as the observer's last line has them.
fn attempts_said(said: &str) -> Option<u64> {
    let (before, _) = said.lines().last()?.split_once(" attempts")?;
    let number = before.rsplit(' ').next()?.replace(',', "");
    number.parse().ok()
}

fn fill(filler: &Path) -> io::Result<()> {
    let mut file = fs::File::create(filler)?;
    // Smaller and smaller, so that not a page is left.
    for size in [1 << 16, 1 << 12, 1] {
        let block = vec![0; size];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::StorageFull => break,
                Err(cause) => return Err(cause),
            }
        }
    }
    Ok(())
}

/// Waits until `status` says it.
fn status_says(database: &Path, words: &str) -> Result<(), String> {
    const LOOKS: usize = 300;
    let mut text = String::new();
    for _ in 0..LOOKS {
        let output = ask(database, &["status"])?;
        text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains(words) {
            return Ok(());
        }
        look_again();
    }
    Err(format!("status does not say `{words}`:\n{text}"))
}

/// Far more than the process images that are remembered.
const LIVES: u64 = 100_000;

/// What the observer may take at its peak: a debug build that remembers as many images as it can.
const MOST_MEMORY_KB: u64 = 400_000;

fn short_lives() -> Result<(), Failed> {
    let workshop = Workshop::build_quiet()?;
    let database = workshop.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    let count = scaled(LIVES);
    let run = workshop.run("lives", &["--part-load", "lives", &count.to_string()])?;
    let Report::Made(made) = &run.report else {
        return Err(format!("nothing was sent: {:?}", run.report).into());
    };
    let status = fs::read_to_string(format!("/proc/{}/status", observer.pid()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .ok_or("the observer's memory is not told")?;
    observer.stop_with(Signal::INT)?;
    let stored = Stored::open(&database)?;
    let recorded = stored.sums(&run.exe_text(), None)?.attempts;
    let mut lost = 0;
    for cause in [
        LossCause::DatagramsFull,
        LossCause::ContactsFull,
        LossCause::ProcessUnknown,
    ] {
        lost += stored.lost(cause)?;
    }
    let processes = stored.number(
        "SELECT COUNT(*) FROM process WHERE exe_path = ?1",
        [run.exe_text()],
    )?;
    let has_processes = processes.cast_unsigned() >= recorded;
    // Others may have lost something as well.
    let is_whole = recorded <= made.attempts && recorded + lost >= made.attempts;
    if is_whole && has_processes && peak < MOST_MEMORY_KB {
        return Ok(());
    }
    Err(format!(
        "{} lives, {recorded} recorded as {processes} processes, {lost} counted as lost; at most \
         {peak} kB of memory",
        made.attempts
    )
    .into())
}
