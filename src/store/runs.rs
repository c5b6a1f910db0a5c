//! Runs that are over, packed: what the runs of a contact are counted from.
//!
//! Invariant: `contact_run_day` has of a run with a `packed_day_ns` exactly what `contact_run` has of
//! it, under that day. Who changes a run says so in the same transaction, and the day is packed anew
//! later.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{
    Recorder, StoreError,
    calendar::{DAY, day_of},
    days::today,
    packed_runs::{Span, packed},
};

/// Notes that something in these runs changes.
pub(super) fn runs_changed(
    connection: &Connection,
    runs: impl IntoIterator<Item = i64>,
) -> rusqlite::Result<()> {
    let mut day_of_run =
        connection.prepare_cached("SELECT packed_day_ns FROM run WHERE id = ?1")?;
    for run in runs {
        let day: Option<Option<i64>> = day_of_run.query_row((run,), |row| row.get(0)).optional()?;
        if let Some(day) = day.flatten() {
            forget(connection, day)?;
        }
    }
    Ok(())
}

fn forget(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE run SET packed_day_ns = NULL WHERE packed_day_ns = ?1",
        "DELETE FROM packed_run_day WHERE day_ns = ?1",
        "DELETE FROM contact_run_day WHERE day_ns = ?1",
    ] {
        connection.prepare_cached(statement)?.execute((day,))?;
    }
    Ok(())
}

/// Contacts that were over before this time are about to be dropped.
pub(super) fn forget_before(connection: &Connection, time: i64) -> rusqlite::Result<usize> {
    let days: Vec<i64> = connection
        .prepare_cached("SELECT day_ns FROM packed_run_day WHERE first_ns < ?1")?
        .query_map((time,), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for day in &days {
        forget(connection, *day)?;
    }
    Ok(days.len())
}

// By the index of packed days, of which runs that are not packed have none.
const QUIET_RUNS: &str = "
SELECT last_ns
FROM run
WHERE packed_day_ns IS NULL
  AND last_ns < ?1";

const SPANS: &str = "
SELECT c.identity_id, c.destination_id, c.run_id, c.first_ns, c.last_ns
FROM run AS r
CROSS JOIN contact_run AS c ON c.run_id = r.id
WHERE r.packed_day_ns IS NULL
  AND r.last_ns >= ?1
  AND r.last_ns < ?2";

impl Recorder {
    /// Packs the runs that have been quiet since the day before, each day in a transaction of its own.
    pub(super) fn pack_runs(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::of_sqlite(&self.path, error);
        for day in days_to_pack(&self.connection).map_err(failed)? {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            pack(&transaction, day).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(())
    }
}

fn days_to_pack(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut days: Vec<i64> = connection
        .prepare_cached(QUIET_RUNS)?
        .query_map((today(connection)?,), |row| row.get(0).map(day_of))?
        .collect::<rusqlite::Result<_>>()?;
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn pack(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    // With those that were packed under this day before.
    forget(connection, day)?;
    let window = (day, day.saturating_add(DAY));
    let mut by_identity = BTreeMap::<i64, Vec<Span>>::new();
    let mut statement = connection.prepare_cached(SPANS)?;
    let mut rows = statement.query(window)?;
    while let Some(row) = rows.next()? {
        by_identity.entry(row.get(0)?).or_default().push(Span {
            destination: row.get(1)?,
            run: row.get(2)?,
            first: row.get(3)?,
            last: row.get(4)?,
        });
    }
    let spans = || by_identity.values().flatten();
    if let (Some(first), Some(last)) = (
        spans().map(|span| span.first).min(),
        spans().map(|span| span.last).max(),
    ) {
        connection
            .prepare_cached(
                "INSERT INTO packed_run_day (day_ns, first_ns, last_ns) VALUES (?1, ?2, ?3)",
            )?
            .execute((day, first, last))?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO contact_run_day (day_ns, identity_id, counts, spans) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (identity, spans) in by_identity {
        let (counts, spans) = packed(day, spans);
        insert.execute((day, identity, counts, spans))?;
    }
    connection
        .prepare_cached(
            "UPDATE run
             SET packed_day_ns = ?1
             WHERE packed_day_ns IS NULL
               AND last_ns >= ?1
               AND last_ns < ?2",
        )?
        .execute(window)?;
    Ok(())
}
