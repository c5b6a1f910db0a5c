//! Counts are exactly short where there is no room.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::LazyLock,
};

use egress_baseline::model::LossCause;
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    exact::{expect, load, said},
    load::look_again,
    observer::{NO_SELF_CHECK, Observer},
    session::backend_asked_for,
    stored::{Stored, Sums},
    told::trial,
    workshop::{Run, Workshop, text_of},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
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
    ]
}

/// An observer whose configuration has these limits.
fn observe(workshop: &Workshop, limits: &str) -> Result<(Observer, PathBuf), String> {
    let configuration = workshop.path().join("small.toml");
    let text = format!("[observe]\nflush_every = \"1s\"\n{NO_SELF_CHECK}[limits]\n{limits}\n");
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
    let exe = text_of(&holder.exe);
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
    let held = text_of(&holder.exe);
    // While somebody lives in the namespace, its addresses are known.
    let (own, _) = load(&workshop, "own", &["own-address", "50"])?;
    holder.release()?;
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
