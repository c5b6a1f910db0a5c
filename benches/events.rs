//! Kernel events a second through decoding and coalescing, on one core.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use egress_baseline::{
    capture::{
        decode,
        sample::{connect_record, connection_end_record, process_record},
    },
    model::{BootClock, DatagramCount, Endpoint, KernelEvent, ProcessKey, Sender, Timestamp},
    pipeline::{Pipeline, ProcessFacts, Scope},
};
use support::{Dice, START, grouped, head, line, measure, median, rate};

const PROCESSES: u32 = 2_000;
const DESTINATIONS: usize = 20_000;
const CONNECTS: usize = 100_000;

/// Two records a connection, in the order of a busy host: a thousand are open at a time.
fn records() -> Vec<Vec<u8>> {
    let mut dice = Dice::new();
    let mut records: Vec<Vec<u8>> = (0..PROCESSES).map(|pid| process_record(pid + 1)).collect();
    let mut open = std::collections::VecDeque::new();
    for socket in 0..CONNECTS as u64 {
        let pid = 1 + u32::try_from(dice.below(PROCESSES as usize)).unwrap();
        let to = u32::try_from(dice.below(DESTINATIONS)).unwrap();
        let address = (0xcb00_0000 | to).to_be_bytes();
        records.push(connect_record(pid, socket + 1, address, 443));
        open.push_back((pid, socket + 1, address));
        if open.len() > 1_000 {
            let (pid, socket, address) = open.pop_front().unwrap();
            records.push(connection_end_record(pid, socket, address, 443));
        }
    }
    for (pid, socket, address) in open {
        records.push(connection_end_record(pid, socket, address, 443));
    }
    records
}

/// Counts of datagrams, as a drain of the kernel's tables yields them.
fn counts() -> Vec<KernelEvent> {
    let mut dice = Dice::new();
    (0..CONNECTS)
        .map(|_| {
            let pid = 1 + u32::try_from(dice.below(PROCESSES as usize)).unwrap();
            KernelEvent::Datagrams(DatagramCount {
                sent: 3,
                bytes: 300,
                source_port: 40_000,
                ..count_of(pid, dice.below(DESTINATIONS))
            })
        })
        .collect()
}

fn count_of(pid: u32, destination: usize) -> DatagramCount {
    let count = serde_json::json!({
        "sender": sender(pid),
        "remote": Endpoint {
            address: Some(support::address(destination)),
            port: 53,
            protocol: Some(17),
        },
        "errno": 0, "begun": 0, "sent": 0, "bytes": 0, "source_port": 0,
        "first_boot_ns": 100_000_000_000_u64, "last_boot_ns": 100_500_000_000_u64,
    });
    serde_json::from_value(count).unwrap()
}

fn sender(pid: u32) -> Sender {
    Sender {
        process: ProcessKey {
            pid,
            started_boot_ns: 1_000_000_000 + u64::from(pid),
            exec_id: 1,
        },
        uid: 33,
        cgroup_id: 4_242,
        socket_uid: 33,
        socket_cgroup_id: 4_242,
        network_namespace: 4_026_531_840,
    }
}

fn clock() -> BootClock {
    BootClock::new(200_000_000_000, Timestamp::from_unix_ns(START))
}

fn pipeline() -> Pipeline {
    let scope = Scope {
        host: "web-1".to_owned(),
        boot_id: Some("6e7a2a4e-4b1c-4f6e-8f5b-0d8c4b2f1a3e".to_owned()),
        full_command_lines: false,
        include_loopback: false,
    };
    Pipeline::new(scope, Timestamp::from_unix_ns(START))
}

fn decode_all(records: &[Vec<u8>]) -> Vec<KernelEvent> {
    records
        .iter()
        .map(|record| decode(record).unwrap())
        .collect()
}

fn main() {
    head("EVENTS");
    let records = records();
    let (processes, connections) = records.split_at(PROCESSES as usize);

    let times = measure(15, || {
        assert_eq!(decode_all(connections).len(), connections.len());
    });
    let decoded = rate(connections.len(), median(&times));
    line(
        "records of connections decoded a second",
        &grouped(decoded),
        "",
    );

    let times = measure(15, || {
        assert_eq!(decode_all(processes).len(), processes.len());
    });
    let decoded = rate(processes.len(), median(&times));
    line(
        "records of processes decoded a second",
        &grouped(decoded),
        "",
    );

    let mut pipeline = pipeline();
    let take = |pipeline: &mut Pipeline, events: Vec<KernelEvent>| {
        for event in events {
            pipeline.take(event, clock(), ProcessFacts::default());
        }
    };
    take(&mut pipeline, decode_all(processes));
    let mut flows = 0;
    let times = measure(15, || {
        take(&mut pipeline, decode_all(connections));
        flows = pipeline.flush(clock(), false).flows.len();
    });
    let both = rate(connections.len(), median(&times));
    let what = "connection events a second, decoded, coalesced, flushed";
    line(what, &grouped(both), "at least 500 000");
    let count = u32::try_from(flows).unwrap();
    line("  flows that they came to", &grouped(f64::from(count)), "");

    let counts = counts();
    let times = measure(15, || {
        take(&mut pipeline, counts.clone());
        flows = pipeline.flush(clock(), false).flows.len();
    });
    let what = "datagram counts a second, coalesced, flushed";
    line(
        what,
        &grouped(rate(counts.len(), median(&times))),
        "at least 500 000",
    );

    // Every flow is of a new process: nothing is known of anybody.
    let times = measure(5, || {
        let mut pipeline = self::pipeline();
        take(&mut pipeline, decode_all(processes));
        pipeline.flush(clock(), false);
    });
    let what = "process events a second, decoded and redacted";
    line(what, &grouped(rate(processes.len(), median(&times))), "");
}
