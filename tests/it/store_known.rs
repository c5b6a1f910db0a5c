//! Files, lines and addresses that come in more than once.

use egress_baseline::{
    model::{
        Destination, Flow, LossCause, NameAddress, Outcome, Record, Rollup, RollupPeriod, Tally,
        Window,
    },
    store::{ContactQuery, Imported, Reader, Recorded, Recorder, StoreError},
};
use tempfile::tempdir;

use crate::support_store::{
    DAY, NOON, at, flow, flows, import, import_period, import_records, named, number, record_of,
    store_with, total,
};

#[test]
fn the_same_file_comes_in_once_and_equal_lines_are_separate_flows() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let fill = |flow_id: Option<&str>| {
        let flow = Flow {
            flow_id: flow_id.map(str::to_owned),
            ..flow(NOON, "192.0.2.1")
        };
        record_of(flow)
    };
    let first = import(&path, &import_period("aa", NOON + DAY), |import| {
        for flow_id in [None, None, Some("x-1"), Some("x-1"), Some("x-2")] {
            import.add_flow(&fill(flow_id))?;
        }
        import.skip_line();
        import.skip_line();
        Ok(())
    });
    assert_eq!(
        first,
        Imported::Added(Recorded {
            flows: 4,
            known_flows: 1
        })
    );
    let again = import(&path, &import_period("aa", NOON + 2 * DAY), |_| {
        panic!("a known file is not read");
    });
    assert_eq!(again, Imported::KnownFile(at(NOON + DAY)));
    let other = import(&path, &import_period("bb", NOON + 2 * DAY), |import| {
        import.add_flow(&fill(Some("x-2")))?;
        import.add_flow(&fill(None))
    });
    assert_eq!(
        other,
        Imported::Added(Recorded {
            flows: 1,
            known_flows: 1
        })
    );
    assert_eq!(total(&path).attempts, 5);
    let found = Reader::open(&path).unwrap().flow("x-2").unwrap().unwrap();
    assert_eq!(found.flow.flow_id.as_deref(), Some("x-2"));

    let periods = Reader::open(&path)
        .unwrap()
        .watch_periods(&Window::default())
        .unwrap();
    let skipped: Vec<_> = periods
        .iter()
        .map(|it| {
            it.losses
                .iter()
                .map(|loss| (loss.cause, loss.count))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(skipped, [vec![(LossCause::LineSkipped, 2)], vec![]]);
}

#[test]
fn an_import_that_fails_leaves_nothing_and_can_be_tried_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    let mut recorder = Recorder::open(&path).unwrap();
    let failed: Result<Imported, StoreError> =
        recorder.import(&import_period("aa", NOON), |import| {
            import.add_flow(&record_of(flow(NOON, "192.0.2.1")))?;
            let orphan = records_of_orphan();
            import.add_record(&orphan, None)
        });
    let error = failed.unwrap_err();
    assert!(matches!(
        error,
        StoreError::UnknownReference {
            what: "identity",
            id: 99
        }
    ));
    assert!(error.hint().is_some());
    assert_eq!(flows(&path), []);
    let again: Result<Imported, StoreError> = recorder
        .import(&import_period("aa", NOON), |import| {
            import.add_flow(&record_of(flow(NOON, "192.0.2.1")))
        });
    assert!(matches!(
        again.unwrap(),
        Imported::Added(Recorded { flows: 1, .. })
    ));
    assert_eq!(total(&path).attempts, 1);
}

fn records_of_orphan() -> Record {
    Record::Rollup(Box::new(Rollup {
        store: "0123456789abcdef".to_owned(),
        period: RollupPeriod::Hour(at(NOON)),
        identity_id: 99,
        destination: Destination::default(),
        name_source: None,
        outcome: Outcome::Sent,
        tally: Tally::default(),
        first: at(NOON),
        last: at(NOON),
    }))
}

#[test]
fn addresses_of_a_name_from_two_stores_are_known_together() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(
        &path,
        vec![record_of(named(NOON, "a.example", "192.0.2.1"))],
    );
    let told = |store: &str, attempts: u64| {
        Record::NameAddress(NameAddress {
            store: store.to_owned(),
            host: "web-1".to_owned(),
            name: "a.example".to_owned(),
            address: "192.0.2.2".parse().unwrap(),
            first: at(NOON),
            last: at(NOON),
            attempts,
        })
    };
    for (sha256, attempts) in [("one", 4), ("two", 6)] {
        let record = told("0123456789abcdef", attempts);
        import_records(&path, &import_period(sha256, NOON), &[record]);
    }
    let contacts = Reader::open(&path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    let addresses: Vec<_> = contacts[0]
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(number(&path, "SELECT SUM(attempts) FROM name_address"), 7);
}
