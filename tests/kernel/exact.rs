//! Counts are exact where there is room, and exactly short where there is none.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::LazyLock,
    thread,
};

use egress_baseline::model::LossCause;
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    child::Report,
    load::{look_again, scaled},
    observer::{Observer, ask},
    session::backend_asked_for,
    stored::{Stored, Sums},
    told::trial,
    workshop::{Run, Workshop},
};

/// Datagrams of two processes together, and the places that they go to.
const DATAGRAMS: u64 = 1_000_000;
const PLACES: u64 = 50;
/// Connects, of which a fifth is refused.
const CONNECTS: u64 = 20_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a million datagrams of two processes to fifty places are counted to the byte",
            million_datagrams,
        ),
        trial(
            "twenty thousand connects are recorded with the right outcome",
            many_connects,
        ),
        trial(
            "what a small ring does not hold is counted as lost, attempt by attempt",
            small_ring,
        ),
        trial(
            "a connect that did not fit into the ring is recorded while it is open",
            late_announcement,
        ),
        trial(
            "datagrams beyond small tables are counted as lost with their bytes",
            small_tables,
        ),
        trial(
            "connections beyond a small table are recorded without an outcome",
            small_connections,
        ),
        trial(
            "a small table of own addresses makes no egress of what stays here",
            small_own_addresses,
        ),
        trial(
            "losses mark the window in status, report and dump",
            losses_are_shown,
        ),
        trial(
            "status tells what the kernel set aside",
            kernel_memory_is_told,
        ),
    ]
}

/// A run that made what it was asked to.
fn made(run: Result<Run, String>) -> Result<(Run, Sums), String> {
    let run = run?;
    let Report::Made(made) = &run.report else {
        return Err(format!("it could not be made: {:?}", run.report));
    };
    let sums = Sums {
        attempts: made.attempts,
        bytes_out: made.bytes_out,
        destinations: 0,
    };
    Ok((run, sums))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, recorded {found:?}"))
}

fn load(workshop: &Workshop, name: &str, words: &[&str]) -> Result<(Run, Sums), String> {
    let arguments: Vec<&str> = ["--part-load"].iter().chain(words).copied().collect();
    made(workshop.run(name, &arguments))
}

/// One observation with room for everything.
struct Roomy {
    _workshop: Workshop,
    stored: PathBuf,
    /// The process with connected sockets, and the one without.
    senders: [(Run, Sums); 2],
    connects: (Run, Sums),
    memory: Memory,
}

fn roomy() -> Result<&'static Roomy, String> {
    static ROOMY: LazyLock<Result<Roomy, String>> = LazyLock::new(hold_roomy);
    ROOMY.as_ref().map_err(Clone::clone)
}

fn hold_roomy() -> Result<Roomy, String> {
    let workshop = Workshop::build_quiet()?;
    let stored = workshop.path().join("flows.db");
    let observer = Observer::start(&stored, &["--backend", &backend_asked_for()])?;
    let (count, places) = ((scaled(DATAGRAMS) / 2).to_string(), PLACES.to_string());
    let send = |how| load(&workshop, how, &["datagrams", how, &count, &places]);
    let senders = thread::scope(|scope| {
        let one = scope.spawn(|| send("connected"));
        let other = send("unconnected");
        Ok::<_, String>([one.join().map_err(|_| "its thread panicked")??, other?])
    })?;
    let connects = scaled(CONNECTS);
    let refused = connects / 5;
    let numbers = [connects - refused, refused].map(|number| number.to_string());
    let connects = load(
        &workshop,
        "connects",
        &["connects", &numbers[0], &numbers[1]],
    )?;
    let memory = memory_of(&observer, &stored)?;
    observer.stop_with(Signal::INT)?;
    Ok(Roomy {
        _workshop: workshop,
        stored,
        senders,
        connects,
        memory,
    })
}

/// Nothing of what was sent: a hook that was skipped would have told an errno.
fn nothing_lost(stored: &Stored) -> Result<(), String> {
    let query = "SELECT SUM(count) FROM losses WHERE cause <> ?1";
    let lost = stored.number(query, [LossCause::HookSkipped.word()])?;
    expect("losses", lost, 0)
}

fn million_datagrams() -> Result<(), Failed> {
    let roomy = roomy()?;
    let stored = Stored::open(&roomy.stored)?;
    for (run, sent) in &roomy.senders {
        let expected = Sums {
            destinations: PLACES,
            ..*sent
        };
        expect("all", stored.sums(&run.exe_text(), None)?, expected)?;
        expect(
            "sent",
            stored.sums(&run.exe_text(), Some("sent"))?,
            expected,
        )?;
    }
    Ok(nothing_lost(&stored)?)
}

fn many_connects() -> Result<(), Failed> {
    let (run, sent) = &roomy()?.connects;
    let stored = Stored::open(&roomy()?.stored)?;
    let of = |outcome| {
        let sums = stored.sums(&run.exe_text(), outcome)?;
        Ok::<_, String>((sums.attempts, sums.bytes_out))
    };
    let refused = sent.attempts / 5;
    expect("all", of(None)?, (sent.attempts, sent.bytes_out))?;
    expect("refused", of(Some("refused"))?, (refused, 0))?;
    expect(
        "established",
        of(Some("established"))?,
        (sent.attempts - refused, sent.bytes_out),
    )?;
    Ok(nothing_lost(&stored)?)
}

/// An observer whose configuration has these limits.
fn observe(workshop: &Workshop, limits: &str) -> Result<(Observer, PathBuf), String> {
    let configuration = workshop.path().join("small.toml");
    let text = format!("[observe]\nflush_every = \"1s\"\n[limits]\n{limits}\n");
    fs::write(&configuration, text).map_err(|cause| cause.to_string())?;
    let stored = workshop.path().join("flows.db");
    let observer = Observer::start_with(
        &stored,
        Some(&configuration),
        &["--backend", &backend_asked_for()],
    )?;
    Ok((observer, stored))
}

/// A process that keeps its connections open until its input is closed.
struct Holder {
    exe: PathBuf,
    child: Child,
}

impl Holder {
    fn start(workshop: &Workshop, count: u64) -> Result<Self, String> {
        let exe = workshop.link("holder").map_err(|cause| cause.to_string())?;
        let mut command = workshop.command(&exe).map_err(|cause| cause.to_string())?;
        command.args(["--part-load", "hold", &count.to_string()]);
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|cause| cause.to_string())?;
        let mut line = String::new();
        if let Some(said) = &mut child.stdout {
            BufReader::new(said)
                .read_line(&mut line)
                .map_err(|cause| cause.to_string())?;
        }
        let holder = Self { exe, child };
        match line.trim_end() {
            "holding" => Ok(holder),
            other => Err(format!("connections are not held: {other}")),
        }
    }

    fn release(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(|cause| cause.to_string())?;
        expect("the holder's end", status.success(), true)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Attempts and bytes of one process: what was sent, what was recorded of it, and what was counted as
/// lost.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    sent: Sum,
    recorded: Sum,
    lost: Sum,
}

type Sum = (u64, u64);

impl Account {
    fn sum(&self) -> Sum {
        let ((one, one_bytes), (other, other_bytes)) = (self.recorded, self.lost);
        (one + other, one_bytes + other_bytes)
    }

    fn is_short(&self) -> bool {
        self.recorded.0 > 0 && self.lost.0 > 0
    }
}

/// Losses are those of the whole machine: where another of its processes lost something meanwhile, it
/// is tried again.
const TRIES: usize = 10;

/// Observes until what was recorded and lost comes to what was sent, to the attempt.
fn exactly_short<T>(observe: impl Fn() -> Result<(T, Account), String>) -> Result<T, String> {
    let mut accounts = Vec::new();
    for _ in 0..TRIES {
        let (observed, account) = observe()?;
        accounts.push(account);
        if !account.is_short() || account.sum() < account.sent {
            break;
        }
        if account.sum() == account.sent {
            return Ok(observed);
        }
    }
    Err(format!(
        "recorded and lost are not what was sent: {accounts:?}"
    ))
}

fn small_ring() -> Result<(), Failed> {
    let (unknown, ends) = exactly_short(|| {
        let workshop = Workshop::build_quiet()?;
        let (observer, stored) = observe(&workshop, "ring_bytes = 65536")?;
        let connects = || load(&workshop, "connects", &["connects", "1200", "300"]);
        let (run, sent) = observer.while_paused(connects)??;
        observer.stop_with(Signal::INT)?;
        let stored = Stored::open(&stored)?;
        let of = |outcome| Ok::<_, String>(stored.sums(&run.exe_text(), outcome)?.attempts);
        let account = Account {
            sent: (sent.attempts, 0),
            recorded: (of(None)?, 0),
            lost: (stored.lost(LossCause::RingFull)?, 0),
        };
        let ends = stored.lost(LossCause::EndRingFull)?;
        Ok(((of(Some("unknown"))?, ends), account))
    })?;
    Ok(expect("without an outcome", unknown, ends)?)
}

fn late_announcement() -> Result<(), Failed> {
    // More connects than the ring holds records.
    const HELD: u64 = 700;
    let workshop = Workshop::build_quiet()?;
    let (observer, stored) = observe(&workshop, "ring_bytes = 65536")?;
    let holder = observer.while_paused(|| Holder::start(&workshop, HELD))??;
    let exe = super::workshop::text_of(&holder.exe);
    observer.stop_with(Signal::INT)?;
    let stored = Stored::open(&stored)?;
    holder.release()?;
    Ok(expect(
        "open connections",
        stored.sums(&exe, None)?.attempts,
        HELD,
    )?)
}

/// One observation with tables that hold next to nothing.
struct Small {
    _workshop: Workshop,
    stored: PathBuf,
    /// Who held more connections than are followed.
    held: String,
    own: Run,
}

const SMALL: &str = "connections = 40\ndatagram_contacts = 100\ncontacts = 60\nown_addresses = 1";
const SMALL_HELD: u64 = 100;

fn small() -> Result<&'static Small, String> {
    static SMALL: LazyLock<Result<Small, String>> = LazyLock::new(|| exactly_short(hold_small));
    SMALL.as_ref().map_err(Clone::clone)
}

fn hold_small() -> Result<(Small, Account), String> {
    let workshop = Workshop::build_quiet()?;
    let (observer, stored) = observe(&workshop, SMALL)?;
    let datagrams = || {
        load(
            &workshop,
            "many",
            &["datagrams", "unconnected", "2000", "400"],
        )
    };
    let datagrams = observer.while_paused(datagrams)??;
    // What comes next must not find memory full of these.
    await_flush(&stored, &datagrams.0)?;
    let holder = Holder::start(&workshop, SMALL_HELD)?;
    let held = super::workshop::text_of(&holder.exe);
    holder.release()?;
    let (own, _) = load(&workshop, "own", &["own-address", "50"])?;
    observer.stop_with(Signal::INT)?;
    let account = account_of(&Stored::open(&stored)?, &datagrams)?;
    let small = Small {
        _workshop: workshop,
        stored,
        held,
        own,
    };
    Ok((small, account))
}

fn account_of(stored: &Stored, (run, sent): &(Run, Sums)) -> Result<Account, String> {
    let recorded = stored.sums(&run.exe_text(), None)?;
    let mut lost = (0, 0);
    for cause in [LossCause::DatagramsFull, LossCause::ContactsFull] {
        let (attempts, bytes) = (stored.lost(cause)?, stored.lost_bytes(cause)?);
        if attempts == 0 {
            return Err(format!("nothing was lost for {cause}"));
        }
        lost = (lost.0 + attempts, lost.1 + bytes);
    }
    Ok(Account {
        sent: (sent.attempts, sent.bytes_out),
        recorded: (recorded.attempts, recorded.bytes_out),
        lost,
    })
}

/// Waits until something of a process is in the database.
fn await_flush(stored: &Path, run: &Run) -> Result<(), String> {
    const LOOKS: usize = 300;
    let stored = Stored::open(stored)?;
    for _ in 0..LOOKS {
        if stored.sums(&run.exe_text(), None)?.attempts > 0 {
            return Ok(());
        }
        look_again();
    }
    Err("nothing was written".to_owned())
}

/// The observation itself is repeated until it is: see [`exactly_short`].
fn small_tables() -> Result<(), Failed> {
    small()?;
    Ok(())
}

fn small_connections() -> Result<(), Failed> {
    let small = small()?;
    let stored = Stored::open(&small.stored)?;
    let of = |outcome| Ok::<_, String>(stored.sums(&small.held, outcome)?.attempts);
    let full = stored.lost(LossCause::ConnectionsFull)?;
    if full == 0 {
        return Err("the table of connections was not small".into());
    }
    expect("attempts", of(None)?, SMALL_HELD)?;
    expect("without an outcome", of(Some("unknown"))?, full)?;
    Ok(expect(
        "established",
        of(Some("established"))?,
        SMALL_HELD - full,
    )?)
}

fn small_own_addresses() -> Result<(), Failed> {
    let small = small()?;
    let stored = Stored::open(&small.stored)?;
    let sums = stored.sums(&small.own.exe_text(), None)?;
    Ok(expect("to itself", sums, Sums::default())?)
}

fn said(database: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = ask(database, arguments)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|cause| cause.to_string())
}

fn losses_are_shown() -> Result<(), Failed> {
    let small = small()?;
    let stored = Stored::open(&small.stored)?;
    let lost = stored.lost(LossCause::DatagramsFull)?;
    let status = said(&small.stored, &["status"])?;
    let report = said(&small.stored, &["report"])?;
    let dump = said(&small.stored, &["dump", "--all"])?;
    for (name, text, words) in [
        (
            "status",
            &status,
            ["PARTIAL", "datagrams_full", "contacts_full"],
        ),
        (
            "report",
            &report,
            ["PARTIAL", "datagrams_full", "contacts_full"],
        ),
        (
            "dump",
            &dump,
            [
                "\"kind\":\"loss\"",
                "\"datagrams_full\"",
                "\"contacts_full\"",
            ],
        ),
    ] {
        if let Some(missing) = words.iter().find(|word| !text.contains(**word)) {
            return Err(format!("{name} does not say `{missing}`:\n{text}").into());
        }
    }
    let json: serde_json::Value =
        serde_json::from_str(&said(&small.stored, &["status", "--format", "json"])?)?;
    expect(
        "partial",
        json["coverage"]["is_partial"].as_bool(),
        Some(true),
    )?;
    let told = json["coverage"]["losses"].as_array().and_then(|losses| {
        let of_cause = losses
            .iter()
            .find(|loss| loss["cause"] == "datagrams_full")?;
        of_cause["count"].as_u64()
    });
    expect("lost", told, Some(lost))?;
    Ok(())
}

/// What was set aside for the tables of an observer.
struct Memory {
    /// As the kernel accounts for it.
    accounted: u64,
    /// Some kernels leave out the ring, and what they keep beside keys and values.
    is_whole: bool,
    /// As `status` tells it, as a number and as text.
    told: u64,
    text: String,
}

/// The kernel's account of each table is in the description of its descriptor.
fn memory_of(observer: &Observer, stored: &Path) -> Result<Memory, String> {
    const RING: u64 = 27;
    let told = |cause: std::io::Error| cause.to_string();
    let (mut accounted, mut is_whole) = (0, false);
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", observer.pid())).map_err(told)? {
        let text = fs::read_to_string(entry.map_err(told)?.path()).map_err(told)?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse::<u64>().ok())
        };
        if field("map_id:").is_none() {
            continue;
        }
        let bytes = field("memlock:").unwrap_or(0);
        accounted += bytes;
        is_whole |= field("map_type:") == Some(RING) && field("max_entries:") <= Some(bytes);
    }
    let json = said(stored, &["status", "--format", "json"])?;
    let json: serde_json::Value = serde_json::from_str(&json).map_err(|cause| cause.to_string())?;
    let bytes = json["latest"]["settings"]["kernel_bytes"].as_u64();
    Ok(Memory {
        accounted,
        is_whole,
        told: bytes.unwrap_or(0),
        text: said(stored, &["status"])?,
    })
}

fn kernel_memory_is_told() -> Result<(), Failed> {
    let Memory {
        accounted,
        is_whole,
        told,
        text,
    } = &roomy()?.memory;
    let is_enough = *accounted > 0 && *told > accounted / 10 * 8;
    let is_too_much = *is_whole && *told > accounted / 10 * 12;
    if is_enough && !is_too_much && text.contains("of the kernel's memory") {
        return Ok(());
    }
    Err(format!("the kernel accounts for {accounted} bytes, status tells {told}:\n{text}").into())
}
