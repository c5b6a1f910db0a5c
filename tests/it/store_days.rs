//! Days that are summed up answer as their hours do.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::path::Path;

use egress_baseline::{
    model::{Contact, Flow, Outcome, SamplingUnit, Window},
    store::{ContactQuery, Imported, Reader, Recorder, Retention},
};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::support_store::{
    DAY, HOUR, NOON, at, batch, flow, import, import_period, made_by, named, number, pending,
    record_of, settled, watch_period,
};

const MIDNIGHT: i64 = NOON - 12 * HOUR;

fn contacts(path: &Path, query: &ContactQuery) -> Vec<Contact> {
    Reader::open(path).unwrap().contacts(query).unwrap()
}

/// When these contacts happened is as many units as were counted; of runs it is not known how they went,
/// nor of days on which some attempts failed.
fn assert_occurrences_agree(path: &Path, query: &ContactQuery, contacts: &[Contact]) {
    for unit in [SamplingUnit::Day, SamplingUnit::Hour, SamplingUnit::Run] {
        let reader = Reader::open(path).unwrap();
        let found = reader.occurrences(query, &|_, _| Some(unit)).unwrap();
        let mut met = 0;
        for contact in contacts {
            let of_application = found
                .iter()
                .find(|one| (&one.host, &one.application) == (&contact.host, &contact.application))
                .unwrap();
            let mut occurrences = of_application.met.iter();
            let occurrence = occurrences.find(|one| one.destination == contact.destination);
            let failed = contact
                .outcomes
                .keys()
                .filter(|outcome| outcome.is_failure());
            let (failed, kinds) = (failed.count(), contact.outcomes.len());
            assert_eq!(occurrence.is_none(), failed == kinds);
            let Some(occurrence) = occurrence else {
                continue;
            };
            met += 1;
            let (units, counted) = (occurrence.units.len() as u64, unit.count_of(contact));
            if failed == 0 || unit == SamplingUnit::Run {
                assert_eq!(units, counted, "{unit:?}");
            } else {
                assert!(units <= counted, "{unit:?}");
            }
        }
        assert_eq!(found.iter().map(|one| one.met.len()).sum::<usize>(), met);
    }
}

/// The same question, answered with and without the days that are summed up.
fn both_answers(path: &Path, query: &ContactQuery) -> [Vec<Contact>; 2] {
    let with_days = contacts(path, query);
    assert_occurrences_agree(path, query, &with_days);
    let copy = path.with_extension("hours");
    let connection = Connection::open(path).unwrap();
    connection
        .execute("VACUUM INTO ?1", (copy.to_str().unwrap(),))
        .unwrap();
    Connection::open(&copy)
        .unwrap()
        .execute_batch(
            "DELETE FROM summed_day;
             DELETE FROM contact_day;
             UPDATE run SET packed_day_ns = NULL;
             DELETE FROM packed_run_day;
             DELETE FROM contact_run_day",
        )
        .unwrap();
    let from_hours = contacts(&copy, query);
    std::fs::remove_file(copy).unwrap();
    [with_days, from_hours]
}

fn made(hour: i64, to: u8, kind: u8) -> Flow {
    let start = MIDNIGHT + hour * HOUR + i64::from(kind);
    let address = format!("192.0.2.{}", to % 4);
    let mut flow = if kind.is_multiple_of(3) {
        named(start, "a.example", &address)
    } else {
        flow(start, &address)
    };
    flow.attempts = u64::from(kind % 5);
    flow.end = kind
        .is_multiple_of(2)
        .then(|| at(start + i64::from(to) * HOUR));
    if kind.is_multiple_of(4) {
        flow.outcome = Outcome::Refused;
    }
    flow
}

fn days(count: usize) -> i64 {
    i64::try_from(count).unwrap() * DAY
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn windows_cut_anywhere_find_the_same_contacts(
        made_of in prop::collection::vec((0..96_i64, any::<u8>(), any::<u8>()), 1..60),
        windows in prop::collection::vec((-10..110_i64, 0..60_i64, 0..110_i64, 0..30_i64), 1..5),
    ) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("flows.db");
        let mut recorder = Recorder::open(&path).unwrap();
        let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
        let records = made_of
            .iter()
            .map(|(hour, to, kind)| {
                let (program, run) = match kind % 3 {
                    0 => ("/usr/bin/rsync", Some("r1")),
                    1 => ("/usr/bin/rsync", Some("r2")),
                    _ => ("/usr/bin/curl", None),
                };
                made_by(made(*hour, *to, *kind), program, u32::from(kind % 3), run)
            })
            .collect();
        recorder.record(period, &batch(records, MIDNIGHT + days(4))).unwrap();
        recorder.sum_up_days().unwrap();
        let summed = number(&path, "SELECT COUNT(*) FROM summed_day");
        assert!(summed >= 1);
        for (since, length, except, left_out) in windows {
            let window = |since: i64, length: i64| Window {
                since: Some(at(MIDNIGHT + since * HOUR)),
                until: Some(at(MIDNIGHT + (since + length) * HOUR)),
            };
            let query = ContactQuery {
                window: window(since, length),
                except: vec![window(except, left_out)],
                ..ContactQuery::default()
            };
            let [with_days, from_hours] = both_answers(&path, &query);
            assert_eq!(with_days, from_hours);
        }
        let [with_days, from_hours] = both_answers(&path, &ContactQuery::default());
        assert!(!with_days.is_empty());
        assert_eq!(with_days, from_hours);
    }
}

/// As far as the day is summed up, in minutes.
fn summed_minutes(path: &Path) -> i64 {
    let query = "SELECT ifnull(SUM(until_ns - day_ns), 0) / 60000000000 FROM summed_day";
    number(path, query)
}

#[test]
fn a_day_is_summed_up_as_far_as_its_hours_are_over() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let mut until = |minutes: i64, news| {
        let covered = MIDNIGHT + minutes * HOUR / 60;
        recorder.record(period, &batch(news, covered)).unwrap();
        recorder.sum_up_days().unwrap();
        let [with_days, from_hours] = both_answers(&path, &ContactQuery::default());
        assert_eq!(with_days, from_hours);
        summed_minutes(&path)
    };
    let morning = || record_of(flow(MIDNIGHT + 9 * HOUR, "192.0.2.1"));
    assert_eq!(until(9 * 60 + 59, vec![morning()]), 9 * 60);
    // Connects that began before the hour was over may have no outcome yet.
    assert_eq!(until(10 * 60 + 9, vec![]), 9 * 60);
    assert_eq!(until(10 * 60 + 11, vec![morning()]), 10 * 60);
    assert_eq!(until(24 * 60 + 9, vec![]), 23 * 60);
    assert_eq!(until(24 * 60 + 11, vec![]), 24 * 60);
    assert_eq!(until(48 * 60, vec![]), 24 * 60);
}

#[test]
fn what_comes_after_the_summed_hours_of_a_day_leaves_them_and_shows() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let at_hour = |hour: i64| vec![record_of(flow(MIDNIGHT + hour * HOUR, "192.0.2.1"))];
    let covered = MIDNIGHT + 11 * HOUR + HOUR / 2;
    for (hour, summed, contacts_hours) in [(9, 11, 1), (11, 11, 2), (10, 0, 3)] {
        recorder
            .record(period, &batch(at_hour(hour), covered))
            .unwrap();
        if hour == 9 {
            recorder.sum_up_days().unwrap();
        }
        assert_eq!(summed_minutes(&path), summed * 60, "{hour}");
        let [with_days, from_hours] = both_answers(&path, &ContactQuery::default());
        assert_eq!(with_days[0].hours, contacts_hours);
        assert_eq!(with_days, from_hours);
    }
}

#[test]
fn whatever_changes_a_summed_day_shows_at_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let after = |recorder: &mut Recorder, what: &str, is_changed: bool| {
        let all = ContactQuery::default();
        let [with_days, from_hours] = both_answers(&path, &all);
        assert_eq!(with_days, from_hours, "{what}");
        let summed = number(&path, "SELECT COUNT(*) FROM summed_day");
        assert_eq!(summed == 0, is_changed, "{what}");
        recorder.sum_up_days().unwrap();
        assert_eq!(
            number(&path, "SELECT COUNT(*) FROM summed_day"),
            1,
            "{what}"
        );
    };
    let record = |recorder: &mut Recorder, flows| {
        let news = batch(flows, MIDNIGHT + 2 * DAY);
        recorder.record(period, &news).unwrap();
    };
    record(
        &mut recorder,
        vec![
            record_of(flow(NOON, "192.0.2.1")),
            pending(flow(NOON, "192.0.2.2"), 1),
            pending(flow(NOON, "192.0.2.3"), 2),
        ],
    );
    after(&mut recorder, "first", true);
    record(
        &mut recorder,
        vec![record_of(flow(NOON + HOUR, "192.0.2.1"))],
    );
    after(&mut recorder, "late", true);
    record(&mut recorder, vec![settled(flow(NOON, "192.0.2.2"), 1)]);
    after(&mut recorder, "settled", true);
    let mut retraction = batch(vec![], MIDNIGHT + 2 * DAY);
    retraction.retracted.push(egress_baseline::model::Ticket(2));
    recorder.record(period, &retraction).unwrap();
    after(&mut recorder, "retracted", true);
    record(&mut recorder, vec![]);
    after(&mut recorder, "nothing", false);
    // Sums up by itself.
    let imported = import(&path, &import_period("f00d", NOON), |import| {
        import.add_flow(&record_of(flow(NOON - HOUR, "192.0.2.9")))
    });
    assert!(matches!(imported, Imported::Added(_)));
    after(&mut recorder, "imported", false);
}

#[test]
fn dropped_rollups_are_gone_from_summed_days_too() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let flows = (0..6)
        .map(|half| record_of(flow(MIDNIGHT + half * 12 * HOUR, "192.0.2.1")))
        .collect();
    let news = batch(flows, MIDNIGHT + 4 * DAY);
    recorder.record(period, &news).unwrap();
    recorder.sum_up_days().unwrap();
    // In the middle of the second day.
    let retention = Retention {
        detail_before: None,
        max_bytes: None,
        rollups_before: Some(at(MIDNIGHT + DAY + 6 * HOUR)),
    };
    recorder.prune(&retention).unwrap();
    let [with_days, from_hours] = both_answers(&path, &ContactQuery::default());
    assert_eq!(with_days, from_hours);
    assert_eq!(with_days[0].hours, 3);
}
