//! Days that are summed up: what windows of many days are answered from.
//!
//! Invariant: a day in `summed_day` has in `contact_day` exactly what `contact_hour` has of it. Who
//! changes an hour says so in the same transaction, and the day is summed up anew later.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    Recorder, StoreError,
    packed::{DayContact, Packer},
    share::Sum,
    value::{outcome_of, uncount},
};
use crate::model::{Tally, Timestamp};

pub(super) const HOUR: i64 = 3_600_000_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// The start of the UTC day that an hour lies in.
pub(super) fn day_of(hour: i64) -> i64 {
    hour.saturating_sub(hour.rem_euclid(DAY))
}

/// The bit of an hour within its day.
pub(super) fn bit_of(hour: i64) -> u32 {
    let hours = hour.saturating_sub(day_of(hour)) / HOUR;
    1 << u32::try_from(hours).unwrap_or_default().min(23)
}

/// Notes that something in these hours changes.
pub(super) fn hours_changed(
    connection: &Connection,
    hours: impl IntoIterator<Item = i64>,
) -> rusqlite::Result<()> {
    let days: BTreeSet<i64> = hours.into_iter().map(day_of).collect();
    for day in days {
        forget(connection, day)?;
    }
    Ok(())
}

fn forget(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    let was_summed = connection
        .prepare_cached("DELETE FROM summed_day WHERE day_ns = ?1")?
        .execute((day,))?;
    if was_summed > 0 {
        connection
            .prepare_cached("DELETE FROM contact_day WHERE day_ns = ?1")?
            .execute((day,))?;
    }
    Ok(())
}

/// Hours before this one are about to be dropped.
pub(super) fn forget_before(connection: &Connection, hour: i64) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM contact_day WHERE day_ns < ?1", (hour,))?;
    connection.execute("DELETE FROM summed_day WHERE day_ns < ?1", (hour,))
}

/// Summed days that begin in a stretch, in order.
pub(super) fn summed(connection: &Connection, days: Range<i64>) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT day_ns
             FROM summed_day
             WHERE day_ns >= ?1
               AND day_ns < ?2
             ORDER BY day_ns",
        )?
        .query_map((days.start, days.end), |row| row.get(0))?
        .collect()
}

/// The next day after one that has hours.
const NEXT_DAY: &str = "
SELECT hour_ns
FROM contact_hour
WHERE hour_ns >= ?1
ORDER BY hour_ns
LIMIT 1";

const HOURS_OF_DAY: &str = "
SELECT
  hour_ns, identity_id, destination_id, outcome, name_source, attempts, bytes_out, bytes_in,
  first_ns, last_ns
FROM contact_hour
WHERE hour_ns >= ?1
  AND hour_ns < ?2";

impl Recorder {
    /// Sums up the days that are over, each in a transaction of its own. What was recorded is
    /// complete without it: it only makes long windows fast.
    pub fn sum_up_days(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::of_sqlite(&self.path, error);
        for day in days_to_sum(&self.connection).map_err(failed)? {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            sum_up(&transaction, day).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(())
    }
}

/// Days with hours that are over and not summed up.
fn days_to_sum(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let covered_until: Option<i64> = connection.query_row(
        "SELECT MAX(covered_until_ns) FROM watch_period WHERE kind = 'observe'",
        [],
        |row| row.get(0),
    )?;
    let summed: BTreeSet<i64> = summed(connection, i64::MIN..i64::MAX)?
        .into_iter()
        .collect();
    // Without an observer nothing is still to come.
    let today = covered_until.map_or(i64::MAX, |at| {
        day_of(Timestamp::from_unix_ns(at).hour().unix_ns())
    });
    let mut days = Vec::new();
    let mut from = i64::MIN;
    let mut statement = connection.prepare_cached(NEXT_DAY)?;
    loop {
        let mut rows = statement.query((from,))?;
        let Some(row) = rows.next()? else {
            return Ok(days);
        };
        let day = day_of(row.get(0)?);
        if day >= today {
            return Ok(days);
        }
        if !summed.contains(&day) {
            days.push(day);
        }
        let Some(next) = day.checked_add(DAY) else {
            return Ok(days);
        };
        from = next;
    }
}

type DayContacts = BTreeMap<(i64, i64, i64), (u32, Sum)>;

fn sum_up(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    forget(connection, day)?;
    let mut contacts = DayContacts::new();
    let mut statement = connection.prepare_cached(HOURS_OF_DAY)?;
    let mut rows = statement.query((day, day.saturating_add(DAY)))?;
    while let Some(row) = rows.next()? {
        let sum = Sum {
            name_source: row.get(4)?,
            tally: Tally {
                attempts: uncount(row.get(5)?),
                bytes_out: uncount(row.get(6)?),
                bytes_in: uncount(row.get(7)?),
            },
            first: row.get(8)?,
            last: row.get(9)?,
        };
        let hour = bit_of(row.get(0)?);
        contacts
            .entry((row.get(1)?, row.get(2)?, row.get(3)?))
            .and_modify(|(hours, total)| {
                *hours |= hour;
                *total = total.plus(sum);
            })
            .or_insert((hour, sum));
    }
    write(connection, day, contacts)?;
    connection
        .prepare_cached("INSERT INTO summed_day (day_ns) VALUES (?1)")?
        .execute((day,))?;
    Ok(())
}

fn write(connection: &Connection, day: i64, contacts: DayContacts) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO contact_day (day_ns, identity_id, contacts) VALUES (?1, ?2, ?3)",
    )?;
    let mut by_identity = BTreeMap::<i64, Packer>::new();
    for ((identity, destination, outcome), (hours, sum)) in contacts {
        let contact = DayContact {
            destination,
            outcome: outcome_of(outcome)?,
            hours,
            sum,
        };
        by_identity
            .entry(identity)
            .or_default()
            .add(day, outcome, &contact);
    }
    for (identity, packer) in by_identity {
        insert.execute((day, identity, packer.finish()))?;
    }
    Ok(())
}
