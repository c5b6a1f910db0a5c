//! What reports ask the store.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use egress_baseline::{
    model::{
        Application, Contact, Context, Flow, FlowRecord, IdentityRecord, NameSource, Outcome,
        RawIdentity, Window,
    },
    store::{ContactQuery, Reader, Recorder},
};
use std::{path::Path, sync::Arc};
use tempfile::{TempDir, tempdir};

use crate::support_store::{
    DAY, HOUR, NOON, at, batch, flow, flows, import, import_period, made_by, named, record_of,
    store_with, watch_period,
};

fn contacts(path: &Path, query: &ContactQuery) -> Vec<Contact> {
    Reader::open(path).unwrap().contacts(query).unwrap()
}

/// Names or addresses of the contacts that a query finds, in order.
fn found(path: &Path, query: &ContactQuery) -> Vec<String> {
    contacts(path, query)
        .iter()
        .map(|it| match (&it.destination.name, it.destination.address) {
            (Some(name), _) => name.clone(),
            (None, address) => address.unwrap().to_string(),
        })
        .collect()
}

fn hours(since: i64, until: i64) -> Window {
    Window {
        since: Some(at(NOON + since * HOUR)),
        until: Some(at(NOON + until * HOUR)),
    }
}

fn store_of(records: Vec<FlowRecord>) -> (TempDir, std::path::PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(&path, records);
    (directory, path)
}

/// Made by a script under this user, in a run of its own for each user.
fn scripted(flow: Flow, user: &str, host: &str) -> FlowRecord {
    FlowRecord {
        flow,
        process: None,
        identity: Arc::new(IdentityRecord {
            raw: RawIdentity {
                host: host.to_owned(),
                exe: Some("/usr/bin/python3.11".to_owned()),
                user: Some(user.to_owned()),
                ..RawIdentity::default()
            },
            application: Application {
                context: Context::new("unit:push.service"),
                program: "/usr/bin/python3.11".to_owned(),
                script: Some("/opt/push.py".to_owned()),
            },
            run: Some(format!("cgroup:{user}")),
        }),
        ticket: None,
        settles: None,
    }
}

#[test]
fn a_contact_sums_up_one_application_and_one_destination() {
    let mut guessed = named(NOON + 25 * HOUR, "a.example", "192.0.2.10");
    guessed.name.as_mut().unwrap().source = NameSource::Inferred;
    guessed.outcome = Outcome::Refused;
    guessed.end = Some(at(NOON + 26 * HOUR));
    let (_directory, path) = store_of(vec![
        scripted(named(NOON, "a.example", "192.0.2.9"), "zoe", "web-1"),
        scripted(named(NOON + 1, "a.example", "192.0.2.9"), "zoe", "web-1"),
        scripted(guessed, "adam", "web-1"),
        scripted(named(NOON, "a.example", "192.0.2.11"), "zoe", "web-2"),
    ]);
    let contacts = contacts(&path, &ContactQuery::default());
    assert_eq!(contacts.len(), 2);
    let contact = &contacts[0];
    assert_eq!(contact.host, "web-1");
    assert_eq!(
        contact.application.to_string(),
        "unit:push.service /usr/bin/python3.11 /opt/push.py"
    );
    assert_eq!(contact.destination.to_string(), "a.example tcp/443");
    assert_eq!(contact.name_source, Some(NameSource::DnsAnswer));
    assert_eq!(contact.users, ["adam", "zoe"]);
    let addresses: Vec<_> = contact.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.9", "192.0.2.10"]);
    assert_eq!((contact.hours, contact.days, contact.runs), (2, 2, 2));
    assert_eq!(
        (contact.first, contact.last),
        (at(NOON), at(NOON + 26 * HOUR))
    );
    assert_eq!(contact.outcomes[&Outcome::Established].attempts, 2);
    assert_eq!(contact.outcomes[&Outcome::Refused].bytes_in, 2_000);

    // The public view says the same.
    let view: (i64, i64, i64, i64, i64, String) = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT attempts, failed_attempts, hours, days, runs, name_source
             FROM contacts
             WHERE host = 'web-1'",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .unwrap();
    assert_eq!(view, (3, 1, 2, 2, 2, "dns_answer".to_owned()));
}

#[test]
fn windows_take_whole_hours_and_exceptions_leave_whole_hours_out() {
    let hourly = (0..6).map(|hour| {
        let address = format!("192.0.2.{hour}");
        made_by(
            flow(NOON + hour * HOUR + 7, &address),
            "/usr/bin/rsync",
            1,
            Some("run"),
        )
    });
    let (_directory, path) = store_of(hourly.collect());
    let query = |window, except| ContactQuery {
        window,
        except,
        ..ContactQuery::default()
    };
    let mut window = hours(1, 3);
    window.since = Some(at(NOON + HOUR + 3_000));
    let some = query(window, Vec::new());
    assert_eq!(found(&path, &some), ["192.0.2.1", "192.0.2.2"]);
    let mut narrow = hours(1, 3);
    narrow.since = Some(at(NOON + HOUR + 1));
    let rest = query(Window::default(), vec![narrow, hours(4, 99)]);
    assert_eq!(found(&path, &rest), ["192.0.2.0", "192.0.2.1", "192.0.2.3"]);
    assert!(contacts(&path, &rest).iter().all(|it| it.runs == 1));

    let mut streamed = Vec::new();
    Reader::open(&path)
        .unwrap()
        .each_flow(&rest, |flow| {
            streamed.push(flow.flow.address.unwrap().to_string());
            Ok::<_, egress_baseline::store::StoreError>(())
        })
        .unwrap();
    assert_eq!(streamed, ["192.0.2.0", "192.0.2.1", "192.0.2.3"]);
}

#[test]
fn globs_match_applications_and_destinations_and_nothing_in_them_is_a_class() {
    let (_directory, path) = store_of(vec![
        made_by(
            named(NOON, "a.example", "2001:db8::1"),
            "/usr/bin/[x]",
            1,
            None,
        ),
        made_by(flow(NOON, "192.0.2.1"), "/usr/bin/x", 2, None),
    ]);
    let by_application = |pattern: &str| ContactQuery {
        application: Some(pattern.to_owned()),
        ..ContactQuery::default()
    };
    for pattern in [
        "/usr/bin/[x]",
        "unit:* /usr/bin/[[]x]",
        "*[x]",
        "unit:backup.service /*[?]",
    ] {
        let expected: &[&str] = if pattern.contains("[[]") {
            &[]
        } else {
            &["a.example"]
        };
        assert_eq!(
            found(&path, &by_application(pattern)),
            expected,
            "{pattern}"
        );
    }
    assert_eq!(
        found(&path, &by_application("unit:backup.service")).len(),
        2
    );
    assert_eq!(found(&path, &by_application("UNIT:*")).len(), 0);
    let by_destination = |pattern: &str| ContactQuery {
        to: Some(pattern.to_owned()),
        ..ContactQuery::default()
    };
    assert_eq!(found(&path, &by_destination("*.example")), ["a.example"]);
    assert_eq!(found(&path, &by_destination("192.0.2.?")), ["192.0.2.1"]);
    // A name is found by the addresses that were reached under it.
    assert_eq!(found(&path, &by_destination("2001:db8:*")), ["a.example"]);
    let of_flows = Reader::open(&path)
        .unwrap()
        .flows_of_application(&by_destination("2001:db8:*"), 9)
        .unwrap();
    assert_eq!(of_flows.len(), 1);
    let host = ContactQuery {
        host: Some("web-2".to_owned()),
        ..ContactQuery::default()
    };
    assert_eq!(found(&path, &host).len(), 0);
}

#[test]
fn the_latest_flows_and_processes_of_an_application_come_first() {
    let (_directory, path) = store_of(vec![
        made_by(flow(NOON + HOUR, "192.0.2.1"), "/usr/bin/rsync", 1, None),
        made_by(flow(NOON, "192.0.2.2"), "/usr/bin/rsync", 2, None),
        made_by(flow(NOON + 2 * HOUR, "192.0.2.3"), "/usr/bin/curl", 3, None),
    ]);
    let query = ContactQuery {
        application: Some("*rsync".to_owned()),
        ..ContactQuery::default()
    };
    let reader = Reader::open(&path).unwrap();
    let flows = reader.flows_of_application(&query, 5).unwrap();
    let starts: Vec<_> = flows.iter().map(|it| it.flow.start).collect();
    assert_eq!(starts, [at(NOON + HOUR), at(NOON)]);
    assert_eq!(reader.flows_of_application(&query, 1).unwrap().len(), 1);
    let processes = reader.processes_of_application(&query, 5).unwrap();
    let mut pids: Vec<_> = processes.iter().filter_map(|it| it.pid).collect();
    pids.sort_unstable();
    assert_eq!(pids, [1, 2]);
}

#[test]
fn what_identities_stand_for_can_be_computed_again() {
    let (_directory, path) = store_of(vec![
        made_by(flow(NOON, "192.0.2.1"), "/opt/app-1.0/bin", 1, None),
        made_by(flow(NOON + HOUR, "192.0.2.1"), "/opt/app-1.1/bin", 2, None),
    ]);
    assert_eq!(contacts(&path, &ContactQuery::default()).len(), 2);
    let mut recorder = Recorder::open(&path).unwrap();
    assert_eq!(recorder.rules_version().unwrap(), None);
    let folded = recorder
        .identities()
        .unwrap()
        .into_iter()
        .map(|(id, raw)| {
            assert!(raw.exe.unwrap().starts_with("/opt/app-1."));
            let application = Application {
                context: Context::none(),
                program: "/opt/app-*/bin".to_owned(),
                script: None,
            };
            (id, application)
        })
        .collect();
    recorder.set_applications(7, folded).unwrap();
    assert_eq!(recorder.rules_version().unwrap(), Some(7));
    let contacts = contacts(&path, &ContactQuery::default());
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].application.to_string(), "none /opt/app-*/bin");
    assert_eq!(contacts[0].total().attempts, 2);
    assert_eq!(Reader::open(&path).unwrap().size().unwrap().applications, 1);
    assert_eq!(
        flows(&path)[0].application.as_ref(),
        Some(&contacts[0].application)
    );
}

#[test]
fn size_and_growth_are_told_where_there_was_time_to_grow() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    import(&path, &import_period("aa", NOON), |import| {
        import.add_flow(&record_of(flow(NOON - 30 * DAY, "192.0.2.1")))
    });
    let size = Reader::open(&path).unwrap().size().unwrap();
    assert_eq!(
        (size.flows, size.flows_last_day, size.bytes_per_day),
        (1, 0, None)
    );

    let mut recorder = Recorder::open(&path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    let records = (0..3).map(|day| {
        let start = NOON + day * DAY;
        made_by(flow(start, "192.0.2.1"), "/usr/bin/rsync", 1, Some("run"))
    });
    recorder
        .record(period, &batch(records.collect(), NOON + 2 * DAY + HOUR))
        .unwrap();
    recorder.end(period, at(NOON + 2 * DAY + HOUR)).unwrap();
    let size = Reader::open(&path).unwrap().size().unwrap();
    assert_eq!((size.flows, size.flows_last_day), (4, 1));
    assert_eq!((size.hour_rollups, size.run_rollups), (4, 1));
    assert_eq!((size.processes, size.applications), (2, 1));
    assert_eq!(size.bytes_per_day, Some(size.bytes * 24 / 49));
}

#[test]
fn the_view_of_applications_sums_up_over_hosts_and_identities() {
    let (_directory, path) = store_of(vec![
        scripted(named(NOON, "a.example", "192.0.2.1"), "zoe", "web-1"),
        scripted(named(NOON, "a.example", "192.0.2.1"), "adam", "web-1"),
        scripted(flow(NOON + HOUR, "192.0.2.2"), "zoe", "web-2"),
        record_of(flow(NOON, "192.0.2.3")),
    ]);
    let rows: Vec<[i64; 6]> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare(
            "SELECT hosts, identities, destinations, attempts, first_ns, last_ns
             FROM applications
             ORDER BY context DESC",
        )
        .unwrap()
        .query_map([], |row| {
            Ok([
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ])
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        rows,
        [[2, 3, 2, 3, NOON, NOON + HOUR], [1, 1, 1, 1, NOON, NOON]]
    );
}
