//! The rows that sums are kept in.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rusqlite::{Connection, Statement};

use super::{
    days, runs,
    share::{AddressKey, Period, Share, Sum, SumKey},
    value::{count, number_of},
};
use crate::model::{Outcome, Tally};

/// How sums meet those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meet {
    /// News: added to them.
    Add,
    /// The same store's total, told at another time: the larger one counts.
    Raise,
}

/// The rollups and the columns of their periods.
pub(super) const HOURS: (&str, &str) = ("contact_hour", "hour_ns");
pub(super) const RUNS: (&str, &str) = ("contact_run", "run_id");

/// Rows of one statement: most of what a single row costs is to start and to end its statement.
const ROWS: usize = 16;

/// Sums that are held in memory before they are written.
const MOST_SUMS: usize = 1 << 17;

/// What one transaction adds to the rollups. It is written at the end of the transaction, in order
/// and each sum once, however many flows it is made of.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: HashMap<SumKey, Sum, RandomState>,
    addresses: HashMap<AddressKey, Sum, RandomState>,
}

impl Sums {
    /// Adds what one flow adds.
    pub(super) fn add(&mut self, connection: &Connection, share: &Share) -> rusqlite::Result<()> {
        for key in share.keys() {
            self.add_sum(*key, share.sum);
        }
        if let Some(address) = share.address {
            self.add_address(address, share.sum);
        }
        if self.sums.len() + self.addresses.len() > MOST_SUMS {
            self.write(connection, Meet::Add)?;
        }
        Ok(())
    }

    pub(super) fn add_sum(&mut self, key: SumKey, sum: Sum) {
        self.sums
            .entry(key)
            .and_modify(|total| *total = total.plus(sum))
            .or_insert(sum);
    }

    pub(super) fn add_address(&mut self, key: AddressKey, sum: Sum) {
        self.addresses
            .entry(key)
            .and_modify(|total| *total = total.plus(sum))
            .or_insert(sum);
    }

    /// Writes everything that was added since the last time.
    pub(super) fn write(&mut self, connection: &Connection, meet: Meet) -> rusqlite::Result<()> {
        // A sum of nothing is no contact and makes no row, except that of connections which were open
        // and silent.
        let mut sums: Vec<(SumKey, Sum)> = self
            .sums
            .drain()
            .filter(|(key, sum)| {
                sum.tally != Tally::default() || key.outcome == Outcome::Established
            })
            .collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        let is_hour = |(key, _): &(SumKey, Sum)| matches!(key.period, Period::Hour(_));
        let (hours, of_runs) = sums.split_at(sums.partition_point(is_hour));
        days::hours_changed(connection, periods_of(hours))?;
        runs::runs_changed(connection, periods_of(of_runs))?;
        write_rows(connection, HOURS, hours, meet)?;
        write_rows(connection, RUNS, of_runs, meet)?;
        let mut addresses: Vec<(AddressKey, Sum)> = self.addresses.drain().collect();
        addresses.sort_unstable_by_key(|(key, _)| *key);
        for (key, sum) in &addresses {
            write_address(connection, key, sum, meet)?;
        }
        Ok(())
    }
}

/// Each once and in order, as sums of one kind are.
fn periods_of(sums: &[(SumKey, Sum)]) -> impl Iterator<Item = i64> {
    sums.chunk_by(|(one, _), (other, _)| one.period == other.period)
        .filter_map(<[_]>::first)
        .map(|(key, _)| match key.period {
            Period::Hour(period) | Period::Run(period) => period,
        })
}

fn write_rows(
    connection: &Connection,
    (table, period): (&str, &str),
    sums: &[(SumKey, Sum)],
    meet: Meet,
) -> rusqlite::Result<()> {
    let chunks = sums.chunks_exact(ROWS);
    let rest = chunks.remainder();
    if chunks.len() > 0 {
        let mut statement = connection.prepare_cached(&upsert(table, period, ROWS, meet))?;
        for chunk in chunks {
            execute(&mut statement, chunk)?;
        }
    }
    if !rest.is_empty() {
        let mut statement = connection.prepare_cached(&upsert(table, period, 1, meet))?;
        for sum in rest {
            execute(&mut statement, std::slice::from_ref(sum))?;
        }
    }
    Ok(())
}

fn execute(statement: &mut Statement<'_>, sums: &[(SumKey, Sum)]) -> rusqlite::Result<()> {
    for (row, (key, sum)) in sums.iter().enumerate() {
        let at = |column| row * 11 + column;
        let (Period::Hour(period) | Period::Run(period)) = key.period;
        statement.raw_bind_parameter(at(1), period)?;
        statement.raw_bind_parameter(at(2), key.identity)?;
        statement.raw_bind_parameter(at(3), key.destination)?;
        statement.raw_bind_parameter(at(4), number_of(key.outcome))?;
        statement.raw_bind_parameter(at(5), key.origin)?;
        statement.raw_bind_parameter(at(6), sum.name_source)?;
        statement.raw_bind_parameter(at(7), count(sum.tally.attempts))?;
        statement.raw_bind_parameter(at(8), count(sum.tally.bytes_out))?;
        statement.raw_bind_parameter(at(9), count(sum.tally.bytes_in))?;
        statement.raw_bind_parameter(at(10), sum.first)?;
        statement.raw_bind_parameter(at(11), sum.last)?;
    }
    statement.raw_execute()?;
    Ok(())
}

// Sums stop at the largest integer: one more would turn them into a float, which the table refuses.
const ADD: &str = "
  attempts = min(attempts + excluded.attempts, 9223372036854775807),
  bytes_out = min(bytes_out + excluded.bytes_out, 9223372036854775807),
  bytes_in = min(bytes_in + excluded.bytes_in, 9223372036854775807),";

const RAISE: &str = "
  attempts = max(attempts, excluded.attempts),
  bytes_out = max(bytes_out, excluded.bytes_out),
  bytes_in = max(bytes_in, excluded.bytes_in),";

fn upsert(table: &str, period: &str, rows: usize, meet: Meet) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    let sums = match meet {
        Meet::Add => ADD,
        Meet::Raise => RAISE,
    };
    format!(
        "INSERT INTO {table} (
           {period}, identity_id, destination_id, outcome, origin_id,
           name_source, attempts, bytes_out, bytes_in, first_ns, last_ns
         )
         VALUES {values}
         ON CONFLICT DO UPDATE SET
           name_source = ifnull(
             min(name_source, excluded.name_source),
             ifnull(name_source, excluded.name_source)
           ),
           {sums}
           first_ns = min(first_ns, excluded.first_ns),
           last_ns = max(last_ns, excluded.last_ns)"
    )
}

const WRITE_ADDRESS: &str = "
INSERT INTO name_address (host_id, name_id, address, origin_id, first_ns, last_ns, attempts)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO UPDATE SET
  first_ns = min(first_ns, excluded.first_ns),
  last_ns = max(last_ns, excluded.last_ns),
  attempts = iif(
    ?8,
    max(attempts, excluded.attempts),
    min(attempts + excluded.attempts, 9223372036854775807)
  )";

/// Notes an address under a name.
fn write_address(
    connection: &Connection,
    key: &AddressKey,
    sum: &Sum,
    meet: Meet,
) -> rusqlite::Result<()> {
    connection.prepare_cached(WRITE_ADDRESS)?.execute((
        key.host,
        key.name,
        key.address.to_string(),
        key.origin,
        sum.first,
        sum.last,
        count(sum.tally.attempts),
        meet == Meet::Raise,
    ))?;
    Ok(())
}
