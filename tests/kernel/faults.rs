//! What goes wrong while observing: the observer is killed, the disk is full, processes come and go
//! faster than anyone can look.

use std::{
    fs,
    io::{self, Write},
    path::Path,
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
    kills::killed_at_any_moment,
    load::{look_again, scaled},
    observer::{Observer, ask},
    session::backend_asked_for,
    stored::Stored,
    told::trial,
    workshop::Workshop,
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
