//! Connections that are open for long, or were open before anybody looked.
use std::collections::BTreeSet;

use egress_baseline::{
    model::{
        Batch, BootClock, Carried, Connect, ConnectionEnd, KernelEvent, LossCause, OpenConnection,
        Outcome,
    },
    pipeline::{Pipeline, ProcessFacts},
};
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

use crate::support_replay::{SECOND, clock, connect, look, pipeline, rows, take};

const DAY: u64 = 86_400;

fn established(connect: &Connect, second: u64) -> KernelEvent {
    KernelEvent::ConnectionEnd(ConnectionEnd {
        is_established: true,
        ..look(connect, second)
    })
}

fn carried(connect: &Connect, second: u64, bytes_out: u64, bytes_in: u64) -> KernelEvent {
    KernelEvent::Carried(Carried {
        id: connect.id,
        at_boot_ns: second * SECOND,
        bytes_out,
        bytes_in,
    })
}

fn ended(connect: &Connect, second: u64, bytes_out: u64, bytes_in: u64) -> KernelEvent {
    KernelEvent::ConnectionEnd(ConnectionEnd {
        is_established: true,
        is_over: true,
        bytes_out,
        bytes_in,
        ..look(connect, second)
    })
}

/// A connection that had carried 1,000 and 2,000 bytes when it was found.
fn found(socket: u64, is_established: bool) -> (Connect, KernelEvent) {
    let connect = Connect {
        was_open: true,
        ..connect(socket, 10)
    };
    let open = OpenConnection {
        connect: connect.clone(),
        is_established,
        source_port: 40_000,
        bytes_out: 1_000,
        bytes_in: 2_000,
    };
    (connect, KernelEvent::OpenConnection(open))
}

fn at(pipeline: &mut Pipeline, event: KernelEvent, now: BootClock) {
    pipeline.take(event, now, ProcessFacts::default());
}

#[test]
fn a_connection_that_was_open_is_no_attempt_and_tells_what_it_carried_since() {
    let mut pipeline = pipeline();
    let (connect, event) = found(1, true);
    take(&mut pipeline, event);
    assert!(pipeline.has_news());
    let first = pipeline.flush(clock(20), false);
    assert_eq!(rows(&first), [(Outcome::Established, 0, None)]);
    assert_eq!(first.flows[0].flow.start, clock(10).now());
    assert_eq!(first.flows[0].flow.source_port, Some(40_000));
    take(&mut pipeline, carried(&connect, 25, 1_300, 2_000));
    let second = pipeline.flush(clock(30), false);
    assert_eq!(rows(&second), [(Outcome::Established, 0, Some(300))]);
    assert_eq!(second.flows[0].flow.bytes_in, Some(0));
    take(&mut pipeline, ended(&connect, 35, 1_350, 2_600));
    let last = pipeline.flush(clock(40), false);
    assert_eq!(rows(&last), [(Outcome::Established, 0, Some(50))]);
    assert_eq!(last.flows[0].flow.bytes_in, Some(600));
    // Since when it was open, nobody saw.
    assert_eq!(last.flows[0].flow.duration, None);
    assert!(last.losses.is_empty());
}

#[test]
fn a_connect_that_waits_when_it_is_found_is_told_with_its_outcome_and_as_no_attempt() {
    for (is_established, errno, outcome) in [
        (true, 0, Outcome::Established),
        (false, 111, Outcome::Refused),
    ] {
        let mut pipeline = pipeline();
        let (connect, event) = found(1, false);
        take(&mut pipeline, event);
        assert_eq!(
            pipeline.open_connects(clock(15)),
            std::slice::from_ref(&connect)
        );
        let end = ConnectionEnd {
            is_over: true,
            is_established,
            errno,
            bytes_out: 1_000,
            bytes_in: 2_000,
            ..look(&connect, 16)
        };
        take(&mut pipeline, KernelEvent::ConnectionEnd(end));
        let batch = pipeline.flush(clock(20), false);
        assert_eq!(rows(&batch), [(outcome, 0, Some(0))]);
    }
}

#[test]
fn an_end_of_which_the_beginning_was_not_told_is_still_no_attempt() {
    let mut pipeline = pipeline();
    let (connect, _) = found(1, true);
    take(&mut pipeline, ended(&connect, 35, 1_350, 2_600));
    let batch = pipeline.flush(clock(40), false);
    assert_eq!(rows(&batch), [(Outcome::Established, 0, Some(0))]);
}

#[test]
fn a_connection_that_will_not_be_followed_is_told_once() {
    let mut pipeline = pipeline();
    let (_, event) = found(1, true);
    let KernelEvent::OpenConnection(mut open) = event else {
        panic!("it is an open connection");
    };
    open.connect.is_followed = false;
    take(&mut pipeline, KernelEvent::OpenConnection(open));
    let batch = pipeline.flush(clock(20), false);
    assert_eq!(rows(&batch), [(Outcome::Established, 0, None)]);
    assert!(pipeline.open_connects(clock(20 + DAY)).is_empty());
}

#[test]
fn bytes_of_an_open_connection_come_with_each_flush_and_its_end_adds_the_rest() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    // Before the outcome is asked for: the bytes wait for it.
    take(&mut pipeline, carried(&connect, 11, 100, 7));
    take(&mut pipeline, established(&connect, 12));
    let first = pipeline.flush(clock(20), false);
    assert_eq!(rows(&first), [(Outcome::Established, 1, Some(100))]);
    assert_eq!(first.flows[0].flow.bytes_in, Some(7));
    take(&mut pipeline, carried(&connect, 21, 5_000, 7));
    take(&mut pipeline, carried(&connect, 22, 9_000, 8));
    assert_eq!(
        rows(&pipeline.flush(clock(30), false)),
        [(Outcome::Established, 0, Some(8_900))]
    );
    assert!(pipeline.flush(clock(40), false).flows.is_empty());
    take(&mut pipeline, ended(&connect, 41, 9_001, 8));
    let last = pipeline.flush(clock(50), false);
    assert_eq!(rows(&last), [(Outcome::Established, 0, Some(1))]);
    assert_eq!(last.flows[0].flow.duration.unwrap().as_secs(), 31);
}

#[test]
fn a_silent_connection_counts_on_each_day() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    let begun = clock(12);
    at(&mut pipeline, KernelEvent::Connect(connect.clone()), begun);
    at(&mut pipeline, established(&connect, 11), begun);
    pipeline.flush(begun, false);
    for day in 1..4 {
        let second = 12 + day * DAY;
        let now = clock(second);
        let asked = pipeline.open_connects(now);
        assert_eq!(asked, std::slice::from_ref(&connect), "day {day}");
        at(&mut pipeline, established(&connect, second), now);
        let batch = pipeline.flush(now, false);
        assert_eq!(rows(&batch), [(Outcome::Established, 0, Some(0))]);
        assert_eq!(batch.flows[0].flow.start, now.now());
        // Once is enough.
        let later = clock(second + 10);
        assert!(pipeline.open_connects(later).is_empty());
        at(&mut pipeline, established(&connect, second + 10), later);
        assert!(pipeline.flush(later, false).flows.is_empty());
    }
}

#[test]
fn a_connection_that_talked_today_is_not_asked_about() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    let begun = clock(12);
    at(&mut pipeline, KernelEvent::Connect(connect.clone()), begun);
    at(&mut pipeline, established(&connect, 11), begun);
    pipeline.flush(begun, false);
    let tomorrow = clock(12 + DAY);
    at(&mut pipeline, carried(&connect, 11 + DAY, 5, 0), tomorrow);
    assert!(pipeline.open_connects(tomorrow).is_empty());
    assert_eq!(pipeline.flush(tomorrow, false).flows.len(), 1);
}

#[test]
fn a_connection_that_went_without_a_word_counts_on_no_later_day() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    let begun = clock(12);
    at(&mut pipeline, KernelEvent::Connect(connect.clone()), begun);
    at(&mut pipeline, established(&connect, 11), begun);
    pipeline.flush(begun, false);
    let tomorrow = clock(12 + DAY);
    assert_eq!(
        pipeline.open_connects(tomorrow),
        std::slice::from_ref(&connect)
    );
    pipeline.lost_track_of(&connect, tomorrow);
    assert!(pipeline.flush(tomorrow, false).flows.is_empty());
    assert!(pipeline.open_connects(clock(12 + 2 * DAY)).is_empty());
}

#[test]
fn many_silent_connections_are_asked_about_in_portions_and_all_in_the_end() {
    let mut pipeline = pipeline();
    let begun = clock(12);
    for socket in 0..5_000 {
        let connect = connect(socket, 10);
        at(&mut pipeline, KernelEvent::Connect(connect.clone()), begun);
        at(&mut pipeline, established(&connect, 11), begun);
    }
    pipeline.flush(begun, false);
    let mut asked = BTreeSet::new();
    let mut largest = 0;
    for flush in 0..5 {
        let portion = pipeline.open_connects(clock(12 + DAY + flush));
        largest = largest.max(portion.len());
        asked.extend(portion.into_iter().map(|connect| connect.id.socket));
    }
    assert_eq!(asked.len(), 5_000);
    assert!(largest < 5_000, "{largest} at once");
}

#[test]
fn an_end_that_comes_before_what_was_carried_leaves_no_byte_twice() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    take(&mut pipeline, ended(&connect, 12, 500, 0));
    take(&mut pipeline, carried(&connect, 11, 400, 0));
    let batch = pipeline.flush(clock(20), false);
    assert_eq!(rows(&batch), [(Outcome::Established, 1, Some(500))]);
    assert!(pipeline.flush(clock(30), true).flows.is_empty());
}

#[test]
fn bytes_without_room_for_a_sum_are_counted_as_lost() {
    let mut pipeline = pipeline();
    let known = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(known.clone()));
    take(&mut pipeline, established(&known, 11));
    pipeline.flush(clock(12), false);
    // As many sums as there is room for.
    for socket in 2..=200_001 {
        let mut connect = connect(socket, 10);
        connect.sender.uid = u32::try_from(socket).unwrap() + 5_000;
        take(&mut pipeline, ended(&connect, 13, 0, 0));
    }
    take(&mut pipeline, carried(&known, 14, 77, 0));
    let batch = pipeline.flush(clock(20), false);
    let full = |loss: &&egress_baseline::model::Loss| loss.cause == LossCause::ContactsFull;
    let loss = batch.losses.iter().find(full).unwrap();
    assert_eq!((loss.count, loss.bytes), (1, Some(77)));
}

#[test]
fn what_is_open_survives_being_written_and_read() {
    let (connect, event) = found(1, true);
    for event in [event, carried(&connect, 11, 1, 2)] {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<KernelEvent>(&line).unwrap(), event);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Carry(u64),
    /// Something that was carried is told once more, or late.
    Repeat,
    Look,
    Flush,
    NextDay,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..1_000u64).prop_map(Step::Carry),
        Just(Step::Repeat),
        Just(Step::Look),
        Just(Step::Flush),
        Just(Step::NextDay),
    ]
}

fn total(batches: &[Batch]) -> (u64, u64) {
    let flows = || batches.iter().flat_map(|batch| &batch.flows);
    let added = flows().filter(|record| record.settles.is_none());
    (
        added.map(|record| record.flow.attempts).sum(),
        flows().filter_map(|record| record.flow.bytes_out).sum(),
    )
}

proptest! {
    /// However its bytes are told and whenever they are flushed: they add up to what it carried.
    #[test]
    fn all_rows_of_a_connection_add_up(
        steps in proptest::collection::vec(step(), 0..40),
        was_open in proptest::bool::ANY,
    ) {
        let mut pipeline = pipeline();
        let (before, connect) = if was_open {
            let (connect, event) = found(1, true);
            take(&mut pipeline, event);
            (1_000, connect)
        } else {
            let connect = connect(1, 10);
            take(&mut pipeline, KernelEvent::Connect(connect.clone()));
            (0, connect)
        };
        let mut second = 10;
        let mut sent = before;
        let mut batches = Vec::new();
        for step in steps {
            second += 1;
            match step {
                Step::Carry(bytes) => {
                    sent += bytes;
                    take(&mut pipeline, carried(&connect, second, sent, 2_000));
                }
                Step::Repeat => take(&mut pipeline, carried(&connect, second, sent / 2, 0)),
                Step::Look => take(&mut pipeline, established(&connect, second)),
                Step::Flush => batches.push(pipeline.flush(clock(second), false)),
                Step::NextDay => second += DAY,
            }
        }
        take(&mut pipeline, ended(&connect, second + 1, sent + 5, 2_000));
        batches.push(pipeline.flush(clock(second + 2), true));
        assert_eq!(total(&batches), (u64::from(!was_open), sent + 5 - before));
    }
}

#[test]
fn the_more_connections_are_open_the_less_often_the_kernel_looks_at_all_of_them() {
    let mut pipeline = pipeline();
    let mut socket = 0;
    let mut found_more = |pipeline: &mut Pipeline, many: u64| {
        for _ in 0..many {
            socket += 1;
            take(pipeline, found(socket, socket.is_multiple_of(2)).1);
        }
    };
    assert!(pipeline.is_look_due(clock(100)));
    assert!(
        pipeline.is_look_due(clock(100)),
        "there is nothing to look at"
    );
    found_more(&mut pipeline, 2_000);
    assert!(pipeline.is_look_due(clock(101)));
    found_more(&mut pipeline, 28_000);
    // Thirty thousand, in flushes of ten seconds and in one that is early.
    let due: Vec<u64> = [102, 110, 111, 116, 126, 131, 136, 146]
        .into_iter()
        .filter(|second| pipeline.is_look_due(clock(*second)))
        .collect();
    assert_eq!(due, [116, 131, 146]);
}
