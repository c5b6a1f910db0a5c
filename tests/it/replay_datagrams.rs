//! Datagrams that were counted in the kernel, without a kernel.

use egress_baseline::{
    model::{DatagramCount, KernelEvent, Outcome},
    pipeline::Scope,
};

use crate::support_replay::{
    NETWORK, clock, connect, datagrams, pipeline, pipeline_of, rows, take,
};

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
