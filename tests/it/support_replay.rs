//! What streams of kernel events are made of.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is missing"
)]

use std::net::IpAddr;

use egress_baseline::{
    model::{
        Batch, BootClock, CgroupSeen, Connect, ConnectionEnd, ConnectionId, DatagramCount,
        Endpoint, FlowRecord, KernelEvent, Outcome, ProcessImage, ProcessKey, Sender, Timestamp,
    },
    pipeline::{Pipeline, ProcessFacts, Scope},
};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const BOOT: i64 = 1_795_000_000_000_000_000;
pub(crate) const NETWORK: u32 = 4_026_531_840;
pub(crate) const SHELL: ProcessKey = ProcessKey {
    pid: 42,
    started_boot_ns: SECOND,
    exec_id: 3,
};

/// The clock of a host that was booted at `BOOT`.
pub(crate) fn clock(seconds: u64) -> BootClock {
    let now = Timestamp::from_unix_ns(BOOT + i64::try_from(seconds * SECOND).unwrap());
    BootClock::new(seconds * SECOND, now)
}

pub(crate) fn pipeline() -> Pipeline {
    pipeline_of(Scope {
        host: "gate".to_owned(),
        ..Scope::default()
    })
}

pub(crate) fn pipeline_of(scope: Scope) -> Pipeline {
    let mut pipeline = Pipeline::new(scope, clock(0).now());
    let cgroup = CgroupSeen {
        id: 7,
        path: b"/system.slice/backup.service".to_vec(),
    };
    take(&mut pipeline, KernelEvent::Cgroup(cgroup));
    take(
        &mut pipeline,
        KernelEvent::Process(Box::new(image(SHELL, b"/usr/bin/push"))),
    );
    pipeline
}

pub(crate) fn image(key: ProcessKey, exe: &[u8]) -> ProcessImage {
    ProcessImage {
        key,
        exe: exe.to_vec(),
        cgroup_id: 7,
        login_uid: u32::MAX,
        audit_session: u32::MAX,
        argv: vec![exe.to_vec(), b"--token".to_vec(), b"hunter2".to_vec()],
        ..ProcessImage::default()
    }
}

pub(crate) fn take(pipeline: &mut Pipeline, event: KernelEvent) {
    pipeline.take(event, clock(100), ProcessFacts::default());
}

pub(crate) fn sender() -> Sender {
    Sender {
        process: SHELL,
        uid: 1000,
        cgroup_id: 7,
        socket_uid: 1000,
        socket_cgroup_id: 7,
        network_namespace: NETWORK,
    }
}

pub(crate) fn remote(address: &str, port: u16, protocol: u8) -> Endpoint {
    let address: IpAddr = address.parse().unwrap();
    Endpoint {
        address: Some(address),
        port,
        protocol: Some(protocol),
    }
}

pub(crate) fn connect(socket: u64, second: u64) -> Connect {
    Connect {
        id: ConnectionId {
            socket,
            started_boot_ns: second * SECOND,
        },
        sender: sender(),
        remote: remote("198.51.100.7", 443, 6),
        is_followed: true,
        was_open: false,
    }
}

/// A look at a connection that a SYN was sent for.
pub(crate) fn look(connect: &Connect, second: u64) -> ConnectionEnd {
    ConnectionEnd {
        connect: connect.clone(),
        at_boot_ns: second * SECOND,
        was_sent: true,
        is_established: false,
        is_over: false,
        is_local: false,
        errno: 0,
        source_port: 40_000,
        bytes_out: 0,
        bytes_in: 0,
    }
}

pub(crate) fn datagrams(begun: u64, sent: u64) -> DatagramCount {
    DatagramCount {
        sender: sender(),
        remote: remote("198.51.100.9", 123, 17),
        errno: 0,
        begun,
        sent,
        bytes: sent * 48,
        source_port: 123,
        may_be_reply: false,
        first_boot_ns: 10 * SECOND,
        last_boot_ns: 11 * SECOND,
    }
}

pub(crate) fn rows(batch: &Batch) -> Vec<(Outcome, u64, Option<u64>)> {
    let row = |record: &FlowRecord| {
        (
            record.flow.outcome,
            record.flow.attempts,
            record.flow.bytes_out,
        )
    };
    batch.flows.iter().map(row).collect()
}
