//! Flow rows a second into the store, beside a bare insert loop, and what a row weighs.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::{path::Path, time::Duration};

use egress_baseline::{
    model::{Batch, FlowRecord, Timestamp},
    store::Recorder,
};
use rusqlite::{Connection, TransactionBehavior, params};
use support::{
    Dice, HOUR, SECOND, START, core_time, flow, grouped, head, identity, line, process, rate,
    record, watch_period,
};

const APPLICATIONS: usize = 100;
const DESTINATIONS: usize = 20_000;
const BATCHES: usize = 6;

/// A host under load: `rows` flows a flush, of 2,000 processes of 100 applications, to 20,000
/// destinations, of which each application has its own 200.
fn batches(rows: usize) -> Vec<Batch> {
    let mut dice = Dice::new();
    let identities: Vec<_> = (0..APPLICATIONS).map(|one| identity(one, 0)).collect();
    let processes: Vec<_> = (0..2_000)
        .map(|number| process(number % APPLICATIONS, number))
        .collect();
    (0..BATCHES)
        .map(|batch| {
            let at = START + HOUR + i64::try_from(batch).unwrap() * 10 * SECOND;
            let mut flows: Vec<(usize, FlowRecord)> = (0..rows)
                .map(|_| {
                    let number = dice.below(processes.len());
                    let application = number % APPLICATIONS;
                    let destination =
                        application + APPLICATIONS * dice.below(DESTINATIONS / APPLICATIONS);
                    let flow = flow(application, destination, at, &mut dice);
                    let (process, identity) = (&processes[number], &identities[application]);
                    (number, record(flow, process, identity))
                })
                .collect();
            // As the pipeline hands them out: in order of their senders.
            flows.sort_by_key(|(number, _)| *number);
            Batch {
                flows: flows.into_iter().map(|(_, record)| record).collect(),
                covered_until: Timestamp::from_unix_ns(at + 10 * SECOND),
                ..Batch::default()
            }
        })
        .collect()
}

/// The recorder, batch by batch, as the observer drives it.
fn ingest(path: &Path, batches: &[Batch]) -> Duration {
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period(START)).unwrap();
    recorder.record(period, &batches[0]).unwrap();
    let start = core_time();
    for batch in &batches[1..] {
        recorder.record(period, batch).unwrap();
    }
    core_time() - start
}

const TABLE: &str = "
CREATE TABLE bare (
  id INTEGER PRIMARY KEY,
  maker_id INTEGER NOT NULL,
  destination_id INTEGER NOT NULL,
  address_id INTEGER,
  name_source INTEGER,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  source_port INTEGER,
  outcome INTEGER NOT NULL,
  errno INTEGER,
  attempts INTEGER NOT NULL,
  bytes_out INTEGER,
  bytes_in INTEGER,
  duration_ns INTEGER
) STRICT";

const INSERT: &str = "
INSERT INTO bare VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

/// One prepared statement, one row at a time, one transaction a batch; everything that a row refers to
/// is known beforehand, and no sums are kept. The same columns with the same values.
fn bare(path: &Path, batches: &[Batch]) -> Duration {
    let mut connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .unwrap();
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .unwrap();
    connection.execute(TABLE, []).unwrap();
    let mut time = Duration::ZERO;
    let mut id = 0_i64;
    for (at, batch) in batches.iter().enumerate() {
        let start = core_time();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        {
            let mut statement = transaction.prepare_cached(INSERT).unwrap();
            for record in &batch.flows {
                let flow = &record.flow;
                id += 1;
                statement
                    .execute(params![
                        id,
                        record.process.as_ref().unwrap().pid.unwrap() - 999,
                        id % 20_000,
                        None::<i64>,
                        None::<i64>,
                        flow.start.unix_ns(),
                        flow.end.map(Timestamp::unix_ns),
                        flow.source_port,
                        0,
                        flow.errno,
                        flow.attempts.cast_signed(),
                        flow.bytes_out.map(u64::cast_signed),
                        flow.bytes_in.map(u64::cast_signed),
                        flow.duration
                            .map(|all| i64::try_from(all.as_nanos()).unwrap()),
                    ])
                    .unwrap();
            }
        }
        transaction.commit().unwrap();
        if at > 0 {
            time += core_time() - start;
        }
    }
    time
}

fn number(connection: &Connection, query: &str) -> f64 {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

fn weigh(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let rows = number(&connection, "SELECT CAST(COUNT(*) AS REAL) FROM flow");
    let pages = |tables: &str| {
        number(
            &connection,
            &format!("SELECT CAST(TOTAL(pgsize) AS REAL) FROM dbstat WHERE name IN ({tables})"),
        )
    };
    let flows = pages("'flow'") / rows;
    line(
        "bytes a flow row, pages of its table",
        &format!("{flows:.1}"),
        "at most 60",
    );
    let makers = pages("'flow', 'maker', 'address', 'flow_import'") / rows;
    line(
        "the same with the makers of flows",
        &format!("{makers:.1}"),
        "",
    );
    let whole = number(
        &connection,
        "SELECT CAST(page_count * page_size AS REAL) FROM pragma_page_count, pragma_page_size",
    ) / rows;
    line(
        "the whole file a flow row, rollups included",
        &format!("{whole:.1}"),
        "",
    );
}

fn compare(rows: usize) {
    let batches = batches(rows);
    let all = rows * (BATCHES - 1);
    let mut ratios = Vec::new();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("flows.db");
    // In turn, so that both meet the same machine.
    for round in 0..3 {
        drop(std::fs::remove_file(&path));
        for beside in ["flows.db-wal", "flows.db-shm"] {
            drop(std::fs::remove_file(directory.path().join(beside)));
        }
        let recorder = ingest(&path, &batches);
        let bare = bare(&directory.path().join(format!("bare-{round}.db")), &batches);
        ratios.push(100.0 * bare.as_secs_f64() / recorder.as_secs_f64());
        ours.push(rate(all, recorder));
        theirs.push(rate(all, bare));
    }
    let middle = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let what = |text: &str| format!("{text}, {} a batch", grouped(rows as f64));
    line(
        &what("flow rows a second, recorder"),
        &grouped(middle(&mut ours)),
        "at least 200 000",
    );
    line(
        &what("rows a second, bare insert loop"),
        &grouped(middle(&mut theirs)),
        "",
    );
    let ratio = format!("{:.0} %", middle(&mut ratios));
    line(
        &what("recorder beside the bare loop"),
        &ratio,
        "at least 80 %",
    );
    weigh(&path);
}

fn main() {
    head("STORE");
    let rows: Vec<usize> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    for rows in if rows.is_empty() {
        vec![20_000, 200_000]
    } else {
        rows
    } {
        compare(rows);
    }
}
