//! When applications met their destinations.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::path::Path;

use egress_baseline::{
    model::{Flow, FlowRecord, Occurrences, Outcome, SamplingUnit, Window},
    store::{ContactQuery, Reader, Recorder},
};
use tempfile::tempdir;

use crate::support_store::{DAY, HOUR, NOON, at, batch, flow, made_by, watch_period};

/// Noon of the first day is hour 12 of it.
const FIRST_DAY: i64 = NOON / DAY;

fn days(numbers: impl Iterator<Item = u32>) -> Vec<i64> {
    numbers.map(|day| i64::from(day) - FIRST_DAY).collect()
}

fn by(flow: Flow, run: &str) -> FlowRecord {
    made_by(flow, "/usr/bin/rsync", 812, Some(run))
}

/// One destination on three days in three runs, in the second of them only in vain; another once.
fn records() -> Vec<FlowRecord> {
    let refused = Flow {
        outcome: Outcome::Refused,
        ..flow(NOON + DAY, "192.0.2.1")
    };
    vec![
        by(flow(NOON, "192.0.2.1"), "one"),
        by(flow(NOON + 3 * HOUR, "192.0.2.1"), "one"),
        by(refused, "two"),
        by(flow(NOON + 4 * DAY, "192.0.2.1"), "three"),
        by(flow(NOON + 4 * DAY, "192.0.2.2"), "three"),
    ]
}

fn recorded(path: &Path, is_summed_up: bool) {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let news = batch(records(), NOON + 6 * DAY);
    recorder.record(period, &news).unwrap();
    if is_summed_up {
        recorder.sum_up_days().unwrap();
    }
}

fn occurrences(path: &Path, query: &ContactQuery, unit: SamplingUnit) -> Vec<Occurrences> {
    let reader = Reader::open(path).unwrap();
    reader.occurrences(query, &|_, _| Some(unit)).unwrap()
}

#[test]
fn units_are_those_in_which_something_was_met_and_failures_only_show_that_it_was_active() {
    for is_summed_up in [false, true] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("flows.db");
        recorded(&path, is_summed_up);
        let of = |unit| {
            let found = occurrences(&path, &ContactQuery::default(), unit);
            let [rsync] = found.as_slice() else {
                panic!("{found:?}");
            };
            assert_eq!(days(rsync.active_days.iter()), [0, 1, 4]);
            let units = |of: usize| rsync.met[of].units.iter().collect::<Vec<u32>>();
            assert_eq!((rsync.met.len(), rsync.unit), (2, unit));
            (rsync.runs, units(0), units(1))
        };
        let (runs, first, second) = of(SamplingUnit::Day);
        assert_eq!(runs, 0);
        assert_eq!(days(first.into_iter()), [0, 4]);
        assert_eq!(days(second.into_iter()), [4]);
        let first_hour = u32::try_from(FIRST_DAY).unwrap() * 24;
        let (_, first, _) = of(SamplingUnit::Hour);
        let hours: Vec<u32> = first.iter().map(|hour| hour - first_hour).collect();
        assert_eq!(hours, [12, 15, 4 * 24 + 12]);
        // Of runs it is not known how they went.
        assert_eq!(of(SamplingUnit::Run), (3, vec![0, 1, 2], vec![2]));
    }
}

#[test]
fn nobody_is_read_who_is_not_asked_for() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    recorded(&path, false);
    let reader = Reader::open(&path).unwrap();
    let found = reader.occurrences(&ContactQuery::default(), &|_, _| None);
    assert_eq!(found.unwrap(), []);
}

#[test]
fn a_destination_that_only_failed_was_never_met() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    recorded(&path, true);
    let of_second_day = ContactQuery {
        window: Window {
            since: Some(at(NOON + DAY - HOUR)),
            until: Some(at(NOON + 2 * DAY)),
        },
        ..ContactQuery::default()
    };
    let found = occurrences(&path, &of_second_day, SamplingUnit::Day);
    assert_eq!(found.len(), 1);
    assert_eq!(days(found[0].active_days.iter()), [1]);
    assert!(found[0].met.is_empty(), "{found:?}");
    // A window that is left out takes its days away.
    let without_last = ContactQuery {
        except: vec![Window {
            since: Some(at(NOON + 3 * DAY)),
            until: Some(at(NOON + 5 * DAY)),
        }],
        ..ContactQuery::default()
    };
    let found = occurrences(&path, &without_last, SamplingUnit::Day);
    assert_eq!(days(found[0].met[0].units.iter()), [0]);
    assert_eq!(found[0].met.len(), 1);
}
