//! What does not fit somewhere is counted, and exactly.

use egress_baseline::model::{Batch, Connect, KernelEvent, LossCause};

use crate::support_events::{clock, connect, datagrams, end, pipeline, sender_of, take};

fn lost(batch: &Batch, cause: LossCause) -> (u64, Option<u64>) {
    let of_cause = batch.losses.iter().filter(|loss| loss.cause == cause);
    let found: Vec<_> = of_cause.map(|loss| (loss.count, loss.bytes)).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().copied().unwrap_or_default()
}

#[test]
fn attempts_beyond_what_memory_may_hold_are_counted_with_their_bytes() {
    let mut pipeline = pipeline();
    pipeline.set_most_contacts(100);
    for port in (1..=250).chain(1..=250) {
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(port, 10, 11)),
            clock(12, 0),
        );
    }
    let batch = pipeline.flush(clock(20, 0), false);
    let recorded = || batch.flows.iter().map(|record| &record.flow);
    assert_eq!(recorded().map(|flow| flow.attempts).sum::<u64>(), 2_000);
    assert_eq!(
        recorded().map(|flow| flow.bytes_out.unwrap()).sum::<u64>(),
        96_000
    );
    assert_eq!(
        lost(&batch, LossCause::ContactsFull),
        (3_000, Some(144_000))
    );
    // The next interval has room again.
    take(
        &mut pipeline,
        KernelEvent::Datagrams(datagrams(200, 21, 21)),
        clock(22, 0),
    );
    let batch = pipeline.flush(clock(30, 0), false);
    assert_eq!(batch.flows.len(), 1);
    assert_eq!(batch.losses, []);
}

#[test]
fn a_flow_without_a_process_is_counted_once_however_often_it_is_told() {
    let mut pipeline = pipeline();
    let connect = Connect {
        sender: sender_of(4_711),
        ..connect(1, 10)
    };
    take(
        &mut pipeline,
        KernelEvent::Connect(connect.clone()),
        clock(10, 0),
    );
    let pending = pipeline.flush(clock(12, 0), false);
    assert_eq!(lost(&pending, LossCause::ProcessUnknown), (1, None));
    let mut established = end(&connect, 13);
    established.is_over = false;
    (established.bytes_out, established.bytes_in) = (0, 0);
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(established),
        clock(13, 0),
    );
    let settled = pipeline.flush(clock(14, 0), false);
    assert_eq!(settled.flows.len(), 1);
    assert_eq!(settled.losses, []);
    // Its bytes are no attempt.
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(end(&connect, 20)),
        clock(20, 0),
    );
    let over = pipeline.flush(clock(22, 0), false);
    assert_eq!(over.flows[0].flow.bytes_out, Some(300));
    assert_eq!(over.losses, []);
}
