//! Counts are exact where there is room.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
};

use egress_baseline::model::LossCause;
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    child::Report,
    load::scaled,
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

pub(super) fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, recorded {found:?}"))
}

pub(super) fn load(workshop: &Workshop, name: &str, words: &[&str]) -> Result<(Run, Sums), String> {
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

pub(super) fn said(database: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = ask(database, arguments)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|cause| cause.to_string())
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
