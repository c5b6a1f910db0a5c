//! Takes from the rollups what turned out otherwise.

use rusqlite::Connection;

use super::{
    days,
    rollup::{HOURS, RUNS},
    runs,
    share::{AddressKey, Period, Share, SumKey},
    value::{count, number_of},
};
use crate::model::Tally;

fn take_from(table: &str, period: &str) -> String {
    format!(
        "UPDATE {table}
         SET
           attempts = max(0, attempts - ?6),
           bytes_out = max(0, bytes_out - ?7),
           bytes_in = max(0, bytes_in - ?8)
         {}",
        of_key(period)
    )
}

fn drop_empty(table: &str, period: &str) -> String {
    format!(
        "DELETE FROM {table}
         {}
           AND attempts = 0
           AND bytes_out = 0
           AND bytes_in = 0",
        of_key(period)
    )
}

fn of_key(period: &str) -> String {
    format!(
        "WHERE {period} = ?1
           AND identity_id = ?2
           AND destination_id = ?3
           AND outcome = ?4
           AND origin_id = ?5"
    )
}

impl Share {
    /// Takes it out again; sums that fall to nothing go. First and last stay as wide as they were.
    pub(super) fn remove(&self, connection: &Connection) -> rusqlite::Result<()> {
        for key in self.keys() {
            take_from_sum(connection, key, &self.sum.tally)?;
        }
        match &self.address {
            Some(address) => take_from_address(connection, address, self.sum.tally.attempts),
            None => Ok(()),
        }
    }
}

/// Takes from a sum; one that falls to nothing goes. First and last stay as wide as they were.
fn take_from_sum(connection: &Connection, key: &SumKey, tally: &Tally) -> rusqlite::Result<()> {
    let ((table, column), period) = match key.period {
        Period::Hour(hour) => {
            days::hours_changed(connection, [hour])?;
            (HOURS, hour)
        }
        Period::Run(run) => {
            runs::runs_changed(connection, [run])?;
            (RUNS, run)
        }
    };
    let outcome = number_of(key.outcome);
    connection
        .prepare_cached(&take_from(table, column))?
        .execute((
            period,
            key.identity,
            key.destination,
            outcome,
            key.origin,
            count(tally.attempts),
            count(tally.bytes_out),
            count(tally.bytes_in),
        ))?;
    connection
        .prepare_cached(&drop_empty(table, column))?
        .execute((period, key.identity, key.destination, outcome, key.origin))?;
    Ok(())
}

const TAKE_FROM_ADDRESS: &str = "
UPDATE name_address
SET attempts = max(0, attempts - ?5)
WHERE host_id = ?1
  AND name_id = ?2
  AND address = ?3
  AND origin_id = ?4";

const DROP_EMPTY_ADDRESS: &str = "
DELETE FROM name_address
WHERE host_id = ?1
  AND name_id = ?2
  AND address = ?3
  AND origin_id = ?4
  AND attempts = 0";

/// Takes attempts from an address under a name; one that is left with none goes.
fn take_from_address(
    connection: &Connection,
    key: &AddressKey,
    attempts: u64,
) -> rusqlite::Result<()> {
    let AddressKey {
        origin,
        host,
        name,
        address,
    } = key;
    let address = address.to_string();
    connection.prepare_cached(TAKE_FROM_ADDRESS)?.execute((
        host,
        name,
        &address,
        origin,
        count(attempts),
    ))?;
    connection
        .prepare_cached(DROP_EMPTY_ADDRESS)?
        .execute((host, name, &address, origin))?;
    Ok(())
}
