//! Streams of kernel events through the pipeline, without a kernel.

use std::collections::BTreeMap;

use egress_baseline::model::{Batch, Connect, ConnectionEnd, KernelEvent, Outcome};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::support_replay::{
    SECOND, SHELL, clock, connect, datagrams, image, look, pipeline, rows, take,
};

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
