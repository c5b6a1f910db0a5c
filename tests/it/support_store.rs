//! Flows, batches and stores for the tests of the store.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{path::Path, sync::Arc};

use egress_baseline::{
    model::{
        Application, Batch, Context, Executable, Flow, FlowRecord, IdentityRecord, ImportSource,
        Name, NameSource, Outcome, Process, ProcessKey, Protocol, RawIdentity, Record,
        RecordedFlow, Tally, Ticket, Timestamp, WatchKind, WatchPeriod,
    },
    store::{ContactQuery, ImportTransaction, Imported, Reader, Recorder, StoreError},
};
use rusqlite::Connection;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_348_800 * SECOND;

pub(crate) fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_unix_ns(nanoseconds)
}

pub(crate) fn watch_period(host: &str, started: i64) -> WatchPeriod {
    WatchPeriod {
        kind: WatchKind::Observe,
        host: host.to_owned(),
        boot_id: Some("6e7a2a4e-boot".to_owned()),
        program_version: "0.1.0".to_owned(),
        backend: Some("kprobe".to_owned()),
        backend_failures: Vec::new(),
        blind_spots: Vec::new(),
        settings: serde_json::json!({"loopback": false}),
        source: None,
        started: at(started),
        covered_until: at(started),
        ended: None,
    }
}

pub(crate) fn import_period(sha256: &str, started: i64) -> WatchPeriod {
    WatchPeriod {
        kind: WatchKind::Import,
        host: "importer".to_owned(),
        boot_id: None,
        backend: None,
        source: Some(ImportSource {
            file: format!("{sha256}.ndjson"),
            sha256: sha256.to_owned(),
        }),
        ended: Some(at(started)),
        ..watch_period("importer", started)
    }
}

pub(crate) fn identity(program: &str, run: Option<&str>) -> Arc<IdentityRecord> {
    Arc::new(IdentityRecord {
        raw: RawIdentity {
            host: "web-1".to_owned(),
            exe: Some(program.to_owned()),
            cgroup_path: Some("/system.slice/backup.service".to_owned()),
            uid: Some(33),
            user: Some("www-data".to_owned()),
            ..RawIdentity::default()
        },
        application: Application {
            context: Context::new("unit:backup.service"),
            program: program.to_owned(),
            script: None,
        },
        run: run.map(str::to_owned),
    })
}

pub(crate) fn process(program: &str, pid: u32) -> Arc<Process> {
    Arc::new(Process {
        host: "web-1".to_owned(),
        key: Some(ProcessKey {
            pid,
            started_boot_ns: u64::MAX - u64::from(pid),
            exec_id: 3,
        }),
        boot_id: Some("6e7a2a4e-boot".to_owned()),
        pid: Some(pid),
        ppid: Some(1),
        exe: Some(Executable {
            path: program.to_owned(),
            device: Some(8 << 20),
            inode: Some(u64::MAX),
            ..Executable::default()
        }),
        argv: Some(vec![program.to_owned(), "--all".to_owned()]),
        cmdline: Some(format!("{program} --all")),
        ..Process::default()
    })
}

/// A TCP connection to `address`, port 443.
pub(crate) fn flow(start: i64, address: &str) -> Flow {
    Flow {
        flow_id: None,
        start: at(start),
        end: None,
        socket_uid: Some(33),
        socket_cgroup: Some("/system.slice/backup.service".to_owned()),
        network_namespace: Some(4_026_531_840),
        source_port: Some(40_000),
        address: Some(address.parse().unwrap()),
        port: Some(443),
        protocol: Protocol::TCP,
        name: None,
        opening: None,
        outcome: Outcome::Established,
        errno: None,
        state: None,
        attempts: 1,
        bytes_out: Some(100),
        bytes_in: Some(2_000),
        duration: None,
    }
}

pub(crate) fn named(start: i64, name: &str, address: &str) -> Flow {
    Flow {
        name: Some(Name {
            text: name.to_owned(),
            source: NameSource::DnsAnswer,
        }),
        ..flow(start, address)
    }
}

pub(crate) fn made_by(flow: Flow, program: &str, pid: u32, run: Option<&str>) -> FlowRecord {
    FlowRecord {
        flow,
        process: Some(process(program, pid)),
        identity: identity(program, run),
        ticket: None,
        settles: None,
    }
}

pub(crate) fn record_of(flow: Flow) -> FlowRecord {
    made_by(flow, "/usr/bin/rsync", 812, None)
}

/// A flow that waits for its outcome under `ticket`.
pub(crate) fn pending(flow: Flow, ticket: u64) -> FlowRecord {
    FlowRecord {
        ticket: Some(Ticket(ticket)),
        ..record_of(Flow {
            outcome: Outcome::Pending,
            bytes_out: None,
            bytes_in: None,
            ..flow
        })
    }
}

/// The outcome of the flow that waits under `ticket`.
pub(crate) fn settled(flow: Flow, ticket: u64) -> FlowRecord {
    FlowRecord {
        settles: Some(Ticket(ticket)),
        ..record_of(flow)
    }
}

pub(crate) fn batch(flows: Vec<FlowRecord>, covered_until: i64) -> Batch {
    Batch {
        flows,
        covered_until: at(covered_until),
        ..Batch::default()
    }
}

/// A store that recorded these flows in one batch and was closed in good order.
pub(crate) fn store_with(path: &Path, flows: Vec<FlowRecord>) {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period("web-1", NOON)).unwrap();
    recorder.record(period, &batch(flows, NOON + HOUR)).unwrap();
    recorder.end(period, at(NOON + HOUR)).unwrap();
}

/// A store with one flow, closed in good order.
pub(crate) fn small_store(path: &Path) {
    store_with(path, vec![record_of(flow(NOON, "192.0.2.1"))]);
}

/// Everything that a store holds.
pub(crate) fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    Reader::open(path)
        .unwrap()
        .each_record(|record| {
            records.push(record.clone());
            Ok::<_, StoreError>(())
        })
        .unwrap();
    records
}

/// All flows that a store holds in detail.
pub(crate) fn flows(path: &Path) -> Vec<RecordedFlow> {
    let mut flows = Vec::new();
    Reader::open(path)
        .unwrap()
        .each_flow(&ContactQuery::default(), |flow| {
            flows.push(flow.clone());
            Ok::<_, StoreError>(())
        })
        .unwrap();
    flows
}

pub(crate) fn import(
    path: &Path,
    period: &WatchPeriod,
    fill: impl FnOnce(&mut ImportTransaction<'_>) -> Result<(), StoreError>,
) -> Imported {
    Recorder::open(path).unwrap().import(period, fill).unwrap()
}

/// Imports records as `import` does with the lines of a dump.
pub(crate) fn import_records(path: &Path, period: &WatchPeriod, records: &[Record]) -> Imported {
    import(path, period, |import| {
        for record in records {
            let application = match record {
                Record::Identity { raw, .. } => Some(application_of(raw)),
                Record::Flow(flow) => Some(application_of(&flow.identity)),
                Record::Store { .. }
                | Record::WatchPeriod { .. }
                | Record::Loss { .. }
                | Record::SelfCheck { .. }
                | Record::File { .. }
                | Record::FileUse { .. }
                | Record::Process { .. }
                | Record::Rollup(_)
                | Record::NameAddress(_) => None,
            };
            import.add_record(record, application.as_ref())?;
        }
        Ok(())
    })
}

pub(crate) fn application_of(raw: &RawIdentity) -> Application {
    Application {
        context: Context::new("unit:backup.service"),
        program: raw.exe.clone().unwrap_or_default(),
        script: None,
    }
}

/// Attempts and bytes over all contacts and outcomes.
pub(crate) fn total(path: &Path) -> Tally {
    let contacts = Reader::open(path)
        .unwrap()
        .contacts(&ContactQuery::default())
        .unwrap();
    contacts.iter().fold(Tally::default(), |sum, contact| {
        let tally = contact.total();
        Tally {
            attempts: sum.attempts + tally.attempts,
            bytes_out: sum.bytes_out + tally.bytes_out,
            bytes_in: sum.bytes_in + tally.bytes_in,
        }
    })
}

/// One number that a statement yields: what an administrator sees with the sqlite3 shell.
pub(crate) fn number(path: &Path, query: &str) -> i64 {
    Connection::open(path)
        .unwrap()
        .query_row(query, [], |row| row.get(0))
        .unwrap()
}
