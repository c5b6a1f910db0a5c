//! Packets that carry names, as the kernel side hands them to the pipeline.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is missing"
)]

use egress_baseline::{
    model::{
        Batch, Connect, Endpoint, KernelEvent, LossCause, NameSource, Payload, PayloadKind,
        ProcessKey, Sender,
    },
    pipeline::{Pipeline, ProcessFacts},
};

use crate::{
    support_names::{A, address_record, answer, query},
    support_replay::{SECOND, SHELL, clock, connect, image, remote, sender, take},
};

/// Another process of another program.
pub(crate) const OTHER: ProcessKey = ProcessKey {
    pid: 43,
    started_boot_ns: SECOND,
    exec_id: 1,
};

/// Another process of the shell's program.
pub(crate) const SIBLING: ProcessKey = ProcessKey {
    pid: 44,
    started_boot_ns: SECOND,
    exec_id: 1,
};

/// Where `connect` goes.
pub(crate) const PLACE: &str = "198.51.100.7";

/// The socket that questions are sent through.
pub(crate) const ASKING: u64 = 0x53;

/// A pipeline that knows all three processes.
pub(crate) fn pipeline() -> Pipeline {
    let mut pipeline = crate::support_replay::pipeline();
    for (key, exe) in [
        (OTHER, b"/usr/bin/pull".as_slice()),
        (SIBLING, b"/usr/bin/push"),
    ] {
        take(
            &mut pipeline,
            KernelEvent::Process(Box::new(image(key, exe))),
        );
    }
    pipeline
}

pub(crate) fn of(process: ProcessKey) -> Sender {
    Sender {
        process,
        ..sender()
    }
}

/// A connect of that process.
pub(crate) fn connect_of(process: ProcessKey, socket: u64, second: u64) -> Connect {
    Connect {
        sender: of(process),
        ..connect(socket, second)
    }
}

/// A packet of that process's socket to or from its resolver.
pub(crate) fn dns(process: ProcessKey, is_received: bool, bytes: Vec<u8>) -> Payload {
    Payload {
        kind: PayloadKind::Dns,
        at_boot_ns: 100 * SECOND,
        socket: ASKING + u64::from(process.pid) * 256,
        process,
        remote: remote("192.0.2.53", 53, 17),
        local_port: 40_000,
        is_received,
        is_cut: false,
        sequence: 0,
        bytes,
    }
}

/// An answer with one address.
pub(crate) fn answered(id: u16, name: &str, address: &str) -> Vec<u8> {
    answer(id, name, A, &[address_record(name, address)])
}

pub(crate) fn give(pipeline: &mut Pipeline, payload: Payload) {
    take(pipeline, KernelEvent::Payload(payload));
}

/// A process asks for a name and is told an address.
pub(crate) fn resolve(pipeline: &mut Pipeline, process: ProcessKey, name: &str, address: &str) {
    give(pipeline, dns(process, false, query(7, name, A)));
    give(pipeline, dns(process, true, answered(7, name, address)));
}

/// A piece of what a connection of the shell opens with, from that byte on.
pub(crate) fn opening(socket: u64, sequence: u32, bytes: &[u8]) -> Payload {
    Payload {
        kind: PayloadKind::Opening,
        socket,
        remote: remote(PLACE, 443, 6),
        sequence,
        ..dns(SHELL, false, bytes.to_vec())
    }
}

/// The same, second by second later than the other packets.
pub(crate) fn take_at(pipeline: &mut Pipeline, event: KernelEvent, second: u64) {
    pipeline.take(event, clock(second), ProcessFacts::default());
}

/// Process, name and source of each flow.
pub(crate) fn names(batch: &Batch) -> Vec<(u32, Option<(&str, NameSource)>)> {
    batch
        .flows
        .iter()
        .map(|record| {
            let pid = record.process.as_ref().unwrap().key.unwrap().pid;
            let name = record.flow.name.as_ref();
            (pid, name.map(|name| (name.text.as_str(), name.source)))
        })
        .collect()
}

/// The only flow's name and source.
pub(crate) fn name(batch: &Batch) -> Option<(&str, NameSource)> {
    let names = names(batch);
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].1
}

/// How many names could not be read.
pub(crate) fn unread(batch: &Batch) -> u64 {
    let of_cause = |loss: &&egress_baseline::model::Loss| loss.cause == LossCause::NamesUnread;
    batch
        .losses
        .iter()
        .filter(of_cause)
        .map(|loss| loss.count)
        .sum()
}

/// The place that QUIC is spoken to.
pub(crate) fn quic_place() -> Endpoint {
    remote("198.51.100.9", 443, 17)
}
