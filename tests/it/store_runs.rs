//! Runs are counted alike whether they are packed or not.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use egress_baseline::{
    model::{Application, FlowRecord, IdentityRecord, Outcome, RawIdentity, Ticket, Window},
    store::{ContactQuery, Reader, Recorder, Retention},
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::support_store::{
    DAY, HOUR, NOON, at, batch, flow, identity, import_period, import_records, made_by, named,
    number, pending, records, settled, watch_period,
};

const MIDNIGHT: i64 = NOON - 12 * HOUR;

/// Runs by program, user's application and destination.
type Runs = BTreeMap<(String, String), u64>;

/// In how many runs each contact happened, straight from the rows.
fn counted_from_rows(path: &Path, window: (i64, i64), left_out: (i64, i64)) -> Runs {
    const QUERY: &str = "
        SELECT a.program, ifnull(n.name, d.address), COUNT(DISTINCT c.run_id)
        FROM contact_run AS c
        JOIN identity_application AS m ON m.identity_id = c.identity_id
        JOIN application AS a ON a.id = m.application_id
        JOIN destination AS d ON d.id = c.destination_id
        LEFT JOIN name AS n ON n.id = d.name_id
        WHERE c.last_ns >= ?1
          AND c.first_ns < ?2
          AND NOT (c.first_ns >= ?3 AND c.last_ns < ?4)
        GROUP BY 1, 2";
    Connection::open(path)
        .unwrap()
        .prepare(QUERY)
        .unwrap()
        .query_map((window.0, window.1, left_out.0, left_out.1), |row| {
            Ok((
                (row.get(0)?, row.get(1)?),
                row.get::<_, i64>(2)?.cast_unsigned(),
            ))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The same as reports count them, for each contact that they show.
fn assert_counted_alike(path: &Path, window: (i64, i64), left_out: (i64, i64)) {
    let of = |(since, until): (i64, i64)| Window {
        since: Some(at(since)),
        until: Some(at(until)),
    };
    let query = ContactQuery {
        window: of(window),
        except: (left_out.0 < left_out.1)
            .then(|| of(left_out))
            .into_iter()
            .collect(),
        ..ContactQuery::default()
    };
    let mut expected = counted_from_rows(path, window, left_out);
    for contact in Reader::open(path).unwrap().contacts(&query).unwrap() {
        let to = match (&contact.destination.name, contact.destination.address) {
            (Some(name), _) => name.clone(),
            (None, address) => address.unwrap().to_string(),
        };
        let key = (contact.application.program, to);
        assert_eq!(
            contact.runs,
            expected.remove(&key).unwrap_or(0),
            "{key:?} in {query:?}"
        );
    }
}

fn packed_runs(path: &Path) -> i64 {
    number(
        path,
        "SELECT COUNT(*) FROM run WHERE packed_day_ns IS NOT NULL",
    )
}

/// What one step of the property below does.
#[derive(Clone, Debug)]
enum Step {
    /// Flows: hour, destination, run, and who.
    Record(Vec<(i64, u8, u8, u8)>),
    Pack,
    /// Everybody is the same application from now on, or each its own.
    Relabel(bool),
    Prune(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flows = prop::collection::vec((0..120_i64, 0..3_u8, 0..5_u8, 0..8_u8), 1..25);
    let step = prop_oneof![
        4 => flows.prop_map(Step::Record),
        4 => Just(Step::Pack),
        1 => any::<bool>().prop_map(Step::Relabel),
        1 => (0..120_i64).prop_map(Step::Prune),
    ];
    prop::collection::vec(step, 1..14)
}

/// The same program by two users: two identities and one application.
fn by_user(record: FlowRecord, user: u8) -> FlowRecord {
    let identity = IdentityRecord {
        raw: RawIdentity {
            user: Some(format!("user-{user}")),
            ..record.identity.raw.clone()
        },
        ..(*record.identity).clone()
    };
    FlowRecord {
        identity: Arc::new(identity),
        ..record
    }
}

fn record((hour, to, run, who): (i64, u8, u8, u8)) -> FlowRecord {
    let start = MIDNIGHT + hour * HOUR + i64::from(who);
    let mut flow = match to {
        0 => named(start, "a.example", "192.0.2.1"),
        _ => flow(start, &format!("192.0.2.{to}")),
    };
    if who & 4 > 0 {
        flow.outcome = Outcome::Refused;
    }
    // Some last for hours.
    flow.end = (who & 2 > 0).then(|| at(start + i64::from(run) * 9 * HOUR));
    let program = if run.is_multiple_of(2) {
        "/usr/bin/rsync"
    } else {
        "/usr/bin/curl"
    };
    let run = format!("run-{run}");
    by_user(made_by(flow, program, 812, Some(&run)), who & 1)
}

fn play(recorder: &mut Recorder, period: egress_baseline::store::WatchPeriodId, step: &Step) {
    match step {
        Step::Record(flows) => {
            let flows: Vec<_> = flows.iter().copied().map(record).collect();
            let latest = flows.iter().map(|one| one.flow.start.unix_ns()).max();
            recorder
                .record(period, &batch(flows, latest.unwrap()))
                .unwrap();
        }
        Step::Pack => recorder.sum_up_days().unwrap(),
        Step::Relabel(is_one) => {
            let mapping = recorder
                .identities()
                .unwrap()
                .into_iter()
                .map(|(id, raw)| {
                    let program = if *is_one {
                        "one".to_owned()
                    } else {
                        raw.exe.unwrap()
                    };
                    let application = Application {
                        program,
                        ..identity("any", None).application.clone()
                    };
                    (id, application)
                })
                .collect();
            recorder.set_applications(7, mapping).unwrap();
        }
        Step::Prune(hour) => {
            let retention = Retention {
                detail_before: None,
                max_bytes: None,
                rollups_before: Some(at(MIDNIGHT + hour * HOUR)),
            };
            recorder.prune(&retention).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn packed_runs_answer_as_their_rows_do_whatever_happens_to_them(
        steps in steps(),
        windows in prop::collection::vec((0..130_i64, 1..130_i64, 0..130_i64, 0..60_i64), 3),
    ) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("flows.db");
        let mut recorder = Recorder::open(&path).unwrap();
        let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
        for step in &steps {
            play(&mut recorder, period, step);
            let hour = |hours: i64| MIDNIGHT + hours * HOUR;
            assert_counted_alike(&path, (hour(-100), hour(400)), (0, 0));
            for (since, length, except, left_out) in &windows {
                let window = (hour(*since), hour(since + length));
                assert_counted_alike(&path, window, (hour(*except), hour(except + left_out)));
            }
        }
    }
}

/// A store in which `runs` are packed, each with one flow an hour of its day.
fn store_with_packed_runs(path: &Path) -> (Recorder, egress_baseline::store::WatchPeriodId) {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let flows = (0..48).map(|hour| record((hour, 1, u8::try_from(hour / 12).unwrap(), 0)));
    let news = batch(flows.collect(), MIDNIGHT + 3 * DAY);
    recorder.record(period, &news).unwrap();
    recorder.sum_up_days().unwrap();
    (recorder, period)
}

const ALWAYS: (i64, i64) = (0, i64::MAX - HOUR);

#[test]
fn whatever_changes_a_packed_run_shows_at_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let (mut recorder, period) = store_with_packed_runs(&path);
    assert_eq!(packed_runs(&path), 4);
    let after = |recorder: &mut Recorder, what: &str, is_changed: bool| {
        assert_counted_alike(&path, ALWAYS, (0, 0));
        assert_eq!(packed_runs(&path) < 4, is_changed, "{what}");
        recorder.sum_up_days().unwrap();
        assert_counted_alike(&path, ALWAYS, (0, 0));
        assert_eq!(packed_runs(&path), 4, "{what}");
    };
    let take = |recorder: &mut Recorder, flows| {
        let news = batch(flows, MIDNIGHT + 3 * DAY + HOUR);
        recorder.record(period, &news).unwrap();
    };
    let of_run = |record: FlowRecord| FlowRecord {
        identity: identity("/usr/bin/rsync", Some("run-0")),
        ..record
    };
    take(&mut recorder, vec![record((5, 2, 0, 0))]);
    after(&mut recorder, "a destination more", true);
    let waiting = |to, ticket| of_run(pending(flow(NOON, to), ticket));
    take(
        &mut recorder,
        vec![waiting("192.0.2.8", 1), waiting("192.0.2.9", 2)],
    );
    after(&mut recorder, "pending", true);
    take(
        &mut recorder,
        vec![of_run(settled(flow(NOON, "192.0.2.8"), 1))],
    );
    after(&mut recorder, "settled", true);
    let mut retraction = batch(vec![], MIDNIGHT + 3 * DAY + HOUR);
    retraction.retracted.push(Ticket(2));
    recorder.record(period, &retraction).unwrap();
    after(&mut recorder, "retracted", true);
    take(&mut recorder, vec![]);
    after(&mut recorder, "nothing", false);
    // A run that is alive again is packed under the day of its latest contact.
    take(&mut recorder, vec![record((50, 1, 0, 0))]);
    after(&mut recorder, "alive again", true);
    let latest = "SELECT COUNT(*) FROM run WHERE packed_day_ns > (SELECT MIN(packed_day_ns) + 86400000000000 FROM run)";
    assert_eq!(number(&path, latest), 1);
}

#[test]
fn a_run_of_today_is_not_packed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", MIDNIGHT)).unwrap();
    let flows = vec![record((1, 1, 0, 0)), record((25, 1, 1, 0))];
    let news = batch(flows, MIDNIGHT + 26 * HOUR);
    recorder.record(period, &news).unwrap();
    recorder.sum_up_days().unwrap();
    assert_eq!(packed_runs(&path), 1);
    assert_counted_alike(&path, ALWAYS, (0, 0));
}

#[test]
fn merging_a_dump_twice_counts_its_packed_runs_once() {
    let directory = tempdir().unwrap();
    let (one, other) = (
        directory.path().join("one.db"),
        directory.path().join("other.db"),
    );
    let (mut recorder, period) = store_with_packed_runs(&one);
    drop(store_with_packed_runs(&other));
    import_records(&other, &import_period("f00d", NOON), &records(&one));
    assert_counted_alike(&other, ALWAYS, (0, 0));
    let news = batch(vec![record((7, 2, 0, 1))], MIDNIGHT + 3 * DAY);
    recorder.record(period, &news).unwrap();
    import_records(&other, &import_period("f00e", NOON), &records(&one));
    let news = "SELECT COUNT(*) FROM contact_run AS c JOIN destination AS d ON d.id = c.destination_id WHERE d.address = '192.0.2.2'";
    assert_eq!(number(&other, news), 1);
    assert_counted_alike(&other, ALWAYS, (0, 0));
    assert_eq!(packed_runs(&other), 4);
}
