//! How observers begin and end, and what they are asked to record beyond the default.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use egress_baseline::{
    canary::{Kind, Scope, kinds},
    model::Outcome,
};
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    child::{LINGERING_BYTES, Report},
    dump::{Dump, Flow, listed},
    observer::{Observer, ask, observe_command, program},
    session::backend_asked_for,
    workshop::{Run, Workshop},
};

const NOBODY: u32 = 65_534;

/// One observation on request of everything, ended by SIGTERM while a second was tried beside it.
struct Second {
    makers: BTreeMap<&'static str, Result<Run, String>>,
    dump: Dump,
    ended: i32,
    lingering: Lingering,
    rival: Output,
    status_beside: Output,
}

static SECOND: LazyLock<Result<Second, String>> = LazyLock::new(hold);

fn second() -> Result<&'static Second, String> {
    SECOND.as_ref().map_err(Clone::clone)
}

fn local_kinds() -> impl Iterator<Item = &'static Kind> {
    kinds().iter().filter(|kind| kind.scope == Scope::Local)
}

fn hold() -> Result<Second, String> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let backend = backend_asked_for();
    let arguments = ["--backend", &backend, "--include-loopback"];
    let observer = Observer::start(&database, &arguments)?;
    let makers = local_kinds()
        .map(|kind| {
            let run = workshop.run(format!("make-{}", kind.name), &["--part-make", kind.name]);
            (kind.name, run)
        })
        .collect();
    let lingering = linger(&workshop, &database)?;
    let rival = observe_command(&database, &["--backend", &backend])
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| cause.to_string())?;
    let status_beside = ask(&database, &["status"])?;
    let ended = observer.stop_with(Signal::TERM)?;
    let dump = Dump::read(&database)?;
    Ok(Second {
        makers,
        dump,
        ended: ended.status.code().unwrap_or(-1),
        lingering,
        rival,
        status_beside,
    })
}

/// A connection that was looked at while it was open.
struct Lingering {
    pid: u32,
    /// What was recorded of it by then, at the end of the wait.
    while_open: Vec<Flow>,
}

/// Opens a connection and waits until it is recorded with its bytes.
fn linger(workshop: &Workshop, database: &Path) -> Result<Lingering, String> {
    let exe = workshop.link("linger").map_err(|cause| cause.to_string())?;
    let mut command = workshop.command(&exe).map_err(|cause| cause.to_string())?;
    let mut child = command
        .arg("--part-linger")
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|cause| cause.to_string())?;
    let begun = Instant::now();
    let while_open = loop {
        let flows = Dump::read(database)?.flows_of(child.id());
        if flows.iter().any(is_lingering_flow) || begun.elapsed() > PATIENCE {
            break flows;
        }
        thread::sleep(BETWEEN_LOOKS);
    };
    drop(child.stdin.take());
    let pid = child.id();
    child.wait().map_err(|cause| cause.to_string())?;
    Ok(Lingering { pid, while_open })
}

/// Several flush intervals, in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(25);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

fn is_lingering_flow(flow: &Flow) -> bool {
    flow.attempts == 1
        && flow.bytes_out == Some(LINGERING_BYTES as u64)
        && flow.state == Outcome::Established.word()
}

pub(crate) fn trials() -> Vec<Trial> {
    local_kinds()
        .map(|kind| {
            Trial::test(format!("{} is recorded on request", kind.name), move || {
                recorded_on_request(kind)
            })
        })
        .chain([
            Trial::test(
                "an observer that is told to terminate writes what it has seen",
                termination_flushes,
            ),
            Trial::test(
                "an open connection is recorded before it ends",
                open_connection_is_recorded,
            ),
            Trial::test(
                "a second observer on a database is refused",
                rival_is_refused,
            ),
            Trial::test("status works beside an observer", status_works_beside),
            Trial::test(
                "an observer with a time limit ends by itself",
                time_limit_ends,
            ),
            Trial::test(
                "a user without capabilities is told which are missing",
                nobody_is_told,
            ),
            Trial::test(
                "root without capabilities is told which are missing",
                confined_root_is_told,
            ),
        ])
        .collect()
}

fn recorded_on_request(kind: &'static Kind) -> Result<(), Failed> {
    let second = second()?;
    let run = second
        .makers
        .get(kind.name)
        .ok_or("it was not made")?
        .clone()?;
    let Report::Made(made) = run.report else {
        return Err(format!("it could not be made: {:?}", run.report).into());
    };
    let expected = kind.expected().ok_or("it expects nothing")?;
    let flows = second.dump.flows_of(run.pid);
    let is_right = matches!(flows.as_slice(), [flow]
        if flow.dst_ip == expected.address
            && flow.dst_port == expected.port
            && flow.state == expected.outcome.word()
            && flow.attempts == made.attempts
            && flow.src_port == made.source_port);
    if is_right {
        return Ok(());
    }
    Err(format!("expected {expected:?}\nrecorded:\n{}", listed(&flows)).into())
}

fn termination_flushes() -> Result<(), Failed> {
    let second = second()?;
    let is_ended = second
        .dump
        .watch_periods
        .iter()
        .all(|period| period.ended.is_some());
    if second.ended == 0 && is_ended && !second.dump.flows.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it ended with {}, {} flows, periods {:?}",
        second.ended,
        second.dump.flows.len(),
        second.dump.watch_periods
    )
    .into())
}

fn open_connection_is_recorded() -> Result<(), Failed> {
    let second = second()?;
    let lingering = &second.lingering;
    let after = second.dump.flows_of(lingering.pid);
    let is_whole = |flows: &[Flow]| matches!(flows, [flow] if is_lingering_flow(flow));
    if is_whole(&lingering.while_open) && is_whole(&after) {
        return Ok(());
    }
    Err(format!(
        "expected one attempt with {LINGERING_BYTES} bytes; recorded while it was open:\n{}\n\
         afterwards:\n{}",
        listed(&lingering.while_open),
        listed(&after)
    )
    .into())
}

fn rival_is_refused() -> Result<(), Failed> {
    let rival = &second()?.rival;
    let said = String::from_utf8_lossy(&rival.stderr);
    if rival.status.code() == Some(2) && said.contains("hint:") {
        return Ok(());
    }
    Err(format!("it ended with {}: {said}", rival.status).into())
}

fn status_works_beside() -> Result<(), Failed> {
    let status = &second()?.status_beside;
    if status.status.success() && !status.stdout.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&status.stderr);
    Err(format!("it ended with {}: {said}", status.status).into())
}

fn time_limit_ends() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let backend = backend_asked_for();
    let observer = Observer::start(&database, &["--backend", &backend, "--for", "2s"])?;
    let ended = observer.await_end()?;
    let dump = Dump::read(&database)?;
    let is_ended = matches!(dump.watch_periods.as_slice(), [period] if period.ended.is_some());
    if ended.status.success() && is_ended {
        return Ok(());
    }
    Err(format!("it ended with {}: {}", ended.status, ended.said).into())
}

fn told_what_is_missing(output: &Output) -> Result<(), Failed> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(2) && said.contains("CAP_BPF") {
        return Ok(());
    }
    Err(format!(
        "expected status 2 and the name CAP_BPF, it ended with {}: {said}",
        output.status
    )
    .into())
}

fn place_for_nobody(workshop: &Workshop) -> Result<PathBuf, String> {
    let directory = workshop
        .folder("nobody")
        .map_err(|cause| cause.to_string())?;
    chown(&directory, Some(NOBODY), Some(NOBODY)).map_err(|cause| cause.to_string())?;
    Ok(directory.join("flows.db"))
}

fn nobody_is_told() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = place_for_nobody(&workshop)?;
    // The program may lie where nobody has no business.
    let copy = workshop.path().join("egress-baseline");
    fs::copy(program(), &copy)?;
    let output = Command::new(copy)
        .arg("--db")
        .arg(&database)
        .args(["observe", "--backend", &backend_asked_for()])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()?;
    told_what_is_missing(&output)
}

fn confined_root_is_told() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let output = Command::new("/proc/self/exe")
        .arg("--confined")
        .arg(program())
        .arg("--db")
        .arg(&database)
        .args(["observe", "--backend", &backend_asked_for()])
        .stdin(Stdio::null())
        .output()?;
    told_what_is_missing(&output)
}
