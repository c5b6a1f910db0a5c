//! What the whole observer costs while nothing happens: its share of a core over half a minute, and its
//! memory. Needs root and kernel hooks; sends nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use support::{head, line};

const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(60);

/// User and system time of a process, in ticks of the kernel: hundredths of a second.
fn ticks(child: &Child) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
}

fn megabytes(child: &Child, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    format!("{:.1}", kilobytes * 1_024.0 / 1e6)
}

fn main() {
    head("IDLE");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_egress-baseline"))
        .arg("--db")
        .arg(directory.path().join("flows.db"))
        .args(["observe", "--for", "5m"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !told.contains("observing") {
        told.clear();
        assert!(stderr.read_line(&mut told).unwrap() > 0, "it did not start");
    }
    sleep(SETTLE);
    let before = ticks(&child);
    let start = Instant::now();
    sleep(WATCH);
    let used = ticks(&child) - before;
    let share = f64::from(used) / start.elapsed().as_secs_f64();
    let figure = format!("{share:.2} %");
    line(
        "of a core, hooks attached, nothing to do",
        &figure,
        "below 0.3 %",
    );
    line("resident, MB", &megabytes(&child, "VmRSS"), "");
    line("  of which its own, MB", &megabytes(&child, "RssAnon"), "");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
}
