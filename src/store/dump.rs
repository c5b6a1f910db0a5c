//! Everything that the store holds, as records.
//!
//! Numbers within a dump count from 1 in the order of the records, so that a store that a dump was
//! imported into dumps the same again.

use std::collections::HashMap;

use rusqlite::Row;

use super::{
    Reader, StoreError,
    destinations::destination_of,
    detail::last_flow,
    files::{file_of, files_of_process, role_of},
    flows::{EVERYTHING, Makers},
    read::{loss_of, watch_period_of},
    rows::{identity_of, process_of},
    value::{Columns as _, uncount},
};
use crate::model::{NameAddress, Record, Rollup, RollupPeriod, Tally};

/// Numbers within the dump of rows that were handed out.
#[derive(Debug, Default)]
struct Numbers {
    periods: HashMap<i64, u64>,
    identities: HashMap<i64, u64>,
    processes: HashMap<i64, u64>,
    files: HashMap<i64, u64>,
}

const WATCH_PERIODS: &str = "
SELECT w.*, h.name AS host, i.file, i.sha256
FROM watch_period AS w
JOIN host AS h ON h.id = w.host_id
LEFT JOIN imported_file AS i ON i.watch_period_id = w.id
ORDER BY w.started_ns, w.id";

const LOSSES: &str = "
SELECT l.*
FROM loss AS l
JOIN watch_period AS w ON w.id = l.watch_period_id
ORDER BY w.started_ns, w.id, l.cause, l.since_ns, l.until_ns";

const IDENTITIES: &str = "
SELECT i.*, h.name AS host
FROM identity AS i
JOIN host AS h ON h.id = i.host_id
ORDER BY i.id";

const FILES: &str = "
SELECT f.*, h.name AS host
FROM file AS f
JOIN host AS h ON h.id = f.host_id
ORDER BY f.id";

const FILE_USES: &str = "
SELECT *
FROM identity_file
ORDER BY identity_id, role, file_id";

const PROCESSES: &str = "
SELECT p.*, h.name AS host
FROM process AS p
JOIN host AS h ON h.id = p.host_id
ORDER BY p.id";

// What a rollup holds beyond the flows in detail. One whose bounds are wider than theirs is handed
// out too, with counts of nothing, so that the bounds travel.
const HOURS_BEYOND_DETAIL: &str = "
WITH detail AS (
  SELECT
    CAST(
      start_ns - ((start_ns % 3600000000000) + 3600000000000) % 3600000000000 AS INTEGER
    ) AS hour_ns,
    k.identity_id,
    destination_id,
    outcome,
    k.origin_id,
    MIN(name_source) AS name_source,
    CAST(TOTAL(attempts) AS INTEGER) AS attempts,
    CAST(TOTAL(bytes_out) AS INTEGER) AS bytes_out,
    CAST(TOTAL(bytes_in) AS INTEGER) AS bytes_in,
    MIN(start_ns) AS first_ns,
    MAX(max(start_ns, ifnull(end_ns, start_ns))) AS last_ns
  FROM flow
  JOIN maker AS k ON k.id = maker_id
  GROUP BY 1, 2, 3, 4, 5
)
SELECT
  c.hour_ns AS period,
  c.identity_id,
  c.outcome,
  c.name_source,
  c.first_ns,
  c.last_ns,
  max(0, c.attempts - ifnull(f.attempts, 0)) AS attempts,
  max(0, c.bytes_out - ifnull(f.bytes_out, 0)) AS bytes_out,
  max(0, c.bytes_in - ifnull(f.bytes_in, 0)) AS bytes_in,
  o.store_id,
  d.*,
  n.name
FROM contact_hour AS c
JOIN origin AS o ON o.id = c.origin_id
JOIN destination AS d ON d.id = c.destination_id
JOIN outcome AS e ON e.id = c.outcome
LEFT JOIN name AS n ON n.id = d.name_id
LEFT JOIN detail AS f
  ON f.hour_ns = c.hour_ns
  AND f.identity_id = c.identity_id
  AND f.destination_id = c.destination_id
  AND f.outcome = c.outcome
  AND f.origin_id = c.origin_id
WHERE f.hour_ns IS NULL
  OR c.attempts > f.attempts
  OR c.bytes_out > f.bytes_out
  OR c.bytes_in > f.bytes_in
  OR c.first_ns < f.first_ns
  OR c.last_ns > f.last_ns
  OR c.name_source < f.name_source
ORDER BY
  c.hour_ns, c.identity_id, n.name, d.address, d.port, d.protocol, e.word, o.store_id";

const RUNS_BEYOND_DETAIL: &str = "
WITH detail AS (
  SELECT
    k.run_id,
    k.identity_id,
    destination_id,
    outcome,
    k.origin_id,
    MIN(name_source) AS name_source,
    CAST(TOTAL(attempts) AS INTEGER) AS attempts,
    CAST(TOTAL(bytes_out) AS INTEGER) AS bytes_out,
    CAST(TOTAL(bytes_in) AS INTEGER) AS bytes_in,
    MIN(start_ns) AS first_ns,
    MAX(max(start_ns, ifnull(end_ns, start_ns))) AS last_ns
  FROM flow
  JOIN maker AS k ON k.id = maker_id
  WHERE k.run_id IS NOT NULL
  GROUP BY 1, 2, 3, 4, 5
)
SELECT
  r.key AS period,
  c.identity_id,
  c.outcome,
  c.name_source,
  c.first_ns,
  c.last_ns,
  max(0, c.attempts - ifnull(f.attempts, 0)) AS attempts,
  max(0, c.bytes_out - ifnull(f.bytes_out, 0)) AS bytes_out,
  max(0, c.bytes_in - ifnull(f.bytes_in, 0)) AS bytes_in,
  o.store_id,
  d.*,
  n.name
FROM contact_run AS c
JOIN run AS r ON r.id = c.run_id
JOIN origin AS o ON o.id = c.origin_id
JOIN destination AS d ON d.id = c.destination_id
JOIN outcome AS e ON e.id = c.outcome
LEFT JOIN name AS n ON n.id = d.name_id
LEFT JOIN detail AS f
  ON f.run_id = c.run_id
  AND f.identity_id = c.identity_id
  AND f.destination_id = c.destination_id
  AND f.outcome = c.outcome
  AND f.origin_id = c.origin_id
WHERE f.run_id IS NULL
  OR c.attempts > f.attempts
  OR c.bytes_out > f.bytes_out
  OR c.bytes_in > f.bytes_in
  OR c.first_ns < f.first_ns
  OR c.last_ns > f.last_ns
  OR c.name_source < f.name_source
ORDER BY
  r.key, c.identity_id, n.name, d.address, d.port, d.protocol, e.word, o.store_id";

const ADDRESSES_BEYOND_DETAIL: &str = "
WITH detail AS (
  SELECT
    i.host_id,
    d.name_id,
    t.address,
    k.origin_id,
    CAST(TOTAL(f.attempts) AS INTEGER) AS attempts,
    MIN(f.start_ns) AS first_ns,
    MAX(max(f.start_ns, ifnull(f.end_ns, f.start_ns))) AS last_ns
  FROM flow AS f
  JOIN address AS t ON t.id = f.address_id
  JOIN maker AS k ON k.id = f.maker_id
  JOIN identity AS i ON i.id = k.identity_id
  JOIN destination AS d ON d.id = f.destination_id
  GROUP BY 1, 2, 3, 4
)
SELECT
  h.name AS host,
  n.name,
  a.address,
  o.store_id,
  a.first_ns,
  a.last_ns,
  max(0, a.attempts - ifnull(f.attempts, 0)) AS attempts
FROM name_address AS a
JOIN host AS h ON h.id = a.host_id
JOIN name AS n ON n.id = a.name_id
JOIN origin AS o ON o.id = a.origin_id
LEFT JOIN detail AS f
  ON f.host_id = a.host_id
  AND f.name_id = a.name_id
  AND f.address = a.address
  AND f.origin_id = a.origin_id
WHERE f.name_id IS NULL
  OR a.attempts > f.attempts
  OR a.first_ns < f.first_ns
  OR a.last_ns > f.last_ns
ORDER BY h.name, n.name, a.address, o.store_id";

impl Reader {
    /// Hands out everything that the store holds, each record after those that it refers to.
    pub fn each_record<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(&Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| self.failed(error);
        // One snapshot for all statements, or records could refer to what was not handed out.
        let snapshot = self.connection.unchecked_transaction().map_err(failed)?;
        let mut numbers = Numbers::default();
        each(&Record::Store {
            id: self.store_id.clone(),
            last_flow: last_flow(&self.connection).map(uncount).map_err(failed)?,
        })?;
        self.each_row(WATCH_PERIODS, &mut each, |row| {
            Ok(Some(Record::WatchPeriod {
                id: number(&mut numbers.periods, row.get("id")?),
                period: watch_period_of(row)?,
            }))
        })?;
        self.each_row(LOSSES, &mut each, |row| {
            Ok(Some(Record::Loss {
                watch_period_id: number(&mut numbers.periods, row.get("watch_period_id")?),
                loss: loss_of(row)?,
            }))
        })?;
        for (period, check) in self.self_checks()? {
            each(&Record::SelfCheck {
                watch_period_id: number(&mut numbers.periods, period.0),
                check,
            })?;
        }
        self.each_row(IDENTITIES, &mut each, |row| {
            Ok(Some(Record::Identity {
                id: number(&mut numbers.identities, row.get("id")?),
                raw: Box::new(identity_of(row)?),
            }))
        })?;
        self.each_file(&mut numbers, &mut each)?;
        self.each_row(PROCESSES, &mut each, |row| {
            Ok(Some(Record::Process {
                id: number(&mut numbers.processes, row.get("id")?),
                process: Box::new(process_of(row)?),
                files: files_of_process(row, |file| number(&mut numbers.files, file))?,
            }))
        })?;
        let mut makers = Makers::default();
        self.each_row(EVERYTHING, &mut each, |row| {
            let mut flow = self.recorded_flow(row, &mut makers)?;
            flow.watch_period_id = Some(number(&mut numbers.periods, row.get("watch_period_id")?));
            flow.identity_id = Some(number(&mut numbers.identities, row.get("identity_id")?));
            flow.process_id = row
                .get::<_, Option<i64>>("process_id")?
                .map(|process| number(&mut numbers.processes, process));
            Ok(Some(Record::Flow(Box::new(flow))))
        })?;
        self.each_row(HOURS_BEYOND_DETAIL, &mut each, |row| {
            let period = RollupPeriod::Hour(row.time("period")?);
            rollup_of(row, period, &mut numbers).map(Some)
        })?;
        self.each_row(RUNS_BEYOND_DETAIL, &mut each, |row| {
            let period = RollupPeriod::Run(row.get("period")?);
            rollup_of(row, period, &mut numbers).map(Some)
        })?;
        self.each_row(ADDRESSES_BEYOND_DETAIL, &mut each, name_address_of)?;
        snapshot.finish().map_err(failed)?;
        Ok(())
    }

    /// Files, and which identity ran them when.
    fn each_file<E: From<StoreError>>(
        &self,
        numbers: &mut Numbers,
        each: &mut impl FnMut(&Record) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_row(FILES, each, |row| {
            Ok(Some(Record::File {
                id: number(&mut numbers.files, row.get("id")?),
                file: Box::new(file_of(row)?),
            }))
        })?;
        self.each_row(FILE_USES, each, |row| {
            Ok(Some(Record::FileUse {
                file_id: number(&mut numbers.files, row.get("file_id")?),
                identity_id: number(&mut numbers.identities, row.get("identity_id")?),
                role: role_of(row)?,
                first: row.time("first_ns")?,
                last: row.time("last_ns")?,
            }))
        })
    }

    fn each_row<E: From<StoreError>>(
        &self,
        query: &str,
        each: &mut impl FnMut(&Record) -> Result<(), E>,
        mut record_of: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<Record>>,
    ) -> Result<(), E> {
        let failed = |error| self.failed(error);
        let mut statement = self.connection.prepare(query).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if let Some(record) = record_of(row).map_err(failed)? {
                each(&record)?;
            }
        }
        Ok(())
    }
}

/// The number of a row within the dump: the next one if the row was not handed out before.
fn number(numbers: &mut HashMap<i64, u64>, id: i64) -> u64 {
    let next = numbers.len() as u64 + 1;
    *numbers.entry(id).or_insert(next)
}

fn rollup_of(
    row: &Row<'_>,
    period: RollupPeriod,
    numbers: &mut Numbers,
) -> rusqlite::Result<Record> {
    Ok(Record::Rollup(Box::new(Rollup {
        store: row.get("store_id")?,
        period,
        identity_id: number(&mut numbers.identities, row.get("identity_id")?),
        destination: destination_of(row)?,
        name_source: row.name_source()?,
        outcome: row.outcome()?,
        tally: Tally {
            attempts: row.counted("attempts")?,
            bytes_out: row.counted("bytes_out")?,
            bytes_in: row.counted("bytes_in")?,
        },
        first: row.time("first_ns")?,
        last: row.time("last_ns")?,
    })))
}

fn name_address_of(row: &Row<'_>) -> rusqlite::Result<Option<Record>> {
    // The column is never null; an address that cannot be parsed fails above.
    let Some(address) = row.address("address")? else {
        return Ok(None);
    };
    Ok(Some(Record::NameAddress(NameAddress {
        store: row.get("store_id")?,
        host: row.get("host")?,
        name: row.get("name")?,
        address,
        first: row.time("first_ns")?,
        last: row.time("last_ns")?,
        attempts: row.counted("attempts")?,
    })))
}
