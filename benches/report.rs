//! How long `report` takes over 30 days and 30 million attempts of 100 applications to 20,000
//! destinations.
//!
//! The store is made once and kept below the target directory, since that takes minutes; it is made anew
//! when the schema has changed or `--fresh` is given.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use egress_baseline::{
    model::{Batch, Flow, Name, NameSource, Outcome, Timestamp},
    store::{ContactQuery, Reader, Recorder},
};
use rusqlite::Connection;
use support::{
    DAY, Dice, HOUR, SECOND, START, core_time, flow, grouped, head, identity, line, median,
    process, record, watch_period,
};

const APPLICATIONS: usize = 100;
const DESTINATIONS: usize = 20_000;
const DAYS: i64 = 30;
const ATTEMPTS: usize = 30_000_000;

/// Contacts, and how often each happens: as usual with destinations, a few take most (Zipf). Every
/// application has 200 of its own and, one in four contacts, a name.
struct Contacts {
    /// Shares of all attempts up to and with each contact.
    up_to: Vec<f64>,
}

impl Contacts {
    fn new() -> Self {
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (0..DESTINATIONS)
            .map(|rank| {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let rank = rank as f64;
                sum += 1.0 / (rank + 1.0);
                sum
            })
            .collect();
        for share in &mut up_to {
            *share /= sum;
        }
        Self { up_to }
    }

    fn throw(&self, dice: &mut Dice) -> usize {
        let share = dice.fraction();
        self.up_to
            .partition_point(|up_to| *up_to < share)
            .min(DESTINATIONS - 1)
    }
}

/// One batch an hour: 41,667 attempts, summed as a flush would sum them.
fn hour_of(hour: i64, contacts: &Contacts, dice: &mut Dice) -> Batch {
    let mut attempts = vec![0_u64; DESTINATIONS];
    let hours = usize::try_from(DAYS * 24).unwrap();
    for _ in 0..ATTEMPTS / hours {
        attempts[contacts.throw(dice)] += 1;
    }
    let start = START + hour * HOUR;
    let makers: Vec<_> = (0..APPLICATIONS)
        .map(|application| {
            // Every fifth is a timer's: a run an hour.
            let run = if application % 5 == 0 {
                hour
            } else {
                hour / 360
            };
            let number = application + APPLICATIONS * usize::try_from(run).unwrap();
            (
                identity(application, usize::try_from(run).unwrap()),
                process(application, number),
            )
        })
        .collect();
    let mut flows = Vec::new();
    for (destination, attempts) in attempts.into_iter().enumerate() {
        if attempts == 0 {
            continue;
        }
        let application = destination % APPLICATIONS;
        let at = start + i64::try_from(dice.below(3_000)).unwrap() * SECOND;
        let one = flow(application, destination, at, dice);
        let name = (destination / APPLICATIONS)
            .is_multiple_of(4)
            .then(|| Name {
                text: format!("host-{destination}.example.net"),
                source: NameSource::DnsAnswer,
            });
        let outcome = match dice.below(50) {
            0 => Outcome::Refused,
            _ => Outcome::Established,
        };
        let (identity, process) = &makers[application];
        let one = Flow {
            attempts,
            name,
            outcome,
            ..one
        };
        flows.push((application, record(one, process, identity)));
    }
    flows.sort_by_key(|(application, _)| *application);
    Batch {
        flows: flows.into_iter().map(|(_, record)| record).collect(),
        covered_until: Timestamp::from_unix_ns(start + HOUR),
        ..Batch::default()
    }
}

fn fill(path: &Path) {
    let contacts = Contacts::new();
    let mut dice = Dice::new();
    let mut recorder = Recorder::open(path).unwrap();
    let period = recorder.begin(&watch_period(START)).unwrap();
    // The last day is not over, and the observer runs.
    for hour in 0..DAYS * 24 - 1 {
        let batch = hour_of(hour, &contacts, &mut dice);
        recorder.record(period, &batch).unwrap();
    }
    recorder.sum_up_days().unwrap();
}

fn store() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thirty-days.db");
    let is_fresh = std::env::args().any(|word| word == "--fresh");
    let schema = |path: &Path| -> Option<i64> {
        let connection = Connection::open(path).ok()?;
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .ok()
    };
    let newest = {
        let empty = tempfile::tempdir().unwrap();
        let path = empty.path().join("empty.db");
        drop(Recorder::open(&path).unwrap());
        schema(&path)
    };
    if is_fresh || !path.exists() || schema(&path) != newest {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            drop(std::fs::remove_file(file));
        }
        let unfinished = path.with_extension("unfinished");
        drop(std::fs::remove_file(&unfinished));
        fill(&unfinished);
        std::fs::rename(&unfinished, &path).unwrap();
    }
    path
}

fn number(path: &Path, query: &str) -> f64 {
    Connection::open(path)
        .unwrap()
        .query_row(query, [], |row| row.get(0))
        .unwrap()
}

/// The program itself: start, query, text.
fn program(path: &Path, arguments: &[&str]) -> (Duration, Duration) {
    let mut walls = Vec::new();
    let mut cores = Vec::new();
    for _ in 0..9 {
        let before = core_time_of_children();
        let start = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_egress-baseline"))
            .arg("--db")
            .arg(path)
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        walls.push(start.elapsed());
        cores.push(core_time_of_children() - before);
        assert!(status.success());
    }
    walls.sort_unstable();
    cores.sort_unstable();
    (median(&walls), median(&cores))
}

/// What ended children have had of a core: user and system time, in ticks of the kernel.
fn core_time_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn main() {
    head("REPORT");
    let path = store();
    let count = |query: &str| grouped(number(&path, query));
    let attempts = "SELECT TOTAL(attempts) FROM contact_hour";
    line("attempts", &count(attempts), "30 000 000");
    let contacts = "SELECT COUNT(*) * 1.0 FROM (SELECT DISTINCT identity_id, destination_id FROM contact_hour)";
    line("contacts", &count(contacts), "20 000");
    line(
        "hour rollups",
        &count("SELECT COUNT(*) * 1.0 FROM contact_hour"),
        "",
    );
    line(
        "run rollups",
        &count("SELECT COUNT(*) * 1.0 FROM contact_run"),
        "",
    );
    let packed = "SELECT TOTAL(length(contacts)) / 1e6 FROM contact_day";
    line(
        "megabytes of packed days",
        &format!("{:.1}", number(&path, packed)),
        "",
    );
    let milliseconds = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);

    let reader = Reader::open(&path).unwrap();
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let start = core_time();
            let found = reader.contacts(&ContactQuery::default()).unwrap();
            assert!(found.len() > DESTINATIONS / 2);
            core_time() - start
        })
        .collect();
    times.sort_unstable();
    line(
        "contacts of all 30 days, in the library",
        &milliseconds(median(&times)),
        "",
    );

    let week = [
        "report",
        "--since",
        "2026-10-08T07:00:00Z",
        "--until",
        "2026-10-15T19:00:00Z",
    ];
    let first = Timestamp::from_unix_ns(START + DAYS * DAY);
    assert!(first.to_string().starts_with("2026-10-31"), "{first}");
    for (what, arguments) in [
        ("`report`, the program from start to end", &["report"][..]),
        ("`report --format json`", &["report", "--format", "json"]),
        ("`report` of a week and a half-day at each end", &week),
    ] {
        let (wall, core) = program(&path, arguments);
        line(what, &milliseconds(wall), "at most 200 ms");
        line("  of a core", &milliseconds(core), "");
    }
}
