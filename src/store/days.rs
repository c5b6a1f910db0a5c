//! Days that are summed up: what windows of many days are answered from.
//!
//! Invariant: a day in `summed_day` has in `contact_day` exactly what `contact_hour` has of its hours
//! before `until_ns`. Who changes one of these hours says so in the same transaction, and the day is
//! summed up anew later. The day that is not over is summed up as far as its hours are.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{
    Recorder, StoreError,
    calendar::{DAY, HOUR, bit_of, day_of},
    hours::each_hour,
    packed::{DayContact, Packer},
    share::Sum,
    value::outcome_of,
};
use crate::model::Timestamp;

/// How long it takes until it is known how a connect ended: longer than the kernel tries by default.
const SETTLING: i64 = HOUR / 6;

/// Notes that something in these hours changes.
pub(super) fn hours_changed(
    connection: &Connection,
    hours: impl IntoIterator<Item = i64>,
) -> rusqlite::Result<()> {
    // The first hour of a day that changes decides.
    let mut days = BTreeMap::<i64, i64>::new();
    for hour in hours {
        let first = days.entry(day_of(hour)).or_insert(hour);
        *first = hour.min(*first);
    }
    let mut until_of =
        connection.prepare_cached("SELECT until_ns FROM summed_day WHERE day_ns = ?1")?;
    for (day, hour) in days {
        let until: Option<i64> = until_of.query_row((day,), |row| row.get(0)).optional()?;
        if until.is_some_and(|until| hour < until) {
            forget(connection, day)?;
        }
    }
    Ok(())
}

fn forget(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM summed_day WHERE day_ns = ?1",
        "DELETE FROM contact_day WHERE day_ns = ?1",
    ] {
        connection.prepare_cached(statement)?.execute((day,))?;
    }
    Ok(())
}

/// Hours before this one are about to be dropped.
pub(super) fn forget_before(connection: &Connection, hour: i64) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM contact_day WHERE day_ns < ?1", (hour,))?;
    connection.execute("DELETE FROM summed_day WHERE day_ns < ?1", (hour,))
}

/// What is summed up and lies within a stretch, in order: the start of a day and as far as it goes.
pub(super) fn summed(
    connection: &Connection,
    stretch: Range<i64>,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    connection
        .prepare_cached(
            "SELECT day_ns, until_ns
             FROM summed_day
             WHERE day_ns >= ?1
               AND until_ns <= ?2
             ORDER BY day_ns",
        )?
        .query_map((stretch.start, stretch.end), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

/// Up to here nothing new is expected: nearly every connect that began before has an outcome, and the
/// hours before it will hardly change.
fn settled_until(connection: &Connection) -> rusqlite::Result<i64> {
    let covered_until: Option<i64> = connection.query_row(
        "SELECT MAX(covered_until_ns) FROM watch_period WHERE kind = 'observe'",
        [],
        |row| row.get(0),
    )?;
    // Without an observer nothing is still to come.
    Ok(covered_until.map_or(i64::MAX, |at| at.saturating_sub(SETTLING)))
}

/// The day that is not over; without an observer all are.
pub(super) fn today(connection: &Connection) -> rusqlite::Result<i64> {
    settled_until(connection).map(day_of)
}

/// The next day after one that has hours.
const NEXT_DAY: &str = "
SELECT hour_ns
FROM contact_hour
WHERE hour_ns >= ?1
ORDER BY hour_ns
LIMIT 1";

impl Recorder {
    /// Sums up the hours that are over, each day in a transaction of its own, and packs the runs that
    /// are. What was recorded is complete without it: it only makes long windows fast.
    pub fn sum_up_days(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::of_sqlite(&self.path, error);
        for (day, until) in days_to_sum(&self.connection).map_err(failed)? {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            sum_up(&transaction, day, until).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        self.pack_runs()
    }
}

/// Days with hours that are over and not summed up, and how far each is over.
fn days_to_sum(connection: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    let settled = Timestamp::from_unix_ns(settled_until(connection)?)
        .hour()
        .unix_ns();
    let summed: BTreeMap<i64, i64> = summed(connection, i64::MIN..i64::MAX)?
        .into_iter()
        .collect();
    let mut days = Vec::new();
    let mut from = i64::MIN;
    let mut statement = connection.prepare_cached(NEXT_DAY)?;
    loop {
        let mut rows = statement.query((from,))?;
        let Some(row) = rows.next()? else {
            return Ok(days);
        };
        let day = day_of(row.get(0)?);
        if day >= settled {
            return Ok(days);
        }
        let Some(next) = day.checked_add(DAY) else {
            return Ok(days);
        };
        let until = next.min(settled);
        if summed.get(&day).is_none_or(|summed| *summed < until) {
            days.push((day, until));
        }
        from = next;
    }
}

type DayContacts = BTreeMap<(i64, i64, i64), (u32, Sum)>;

fn sum_up(connection: &Connection, day: i64, until: i64) -> rusqlite::Result<()> {
    forget(connection, day)?;
    let mut contacts = DayContacts::new();
    each_hour(connection, day..until, |part| {
        let bit = bit_of(part.hour);
        contacts
            .entry((part.identity, part.destination, part.outcome))
            .and_modify(|(hours, total)| {
                *hours |= bit;
                *total = total.plus(part.sum);
            })
            .or_insert((bit, part.sum));
        Ok(())
    })?;
    write(connection, day, contacts)?;
    connection
        .prepare_cached("INSERT INTO summed_day (day_ns, until_ns) VALUES (?1, ?2)")?
        .execute((day, until))?;
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
