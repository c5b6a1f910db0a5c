//! Flow rows a second into the store, beside bare insert loops, and what a row weighs.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::LazyLock, time::Duration};

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

/// Sums as the recorder keeps them: by hour and by run, each in a table of its own.
const SUMS: [&str; 2] = ["bare_hour", "bare_run"];

fn sum_table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (
           period INTEGER NOT NULL,
           identity_id INTEGER NOT NULL,
           destination_id INTEGER NOT NULL,
           outcome INTEGER NOT NULL,
           attempts INTEGER NOT NULL,
           bytes_out INTEGER NOT NULL,
           bytes_in INTEGER NOT NULL,
           first_ns INTEGER NOT NULL,
           last_ns INTEGER NOT NULL,
           PRIMARY KEY (period, identity_id, destination_id, outcome)
         ) STRICT, WITHOUT ROWID"
    )
}

static ADD_TO_HOUR: LazyLock<String> = LazyLock::new(|| add_to_sum("bare_hour"));
static ADD_TO_RUN: LazyLock<String> = LazyLock::new(|| add_to_sum("bare_run"));

fn add_to_sum(name: &str) -> String {
    format!(
        "INSERT INTO {name} VALUES (?1, ?2, ?3, 0, ?8, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET
           attempts = attempts + excluded.attempts,
           bytes_out = bytes_out + excluded.bytes_out,
           bytes_in = bytes_in + excluded.bytes_in,
           first_ns = min(first_ns, excluded.first_ns),
           last_ns = max(last_ns, excluded.last_ns)"
    )
}

/// The number of the last part of an address: where to.
fn destination(record: &FlowRecord) -> u32 {
    match record.flow.address {
        Some(IpAddr::V4(address)) => u32::from(address) & 0xffff,
        _ => 0,
    }
}

/// What a bare loop writes beside the rows of flows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Two sums for each row, as it comes.
    SumsOfEachRow,
    /// Each sum once a batch, as the recorder does, worked out beforehand.
    SumsOfBatch,
}

/// What is summed up: by whom, where to; bytes out and in, first, last, attempts.
type Sums = BTreeMap<(u32, u32), (u64, u64, i64, i64, u64)>;

fn sums_of<'a>(records: impl IntoIterator<Item = &'a FlowRecord>) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let flow = &record.flow;
        let (first, last) = (flow.start.unix_ns(), flow.end.unwrap().unix_ns());
        let key = (flow.socket_uid.unwrap(), destination(record));
        let sum = sums.entry(key).or_insert((0, 0, first, last, 0));
        sum.0 += flow.bytes_out.unwrap_or(0);
        sum.1 += flow.bytes_in.unwrap_or(0);
        sum.2 = first.min(sum.2);
        sum.3 = last.max(sum.3);
        sum.4 += flow.attempts;
    }
    sums
}

/// One prepared statement a table, one row at a time, one transaction a batch; everything that a row
/// refers to is known beforehand. The same columns with the same values.
fn bare(path: &Path, batches: &[Batch], beside: Beside) -> Duration {
    let mut connection = bare_store(path);
    let mut time = Duration::ZERO;
    let mut id = 0;
    for (at, batch) in batches.iter().enumerate() {
        let of_batch = match beside {
            Beside::SumsOfBatch => sums_of(&batch.flows),
            Beside::Nothing | Beside::SumsOfEachRow => Sums::new(),
        };
        let start = core_time();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        for record in &batch.flows {
            id += 1;
            insert_bare(&transaction, id, record);
            if beside == Beside::SumsOfEachRow {
                add_to_bare(&transaction, &sums_of([record]));
            }
        }
        add_to_bare(&transaction, &of_batch);
        transaction.commit().unwrap();
        if at > 0 {
            time += core_time() - start;
        }
    }
    time
}

fn bare_store(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
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
    for name in SUMS {
        connection.execute(&sum_table(name), []).unwrap();
    }
    connection
}

fn insert_bare(connection: &Connection, id: i64, record: &FlowRecord) {
    let flow = &record.flow;
    let mut statement = connection.prepare_cached(INSERT).unwrap();
    statement
        .execute(params![
            id,
            record.process.as_ref().unwrap().pid.unwrap() - 999,
            destination(record),
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

fn add_to_bare(connection: &Connection, sums: &Sums) {
    for add in [&*ADD_TO_HOUR, &*ADD_TO_RUN] {
        let mut statement = connection.prepare_cached(add).unwrap();
        for ((who, to), (bytes_out, bytes_in, first, last, attempts)) in sums {
            statement
                .execute(params![
                    START,
                    who,
                    to,
                    bytes_out.cast_signed(),
                    bytes_in.cast_signed(),
                    first,
                    last,
                    attempts.cast_signed(),
                ])
                .unwrap();
        }
    }
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
    let mut rates = [const { Vec::new() }; 4];
    let mut ratios = [const { Vec::new() }; 3];
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut path = directory.path().join("flows.db");
    // In turn, so that all meet the same machine.
    for round in 0..3 {
        let file = |name: &str| directory.path().join(format!("{name}-{round}.db"));
        path = file("flows");
        let recorder = ingest(&path, &batches);
        let loops = [
            bare(&file("rows"), &batches, Beside::Nothing),
            bare(&file("batch"), &batches, Beside::SumsOfBatch),
            bare(&file("each"), &batches, Beside::SumsOfEachRow),
        ];
        for (rates, time) in rates.iter_mut().zip([recorder].into_iter().chain(loops)) {
            rates.push(rate(all, time));
        }
        for (ratios, time) in ratios.iter_mut().zip(loops) {
            ratios.push(100.0 * time.as_secs_f64() / recorder.as_secs_f64());
        }
    }
    let middle = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let batch = grouped(f64::from(u32::try_from(rows).unwrap()));
    line(&format!("  batches of {batch} rows"), "", "");
    let [ours, loops @ ..] = &mut rates;
    let recorder = grouped(middle(ours));
    line(
        "flow rows a second, recorder",
        &recorder,
        "at least 200 000",
    );
    let names = [
        "loop of rows alone",
        "loop with the sums of a batch",
        "loop with two sums a row",
    ];
    let goals = ["at least 80 %", "", ""];
    for (((rates, ratios), name), goal) in loops.iter_mut().zip(&mut ratios).zip(names).zip(goals) {
        line(&format!("  {name}"), &grouped(middle(rates)), "");
        let percent = format!("{:.0} %", middle(ratios));
        line("    recorder beside it", &percent, goal);
    }
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
