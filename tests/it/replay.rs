//! Streams of kernel events through the pipeline, without a kernel.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is missing"
)]

use std::{collections::BTreeMap, net::IpAddr};

use egress_baseline::{
    model::{
        Batch, BootClock, CgroupSeen, Connect, ConnectionEnd, ConnectionId, DatagramCount,
        Endpoint, FlowRecord, ImageFlags, KernelEvent, LossCause, Outcome, ProcessImage,
        ProcessKey, Sender, Timestamp,
    },
    pipeline::{Pipeline, ProcessFacts, Scope},
};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

pub(crate) const SECOND: u64 = 1_000_000_000;
const BOOT: i64 = 1_795_000_000_000_000_000;
const NETWORK: u32 = 4_026_531_840;
const SHELL: ProcessKey = ProcessKey {
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

fn pipeline_of(scope: Scope) -> Pipeline {
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

fn image(key: ProcessKey, exe: &[u8]) -> ProcessImage {
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

fn sender() -> Sender {
    Sender {
        process: SHELL,
        uid: 1000,
        cgroup_id: 7,
        socket_uid: 1000,
        socket_cgroup_id: 7,
        network_namespace: NETWORK,
    }
}

fn remote(address: &str, port: u16, protocol: u8) -> Endpoint {
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

fn datagrams(begun: u64, sent: u64) -> DatagramCount {
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

#[test]
fn a_connection_within_one_interval_is_one_row_with_bytes_and_duration() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let end = ConnectionEnd {
        is_established: true,
        is_over: true,
        bytes_out: 300,
        bytes_in: 5_000,
        ..look(&connect, 14)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(end));
    let batch = pipeline.flush(clock(100), false);
    assert_eq!(rows(&batch), [(Outcome::Established, 1, Some(300))]);
    let record = &batch.flows[0];
    assert_eq!(record.flow.bytes_in, Some(5_000));
    assert_eq!(record.flow.duration.unwrap().as_secs(), 4);
    assert_eq!(record.flow.source_port, Some(40_000));
    assert_eq!(record.flow.start, clock(10).now());
    assert_eq!(record.flow.end, Some(clock(14).now()));
    assert_eq!(
        record.identity.application.to_string(),
        "unit:backup.service /usr/bin/push"
    );
    let process = record.process.as_deref().unwrap();
    assert_eq!(process.pid, Some(42));
    assert_eq!(
        process.cmdline.as_deref(),
        Some("/usr/bin/push --token '[redacted]'")
    );
    assert!(pipeline.flush(clock(110), false).flows.is_empty());
}

#[test]
fn an_unanswered_connect_is_pending_until_it_is_refused() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(look(&connect, 15)),
    );
    let first = pipeline.flush(clock(100), false);
    assert_eq!(rows(&first), [(Outcome::Pending, 1, None)]);
    let ticket = first.flows[0].ticket.unwrap();
    assert!(pipeline.flush(clock(110), false).flows.is_empty());
    let refused = ConnectionEnd {
        is_over: true,
        errno: 111,
        ..look(&connect, 112)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(refused));
    let later = pipeline.flush(clock(120), false);
    assert_eq!(rows(&later), [(Outcome::Refused, 1, Some(0))]);
    assert_eq!(later.flows[0].settles, Some(ticket));
    assert_eq!(later.flows[0].flow.errno, Some(111));
}

#[test]
fn a_connection_that_stays_open_is_established_at_once_and_its_bytes_follow() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let open = ConnectionEnd {
        is_established: true,
        ..look(&connect, 11)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(open.clone()));
    assert_eq!(
        rows(&pipeline.flush(clock(100), false)),
        [(Outcome::Established, 1, None)]
    );
    let end = ConnectionEnd {
        is_over: true,
        bytes_out: 9,
        at_boot_ns: 150 * SECOND,
        ..open
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(end));
    assert_eq!(
        rows(&pipeline.flush(clock(200), false)),
        [(Outcome::Established, 0, Some(9))]
    );
}

#[test]
fn outcomes_follow_what_the_kernel_said() {
    let cases = [
        (true, 0, Outcome::TimedOut),
        (false, 0, Outcome::Failed),
        (false, 101, Outcome::Unreachable),
        (false, 13, Outcome::Denied),
        (true, 110, Outcome::TimedOut),
        (false, 22, Outcome::Failed),
    ];
    for (was_sent, errno, outcome) in cases {
        let mut pipeline = pipeline();
        let connect = connect(1, 10);
        take(&mut pipeline, KernelEvent::Connect(connect.clone()));
        let end = ConnectionEnd {
            is_over: true,
            was_sent,
            errno,
            ..look(&connect, 11)
        };
        take(&mut pipeline, KernelEvent::ConnectionEnd(end));
        let batch = pipeline.flush(clock(100), false);
        assert_eq!(batch.flows[0].flow.outcome, outcome, "errno {errno}");
        assert_eq!(batch.flows[0].flow.errno, (errno != 0).then_some(errno));
    }
}

#[test]
fn a_connect_that_never_left_has_failed_after_a_second_though_its_socket_lives() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let look = ConnectionEnd {
        was_sent: false,
        ..look(&connect, 12)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(look.clone()));
    assert_eq!(
        rows(&pipeline.flush(clock(100), false)),
        [(Outcome::Failed, 1, None)]
    );
    // The socket is released later; the attempt must not count twice.
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(ConnectionEnd {
            is_over: true,
            ..look
        }),
    );
    assert!(pipeline.flush(clock(110), true).flows.is_empty());
}

#[test]
fn what_turned_out_to_stay_on_the_host_is_taken_back() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let ticket = pipeline.flush(clock(100), false).flows[0].ticket.unwrap();
    let end = ConnectionEnd {
        is_over: true,
        is_local: true,
        ..look(&connect, 101)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(end));
    let batch = pipeline.flush(clock(110), false);
    assert!(batch.flows.is_empty());
    assert_eq!(batch.retracted, [ticket]);
}

#[test]
fn the_end_of_a_connect_whose_record_was_lost_says_it_all() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    let end = ConnectionEnd {
        is_over: true,
        is_established: true,
        bytes_out: 77,
        ..look(&connect, 12)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(end));
    let batch = pipeline.flush(clock(100), false);
    assert_eq!(rows(&batch), [(Outcome::Established, 1, Some(77))]);
    assert_eq!(batch.flows[0].flow.start, clock(10).now());
}

#[test]
fn a_socket_that_connects_again_leaves_no_attempt_out() {
    let mut pipeline = pipeline();
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    let second = connect(1, 20);
    take(&mut pipeline, KernelEvent::Connect(second.clone()));
    let end = ConnectionEnd {
        is_over: true,
        is_established: true,
        ..look(&second, 21)
    };
    take(&mut pipeline, KernelEvent::ConnectionEnd(end));
    let mut outcomes = rows(&pipeline.flush(clock(100), true));
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [
            (Outcome::Established, 1, Some(0)),
            (Outcome::Unknown, 1, None)
        ]
    );
}

#[test]
fn a_datagram_whose_packet_comes_with_the_next_drain_is_not_a_refused_one() {
    let mut pipeline = pipeline();
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(1, 0)));
    pipeline.drained();
    assert!(pipeline.flush(clock(100), false).flows.is_empty());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    pipeline.drained();
    pipeline.drained();
    assert_eq!(
        rows(&pipeline.flush(clock(110), false)),
        [(Outcome::Sent, 1, Some(48))]
    );
    assert!(pipeline.flush(clock(120), true).flows.is_empty());
}

#[test]
fn calls_without_a_packet_were_refused() {
    let mut pipeline = pipeline();
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(5, 3)));
    pipeline.drained();
    pipeline.drained();
    let mut outcomes = rows(&pipeline.flush(clock(100), false));
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [(Outcome::Sent, 3, Some(144)), (Outcome::Failed, 2, None)]
    );
}

#[test]
fn refused_datagrams_are_taken_from_those_that_were_counted_as_sent() {
    let mut pipeline = pipeline();
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 5)));
    let refused = DatagramCount {
        errno: 101,
        bytes: 96,
        ..datagrams(2, 0)
    };
    take(&mut pipeline, KernelEvent::Datagrams(refused));
    let mut outcomes = rows(&pipeline.flush(clock(100), false));
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [
            (Outcome::Unreachable, 2, None),
            (Outcome::Sent, 3, Some(144))
        ]
    );
    // A refusal that comes after the flush of its attempt must not add one.
    let late = DatagramCount {
        errno: 101,
        bytes: 48,
        ..datagrams(1, 0)
    };
    take(&mut pipeline, KernelEvent::Datagrams(late));
    assert!(pipeline.flush(clock(110), false).flows.is_empty());
}

#[test]
fn pages_that_follow_their_datagram_into_another_drain_add_bytes_and_no_attempt() {
    let mut pipeline = pipeline();
    let page = DatagramCount {
        bytes: 4_096,
        ..datagrams(0, 0)
    };
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    take(&mut pipeline, KernelEvent::Datagrams(page.clone()));
    let together = rows(&pipeline.flush(clock(100), false));
    assert_eq!(together, [(Outcome::Sent, 1, Some(48 + 4_096))]);
    take(&mut pipeline, KernelEvent::Datagrams(page));
    let later = rows(&pipeline.flush(clock(110), false));
    assert_eq!(later, [(Outcome::Sent, 0, Some(4_096))]);
}

#[test]
fn flows_to_addresses_of_the_own_namespace_are_no_egress_unless_asked_for() {
    for (include_loopback, expected) in [(false, 0), (true, 2)] {
        let mut pipeline = pipeline_of(Scope {
            include_loopback,
            ..Scope::default()
        });
        let own = ["198.51.100.7", "198.51.100.9"].map(|address| address.parse().unwrap());
        pipeline.set_own_addresses(NETWORK, own.into_iter().collect());
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
        assert_eq!(pipeline.flush(clock(100), true).flows.len(), expected);
    }
}

#[test]
fn another_namespace_having_the_address_makes_it_egress() {
    let mut pipeline = pipeline();
    let own = "198.51.100.9".parse().unwrap();
    pipeline.set_own_addresses(NETWORK + 1, [own].into_iter().collect());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    assert_eq!(pipeline.flush(clock(100), true).flows.len(), 1);
}

#[test]
fn one_process_under_two_users_and_in_two_cgroups_is_kept_apart() {
    let mut pipeline = pipeline();
    let cgroup = CgroupSeen {
        id: 8,
        path: b"/system.slice/other.service".to_vec(),
    };
    take(&mut pipeline, KernelEvent::Cgroup(cgroup));
    pipeline.set_accounts(BTreeMap::from([(33, "www-data".to_owned())]));
    let count = datagrams(0, 1);
    for (uid, cgroup_id) in [(1000, 7), (33, 7), (33, 8)] {
        let sender = Sender {
            uid,
            cgroup_id,
            ..count.sender
        };
        take(
            &mut pipeline,
            KernelEvent::Datagrams(DatagramCount {
                sender,
                ..count.clone()
            }),
        );
    }
    let batch = pipeline.flush(clock(100), true);
    let mut makers: Vec<_> = batch
        .flows
        .iter()
        .map(|record| {
            let identity = &record.identity;
            let user = identity.raw.user.as_deref().unwrap_or("-").to_owned();
            (identity.application.context.to_string(), user)
        })
        .collect();
    makers.sort();
    let expected = [
        ("unit:backup.service", "-"),
        ("unit:backup.service", "www-data"),
        ("unit:other.service", "www-data"),
    ];
    assert_eq!(
        makers,
        expected.map(|(context, user)| (context.to_owned(), user.to_owned()))
    );
}

#[test]
fn a_flow_of_a_process_that_was_not_reported_is_kept_and_counted() {
    let mut pipeline = Pipeline::new(Scope::default(), clock(0).now());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 4)));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(rows(&batch), [(Outcome::Sent, 4, Some(192))]);
    assert_eq!(batch.flows[0].identity.application.program, "(no process)");
    assert_eq!(batch.losses.len(), 1);
    assert_eq!(
        (batch.losses[0].cause, batch.losses[0].count),
        (LossCause::ProcessUnknown, 4)
    );
    assert_eq!(batch.losses[0].until, clock(100).now());
}

#[test]
fn a_contact_is_news_once_however_many_processes_repeat_it() {
    let mut pipeline = pipeline();
    assert!(!pipeline.has_news());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    assert!(pipeline.has_news());
    pipeline.flush(clock(100), false);
    assert!(!pipeline.has_news());
    let key = ProcessKey { pid: 77, ..SHELL };
    take(
        &mut pipeline,
        KernelEvent::Process(Box::new(image(key, b"/usr/bin/push"))),
    );
    let sender = Sender {
        process: key,
        ..sender()
    };
    take(
        &mut pipeline,
        KernelEvent::Datagrams(DatagramCount {
            sender,
            ..datagrams(0, 1)
        }),
    );
    assert!(!pipeline.has_news());
    let elsewhere = remote("198.51.100.10", 123, 17);
    let count = DatagramCount {
        remote: elsewhere,
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    assert!(pipeline.has_news());
}

#[test]
fn the_kernels_own_packets_belong_to_no_process() {
    let mut pipeline = pipeline();
    let count = DatagramCount {
        sender: Sender {
            process: ProcessKey::default(),
            ..sender()
        },
        remote: Endpoint {
            port: 0,
            ..remote("198.51.100.9", 0, 1)
        },
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        batch.flows[0].identity.application.to_string(),
        "kernel kernel:icmp"
    );
    assert!(batch.flows[0].process.is_none());
    assert!(batch.losses.is_empty());
}

#[test]
fn the_kernels_icmp_is_one_application_for_both_families() {
    let mut pipeline = pipeline();
    let count = DatagramCount {
        sender: Sender {
            process: ProcessKey::default(),
            ..sender()
        },
        remote: remote("ff02::16", 0, 58),
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        batch.flows[0].identity.application.to_string(),
        "kernel kernel:icmp"
    );
}

#[test]
fn numbers_of_kernel_workers_make_no_applications() {
    let mut names = Vec::new();
    for (pid, comm) in [
        (50, "kworker/u8:3"),
        (51, "kworker/0:1H"),
        (52, "nfsv4.1-svc"),
    ] {
        let mut pipeline = pipeline();
        let key = ProcessKey { pid, ..SHELL };
        let flags = ImageFlags {
            kernel_thread: true,
            ..ImageFlags::default()
        };
        let image = ProcessImage {
            comm: comm.into(),
            flags,
            ..image(key, b"")
        };
        take(&mut pipeline, KernelEvent::Process(Box::new(image)));
        let sender = Sender {
            process: key,
            ..sender()
        };
        let count = DatagramCount {
            sender,
            ..datagrams(0, 1)
        };
        take(&mut pipeline, KernelEvent::Datagrams(count));
        names.push(
            pipeline.flush(clock(100), true).flows[0]
                .identity
                .application
                .to_string(),
        );
    }
    let expected = [
        "kernel kernel:kworker",
        "kernel kernel:kworker",
        "kernel kernel:nfsv4.1-svc",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_recorded_event_survives_being_written_and_read() {
    let events = [
        KernelEvent::Process(Box::new(image(SHELL, b"/tmp/\xff\n"))),
        KernelEvent::ConnectionEnd(look(&connect(1, 2), 3)),
        KernelEvent::Datagrams(datagrams(1, 2)),
    ];
    for event in events {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<KernelEvent>(&line).unwrap(), event);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Connect(u64),
    Look(u64, bool),
    End(u64, bool, i32),
    Forget(u64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let errno = prop_oneof![Just(0), Just(111), Just(113)];
    prop_oneof![
        (0..4u64).prop_map(Step::Connect),
        (0..4u64, any::<bool>()).prop_map(|(socket, is_open)| Step::Look(socket, is_open)),
        (0..4u64, any::<bool>(), errno).prop_map(|(socket, open, no)| Step::End(socket, open, no)),
        (0..4u64).prop_map(Step::Forget),
        Just(Step::Flush),
    ]
}

proptest! {
    /// Whatever happens in whatever order, a connect is one attempt: not none, not two.
    #[test]
    fn every_connect_is_counted_once(steps in proptest::collection::vec(step(), 0..60)) {
        let mut pipeline = pipeline();
        let mut open: BTreeMap<u64, Connect> = BTreeMap::new();
        let mut connects = 0u64;
        let mut counted = 0u64;
        let mut tickets = std::collections::BTreeSet::new();
        let mut count = |batch: &Batch| {
            for record in &batch.flows {
                match record.settles {
                    Some(ticket) => assert!(tickets.remove(&ticket), "settled twice"),
                    None => counted += record.flow.attempts,
                }
                if let Some(ticket) = record.ticket {
                    assert!(tickets.insert(ticket), "a ticket was given twice");
                }
            }
        };
        for (at, step) in steps.into_iter().enumerate() {
            let second = 10 + at as u64;
            match step {
                Step::Connect(socket) => {
                    let connect = connect(socket, second);
                    open.insert(socket, connect.clone());
                    connects += 1;
                    take(&mut pipeline, KernelEvent::Connect(connect));
                }
                Step::Look(socket, is_established) => {
                    if let Some(connect) = open.get(&socket) {
                        let look = ConnectionEnd { is_established, ..look(connect, second) };
                        take(&mut pipeline, KernelEvent::ConnectionEnd(look));
                    }
                }
                Step::End(socket, is_established, errno) => {
                    if let Some(connect) = open.remove(&socket) {
                        let end = ConnectionEnd {
                            is_over: true,
                            is_established,
                            errno,
                            ..look(&connect, second)
                        };
                        take(&mut pipeline, KernelEvent::ConnectionEnd(end));
                    }
                }
                Step::Forget(socket) => {
                    if let Some(connect) = open.remove(&socket) {
                        pipeline.lost_track_of(&connect, clock(second));
                    }
                }
                Step::Flush => count(&pipeline.flush(clock(second), false)),
            }
        }
        count(&pipeline.flush(clock(200), true));
        assert_eq!(counted, connects);
    }
}
