//! Resident memory of decoding and coalescing with 100,000 live connections.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::fs;

use egress_baseline::{
    capture::{
        decode,
        sample::{connect_record, connection_end_record, process_record},
    },
    model::{BootClock, ConnectionEnd, KernelEvent, Timestamp},
    pipeline::{Pipeline, ProcessFacts, Scope},
    store::Recorder,
};
use support::{Dice, START, head, line, watch_period};

const PROCESSES: u32 = 2_000;
const LIVE: u64 = 100_000;
const A_FLUSH: u64 = 5_000;

fn megabytes(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1_024.0 / 1e6
}

/// A connection that was established and lives on.
fn established(end: ConnectionEnd) -> KernelEvent {
    KernelEvent::ConnectionEnd(ConnectionEnd {
        is_over: false,
        ..end
    })
}

fn main() {
    head("MEMORY");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut recorder = Recorder::open(&directory.path().join("flows.db")).unwrap();
    let period = recorder.begin(&watch_period(START)).unwrap();
    let scope = Scope {
        host: "web-1".to_owned(),
        ..Scope::default()
    };
    let mut pipeline = Pipeline::new(scope, Timestamp::from_unix_ns(START));
    line(
        "resident at first, MB",
        &format!("{:.1}", megabytes("VmRSS")),
        "",
    );
    let mut dice = Dice::new();
    let clock = BootClock::new(900_000_000_000, Timestamp::from_unix_ns(START));
    let take = |pipeline: &mut Pipeline, event| {
        pipeline.take(event, clock, ProcessFacts::default());
    };
    for pid in 1..=PROCESSES {
        take(&mut pipeline, decode(&process_record(pid)).unwrap());
    }
    for socket in 1..=LIVE {
        let pid = 1 + u32::try_from(dice.below(PROCESSES as usize)).unwrap();
        let address = (0xcb00_0000 | u32::try_from(dice.below(20_000)).unwrap()).to_be_bytes();
        let connect = connect_record(pid, socket, address, 443);
        take(&mut pipeline, decode(&connect).unwrap());
        let end = connection_end_record(pid, socket, address, 443);
        if let Some(KernelEvent::ConnectionEnd(end)) = decode(&end) {
            take(&mut pipeline, established(end));
        }
        if socket.is_multiple_of(A_FLUSH) {
            let batch = pipeline.flush(clock, false);
            recorder.record(period, &batch).unwrap();
        }
    }
    drop(pipeline.flush(clock, false));
    let what = "resident with 100 000 live connections, store included, MB";
    line(what, &format!("{:.1}", megabytes("VmRSS")), "below 30");
    line(
        "  at most until then, MB",
        &format!("{:.1}", megabytes("VmHWM")),
        "",
    );
    // Kept until here.
    drop(pipeline);
}
