//! A host whose time of day can be set and that can be suspended, and what happens on it.
#![expect(clippy::unwrap_used, reason = "numbers of these tests fit")]

use egress_baseline::{
    model::{
        BootClock, CgroupSeen, Connect, ConnectionEnd, ConnectionId, DatagramCount, Endpoint,
        KernelEvent, ProcessImage, ProcessKey, Sender, Timestamp,
    },
    pipeline::{Pipeline, ProcessFacts, Scope},
};

pub(crate) const SECOND: u64 = 1_000_000_000;
/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_348_800_000_000_000;

const PROCESS: ProcessKey = ProcessKey {
    pid: 42,
    started_boot_ns: SECOND,
    exec_id: 3,
};

/// The clock of a host that has been up for `up` seconds and was booted `shift` seconds after noon,
/// as its time of day has it now.
pub(crate) fn clock(up: u64, shift: i64) -> BootClock {
    let seconds = i64::try_from(up).unwrap() + shift;
    BootClock::new(
        up * SECOND,
        Timestamp::from_unix_ns(NOON + seconds * i64::try_from(SECOND).unwrap()),
    )
}

/// A pipeline that begins at noon and knows one process.
pub(crate) fn pipeline() -> Pipeline {
    let scope = Scope {
        host: "gate".to_owned(),
        ..Scope::default()
    };
    let mut pipeline = Pipeline::new(scope, clock(0, 0).now());
    let cgroup = CgroupSeen {
        id: 7,
        path: b"/system.slice/backup.service".to_vec(),
    };
    let image = ProcessImage {
        key: PROCESS,
        exe: b"/usr/bin/push".to_vec(),
        cgroup_id: 7,
        ..ProcessImage::default()
    };
    for event in [
        KernelEvent::Cgroup(cgroup),
        KernelEvent::Process(Box::new(image)),
    ] {
        pipeline.take(event, clock(1, 0), ProcessFacts::default());
    }
    // The next interval begins with the first event of a test.
    pipeline.flush(clock(1, 0), false);
    pipeline
}

pub(crate) fn take(pipeline: &mut Pipeline, event: KernelEvent, clock: BootClock) {
    pipeline.take(event, clock, ProcessFacts::default());
}

pub(crate) fn sender_of(pid: u32) -> Sender {
    Sender {
        process: ProcessKey { pid, ..PROCESS },
        uid: 1000,
        cgroup_id: 7,
        socket_uid: 1000,
        socket_cgroup_id: 7,
        network_namespace: 4_026_531_840,
    }
}

/// A connect of the known process that began when the host had been up for `up` seconds.
pub(crate) fn connect(socket: u64, up: u64) -> Connect {
    Connect {
        id: ConnectionId {
            socket,
            started_boot_ns: up * SECOND,
        },
        sender: sender_of(PROCESS.pid),
        remote: Endpoint {
            address: Some("198.51.100.7".parse().unwrap()),
            port: 443,
            protocol: Some(6),
        },
        is_followed: true,
        was_open: false,
    }
}

/// It ended, established, with 300 bytes.
pub(crate) fn end(connect: &Connect, up: u64) -> ConnectionEnd {
    ConnectionEnd {
        connect: connect.clone(),
        at_boot_ns: up * SECOND,
        was_sent: true,
        is_established: true,
        is_over: true,
        is_local: false,
        errno: 0,
        source_port: 40_000,
        bytes_out: 300,
        bytes_in: 0,
    }
}

/// Ten datagrams of the known process to `port`, of 48 bytes each.
pub(crate) fn datagrams(port: u16, first_up: u64, last_up: u64) -> DatagramCount {
    DatagramCount {
        sender: sender_of(PROCESS.pid),
        remote: Endpoint {
            address: Some("198.51.100.9".parse().unwrap()),
            port,
            protocol: Some(17),
        },
        errno: 0,
        begun: 0,
        sent: 10,
        bytes: 480,
        source_port: 123,
        may_be_reply: false,
        first_boot_ns: first_up * SECOND,
        last_boot_ns: last_up * SECOND,
    }
}
