//! The time of day is set back and forth, and the host sleeps: what the recorded times say then.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is missing"
)]

use egress_baseline::{
    model::{Batch, Flow, KernelEvent, LossCause, Timestamp, Window},
    report::coverage::{Coverage, Watched, coverage_of},
    store::{Reader, Recorder},
};

use crate::{
    support_events::{NOON, clock, connect, datagrams, end, pipeline, take},
    support_store::{total, watch_period},
};

const HOUR: i64 = 3_600;

fn only_flow(batch: &Batch) -> &Flow {
    assert_eq!(batch.flows.len(), 1, "{:?}", batch.flows);
    &batch.flows[0].flow
}

/// Seconds after noon.
fn second(time: Timestamp) -> i64 {
    (time.unix_ns() - NOON) / 1_000_000_000
}

#[test]
fn a_connection_lasts_as_long_as_it_did_whatever_the_time_of_day() {
    for shift in [-HOUR, HOUR, -56 * 8_766 * HOUR] {
        let mut pipeline = pipeline();
        let connect = connect(1, 10);
        take(
            &mut pipeline,
            KernelEvent::Connect(connect.clone()),
            clock(10, 0),
        );
        pipeline.flush(clock(15, 0), false);
        pipeline.flush(clock(20, shift), false);
        take(
            &mut pipeline,
            KernelEvent::ConnectionEnd(end(&connect, 40)),
            clock(41, shift),
        );
        let batch = pipeline.flush(clock(50, shift), true);
        let flow = only_flow(&batch);
        assert_eq!(flow.duration.unwrap().as_secs(), 30);
        // It takes the place of the pending row, with both times of one clock.
        assert_eq!(second(flow.start), 10 + shift);
        assert_eq!(second(flow.end.unwrap()), 40 + shift);
    }
}

#[test]
fn a_step_within_an_interval_neither_stretches_nor_reverses_it() {
    for shift in [-HOUR, HOUR] {
        let mut pipeline = pipeline();
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(123, 10, 11)),
            clock(11, 0),
        );
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(123, 12, 13)),
            clock(13, shift),
        );
        pipeline.lose(LossCause::RingFull, 1, None);
        let batch = pipeline.flush(clock(20, shift), false);
        let flow = only_flow(&batch);
        assert_eq!((second(flow.start), second(flow.end.unwrap())), (10, 13));
        assert_eq!(second(batch.covered_until), 20);
        assert!(batch.losses[0].since < batch.losses[0].until);
        assert_eq!(pipeline.stepped_to(), Some(clock(20, shift).now()));
        assert_eq!(pipeline.stepped_to(), None, "it is told once");
        // From the next interval on the new time holds.
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(123, 22, 23)),
            clock(23, shift),
        );
        pipeline.lose(LossCause::RingFull, 1, None);
        let batch = pipeline.flush(clock(30, shift), false);
        assert_eq!(second(only_flow(&batch).start), 22 + shift);
        assert_eq!(second(batch.covered_until), 30 + shift);
        assert_eq!(second(batch.losses[0].since), 20 + shift);
        assert_eq!(pipeline.stepped_to(), None);
    }
}

#[test]
fn a_clock_that_is_corrected_a_little_makes_no_step() {
    let mut pipeline = pipeline();
    for (up, shift) in [(10, 0), (20, -3), (30, 2), (40, 0)] {
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(123, up, up)),
            clock(up, shift),
        );
        let batch = pipeline.flush(clock(up + 9, shift), false);
        let flow = only_flow(&batch);
        assert!(flow.start <= flow.end.unwrap());
        assert_eq!(pipeline.stepped_to(), None);
    }
}

#[test]
fn a_suspend_is_covered_and_nothing_happens_in_it() {
    let mut pipeline = pipeline();
    let connect = connect(1, 10);
    take(
        &mut pipeline,
        KernelEvent::Connect(connect.clone()),
        clock(10, 0),
    );
    // Both clocks go on while the host sleeps, from second 12 to eight hours later.
    let woken = 8 * 3_600;
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(end(&connect, woken)),
        clock(woken, 0),
    );
    let batch = pipeline.flush(clock(woken + 1, 0), false);
    let flow = only_flow(&batch);
    assert_eq!(second(flow.start), 10);
    assert_eq!(flow.duration.unwrap().as_secs(), woken - 10);
    assert_eq!(second(batch.covered_until), 8 * HOUR + 1);
    assert_eq!(pipeline.stepped_to(), None);
}

/// What the store tells of a host that was watched from second 0 on and whose time of day was set by
/// `shift` at second 20, up to second 40.
fn coverage_over_a_step(shift: i64) -> (Coverage, Vec<(i64, i64)>) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let mut id = recorder.begin(&watch_period("gate", NOON)).unwrap();
    let mut pipeline = pipeline();
    let pending = connect(1, 5);
    take(
        &mut pipeline,
        KernelEvent::Connect(pending.clone()),
        clock(6, 0),
    );
    for (up, shift) in [(10, 0), (20, shift), (30, shift), (40, shift)] {
        if up == 40 {
            take(
                &mut pipeline,
                KernelEvent::ConnectionEnd(end(&pending, 35)),
                clock(36, shift),
            );
        }
        let clock = clock(up, shift);
        take(
            &mut pipeline,
            KernelEvent::Datagrams(datagrams(123, up - 1, up)),
            clock,
        );
        recorder
            .record(id, &pipeline.flush(clock, up == 40))
            .unwrap();
        if let Some(at) = pipeline.stepped_to() {
            id = recorder.go_on(id, at).unwrap();
        }
    }
    recorder.end(id, clock(41, shift).now()).unwrap();
    drop(recorder);
    assert_eq!(
        total(&path).attempts,
        41,
        "the pending connect is settled once"
    );
    let watched: Vec<Watched> = Reader::open(&path)
        .unwrap()
        .watch_periods(&Window::default())
        .unwrap()
        .into_iter()
        .map(|stored| Watched {
            id: stored.id.0,
            period: stored.period,
            losses: stored.losses,
            flows: stored.flows,
            is_running: false,
            self_check: None,
        })
        .collect();
    let stretches = watched
        .iter()
        .map(|one| (second(one.period.started), second(one.period.covered_until)))
        .collect();
    let coverage = coverage_of("gate", &watched, None, &Window::default(), &[]);
    (coverage, stretches)
}

#[test]
fn a_step_of_the_clock_divides_what_was_watched() {
    let (coverage, stretches) = coverage_over_a_step(HOUR);
    assert_eq!(stretches, [(0, 20), (20 + HOUR, 40 + HOUR)]);
    assert_eq!(coverage.covered_seconds, 40);
    let gaps: Vec<u64> = coverage.gaps.iter().map(|gap| gap.seconds).collect();
    assert_eq!(gaps, [3_600], "nobody watched in the hour that was skipped");
}

#[test]
fn a_clock_that_is_set_back_covers_no_time_twice() {
    let (coverage, mut stretches) = coverage_over_a_step(-10);
    stretches.sort_unstable();
    assert_eq!(stretches, [(0, 20), (10, 30)]);
    assert_eq!(coverage.covered_seconds, 30);
    assert!(coverage.gaps.is_empty(), "{:?}", coverage.gaps);
}

#[test]
fn a_clock_that_starts_in_1970_does_not_cover_half_a_century() {
    let (coverage, _) = coverage_over_a_step(56 * 8_766 * HOUR);
    assert_eq!((coverage.covered_seconds, coverage.covered_days), (40, 2));
}
