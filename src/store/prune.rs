//! Retention: detail goes, sums stay.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{Connection, Params, TransactionBehavior};

use super::{
    Recorder, StoreError, days, detail::change_count, open::checkpoint, runs, value::uncount,
};
use crate::model::Timestamp;

/// What retention keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Flow detail older than this is dropped.
    pub detail_before: Option<Timestamp>,
    /// Flow detail is dropped, oldest first, until the database is no larger (bytes).
    pub max_bytes: Option<u64>,
    /// Rollups older than this are dropped, with the detail that they sum up.
    pub rollups_before: Option<Timestamp>,
}

impl Retention {
    /// What is kept at `now` by days and by size; zeroes keep everything.
    pub fn as_of(now: Timestamp, detail_days: u32, max_megabytes: u32, rollup_days: u32) -> Self {
        let before = |days: u32| {
            (days > 0).then(|| now.before(Duration::from_secs(u64::from(days) * 86_400)))
        };
        Self {
            detail_before: before(detail_days),
            max_bytes: (max_megabytes > 0).then(|| u64::from(max_megabytes) * 1_000_000),
            rollups_before: before(rollup_days),
        }
    }
}

/// What retention dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Flow rows.
    pub flows: u64,
    /// Process images that no flow needs any more.
    pub processes: u64,
    /// Rollup rows.
    pub rollups: u64,
    /// Size of the database file before and after, bytes.
    pub bytes_before: u64,
    /// See `bytes_before`.
    pub bytes_after: u64,
}

/// Rows that one transaction drops: an observer beside it must not wait for long.
const ROWS_AT_ONCE: i64 = 10_000;

/// Gives pages back to the file system, a bounded number in one transaction.
const GIVE_BACK_PAGES: &str = "PRAGMA incremental_vacuum(2000)";

/// The last flow of the next stretch of flows, in order of recording.
const NEXT_FLOWS: &str = "
SELECT MAX(id)
FROM (
  SELECT id
  FROM flow
  WHERE id > ?1
  ORDER BY id
  LIMIT ?2
)";

const DROP_OLD_FLOWS: &str = "
DELETE FROM flow
WHERE id > ?1
  AND id <= ?2
  AND start_ns < ?3
RETURNING maker_id";

const DROP_OLDEST_FLOWS: &str = "
DELETE FROM flow
WHERE id IN (
  SELECT id
  FROM flow
  ORDER BY start_ns, id
  LIMIT ?1
)
RETURNING maker_id";

/// What goes with flows.
const DROP_WITH_FLOWS: [&str; 2] = [
    "DELETE FROM flow_import WHERE flow_id NOT IN (SELECT id FROM flow)",
    "DELETE FROM flow_opening WHERE flow_id NOT IN (SELECT id FROM flow)",
];

const DROP_MAKERS: &str = "
DELETE FROM maker
WHERE id IN (
  SELECT id
  FROM maker
  WHERE id NOT IN (SELECT maker_id FROM flow)
  LIMIT ?1
)";

const DROP_PROCESSES: &str = "
DELETE FROM process
WHERE id IN (
  SELECT id
  FROM process
  WHERE id NOT IN (
    SELECT process_id
    FROM maker
    WHERE process_id IS NOT NULL
  )
  LIMIT ?1
)";

/// Hours are dropped as wholes, in order.
const DROP_HOURS: &str = "
DELETE FROM contact_hour
WHERE hour_ns < ?1
  AND hour_ns <= (
    SELECT MAX(hour_ns)
    FROM (
      SELECT hour_ns
      FROM contact_hour
      ORDER BY hour_ns
      LIMIT ?2
    )
  )";

const DROP_RUNS: &str = "
DELETE FROM contact_run
WHERE (run_id, identity_id, destination_id, outcome, origin_id) IN (
  SELECT run_id, identity_id, destination_id, outcome, origin_id
  FROM contact_run
  WHERE last_ns < ?1
  LIMIT ?2
)";

/// What only dropped rollups referred to. Identities stay: they say which applications there are.
const DROP_REFERENCES: [&str; 6] = [
    "DELETE FROM run
     WHERE id NOT IN (SELECT run_id FROM contact_run)
       AND id NOT IN (SELECT run_id FROM maker WHERE run_id IS NOT NULL)",
    "DELETE FROM destination
     WHERE id NOT IN (SELECT destination_id FROM contact_hour)
       AND id NOT IN (SELECT destination_id FROM contact_run)
       AND id NOT IN (SELECT destination_id FROM flow)",
    "DELETE FROM address
     WHERE id NOT IN (SELECT address_id FROM flow WHERE address_id IS NOT NULL)",
    "DELETE FROM name_pattern
     WHERE name_id NOT IN (SELECT name_id FROM destination WHERE name_id IS NOT NULL)
       AND name_id NOT IN (SELECT name_id FROM name_address)",
    "DELETE FROM name
     WHERE id NOT IN (SELECT name_id FROM name_pattern)",
    "DELETE FROM file
     WHERE id NOT IN (SELECT file_id FROM identity_file)
       AND id NOT IN (SELECT exe_file_id FROM process WHERE exe_file_id IS NOT NULL)
       AND id NOT IN (SELECT script_file_id FROM process WHERE script_file_id IS NOT NULL)",
];

impl Recorder {
    /// Applies retention. Sums stay what they are when detail goes; only rollups that are
    /// themselves too old are dropped.
    pub fn prune(&mut self, retention: &Retention) -> Result<Pruned, StoreError> {
        // What is dropped here is looked up first, and no index would serve SQLite's own check: it
        // would read all flows for each row that they might refer to.
        self.pragma("foreign_keys", false)?;
        let pruned = self.prune_unchecked(retention);
        self.pragma("foreign_keys", true)?;
        pruned
    }

    fn prune_unchecked(&mut self, retention: &Retention) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned {
            bytes_before: self.file_bytes()?,
            ..Pruned::default()
        };
        // A flow without its rollup would be one that no report counts.
        if let Some(before) = retention.detail_before.max(retention.rollups_before) {
            pruned.flows += self.drop_flows_before(before)?;
            pruned.processes += self.drop_unused_processes()?;
        }
        if let Some(before) = retention.rollups_before {
            pruned.rollups += self.drop_rollups_before(before)?;
        }
        if let Some(limit) = retention.max_bytes {
            self.drop_until_within(limit, &mut pruned)?;
        }
        self.sum_up_days()?;
        self.give_back_pages()?;
        self.connection_work(checkpoint)?;
        pruned.bytes_after = self.file_bytes()?;
        Ok(pruned)
    }

    fn drop_flows_before(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        let mut done_to = i64::MIN;
        loop {
            let next: Option<i64> = self.connection_work(|connection| {
                connection.query_row(NEXT_FLOWS, (done_to, ROWS_AT_ONCE), |row| row.get(0))
            })?;
            let Some(next) = next else {
                return Ok(dropped);
            };
            dropped += self.transaction(|connection| {
                let old = (done_to, next, before.unix_ns());
                drop_flows(connection, DROP_OLD_FLOWS, old)
            })?;
            done_to = next;
        }
    }

    fn drop_unused_processes(&mut self) -> Result<u64, StoreError> {
        for statement in DROP_WITH_FLOWS {
            self.transaction(|connection| connection.execute(statement, []))?;
        }
        self.repeat(|connection| connection.execute(DROP_MAKERS, (ROWS_AT_ONCE,)))?;
        self.repeat(|connection| connection.execute(DROP_PROCESSES, (ROWS_AT_ONCE,)))
    }

    fn drop_rollups_before(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let before = before.unix_ns();
        // An hour that reaches over the limit stays.
        let hours_before = Timestamp::from_unix_ns(before).hour().unix_ns();
        self.transaction(|connection| days::forget_before(connection, hours_before))?;
        let mut dropped =
            self.repeat(|connection| connection.execute(DROP_HOURS, (hours_before, ROWS_AT_ONCE)))?;
        self.transaction(|connection| runs::forget_before(connection, before))?;
        dropped +=
            self.repeat(|connection| connection.execute(DROP_RUNS, (before, ROWS_AT_ONCE)))?;
        self.transaction(|connection| {
            connection.execute("DELETE FROM name_address WHERE last_ns < ?1", (before,))
        })?;
        self.transaction(|connection| {
            connection.execute("DELETE FROM identity_file WHERE last_ns < ?1", (before,))
        })?;
        for statement in DROP_REFERENCES {
            self.transaction(|connection| connection.execute(statement, []))?;
        }
        Ok(dropped)
    }

    fn drop_until_within(&mut self, limit: u64, pruned: &mut Pruned) -> Result<(), StoreError> {
        while self.used_bytes()? > limit {
            let rows: i64 = self.connection_work(|connection| {
                connection.query_row("SELECT COUNT(*) FROM flow", [], |row| row.get(0))
            })?;
            if rows == 0 {
                return Ok(());
            }
            // A part of what there is, so that no more goes than has to.
            let at_once = (rows / 20).clamp(100, ROWS_AT_ONCE);
            pruned.flows += self
                .transaction(|connection| drop_flows(connection, DROP_OLDEST_FLOWS, (at_once,)))?;
            pruned.processes += self.drop_unused_processes()?;
        }
        Ok(())
    }

    fn give_back_pages(&mut self) -> Result<(), StoreError> {
        self.connection_work(|connection| {
            let mut free = number(connection, "freelist_count")?;
            while free > 0 {
                let mut statement = connection.prepare_cached(GIVE_BACK_PAGES)?;
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                let left = number(connection, "freelist_count")?;
                if left >= free {
                    break;
                }
                free = left;
            }
            Ok(())
        })
    }

    /// Pages that hold something; what is free goes back to the file system at the end.
    fn used_bytes(&self) -> Result<u64, StoreError> {
        self.connection_work(|connection| {
            let pages = number(connection, "page_count")? - number(connection, "freelist_count")?;
            Ok(uncount(
                pages.saturating_mul(number(connection, "page_size")?),
            ))
        })
    }

    fn file_bytes(&self) -> Result<u64, StoreError> {
        self.connection_work(|connection| {
            let pages = number(connection, "page_count")?;
            Ok(uncount(
                pages.saturating_mul(number(connection, "page_size")?),
            ))
        })
    }

    fn pragma(&self, name: &str, value: bool) -> Result<(), StoreError> {
        self.connection_work(|connection| connection.pragma_update(None, name, value))
    }

    /// Runs one transaction after another until there is nothing left to drop.
    fn repeat(
        &mut self,
        mut drop_some: impl FnMut(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            match self.transaction(&mut drop_some)? {
                0 => return Ok(dropped),
                some => dropped += some,
            }
        }
    }

    fn transaction(
        &mut self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<u64, StoreError> {
        // Rows that other recorders of this process know by number may go; theirs notice, and so
        // must this one.
        self.interned = super::intern::Interned::default();
        let run = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let rows = write(&transaction)?;
            transaction.commit()?;
            Ok(rows as u64)
        };
        run(&mut self.connection).map_err(|error| StoreError::of_sqlite(&self.path, error))
    }

    fn connection_work<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| self.failed(error))
    }
}

/// Runs a statement that drops flows and says whose they were; their watch periods have fewer then.
fn drop_flows(
    connection: &Connection,
    statement: &str,
    which: impl Params,
) -> rusqlite::Result<usize> {
    let mut by_maker = BTreeMap::<i64, i64>::new();
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(which)?;
    while let Some(row) = rows.next()? {
        *by_maker.entry(row.get(0)?).or_default() += 1;
    }
    let mut dropped = 0;
    let mut period_of =
        connection.prepare_cached("SELECT watch_period_id FROM maker WHERE id = ?1")?;
    for (maker, count) in by_maker {
        let period = period_of.query_row((maker,), |row| row.get(0))?;
        change_count(connection, period, -count)?;
        dropped += usize::try_from(count).unwrap_or_default();
    }
    Ok(dropped)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}
