//! The rows that sums are kept in.

use rusqlite::{Connection, named_params};

use super::{
    share::{AddressKey, Period, Sum, SumKey},
    value::count,
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

// Sums stop at the largest integer: one more would turn them into a float, which the table refuses.
const WRITE_HOUR: &str = "
INSERT INTO contact_hour (
  hour_ns, identity_id, destination_id, outcome, origin_id,
  name_source, attempts, bytes_out, bytes_in, first_ns, last_ns
)
VALUES (
  :period, :identity, :destination, :outcome, :origin,
  :name_source, :attempts, :bytes_out, :bytes_in, :first, :last
)
ON CONFLICT DO UPDATE SET
  name_source = ifnull(
    min(name_source, excluded.name_source),
    ifnull(name_source, excluded.name_source)
  ),
  attempts = iif(
    :raise,
    max(attempts, excluded.attempts),
    min(attempts + excluded.attempts, 9223372036854775807)
  ),
  bytes_out = iif(
    :raise,
    max(bytes_out, excluded.bytes_out),
    min(bytes_out + excluded.bytes_out, 9223372036854775807)
  ),
  bytes_in = iif(
    :raise,
    max(bytes_in, excluded.bytes_in),
    min(bytes_in + excluded.bytes_in, 9223372036854775807)
  ),
  first_ns = min(first_ns, excluded.first_ns),
  last_ns = max(last_ns, excluded.last_ns)";

const WRITE_RUN: &str = "
INSERT INTO contact_run (
  run_id, identity_id, destination_id, outcome, origin_id,
  name_source, attempts, bytes_out, bytes_in, first_ns, last_ns
)
VALUES (
  :period, :identity, :destination, :outcome, :origin,
  :name_source, :attempts, :bytes_out, :bytes_in, :first, :last
)
ON CONFLICT DO UPDATE SET
  name_source = ifnull(
    min(name_source, excluded.name_source),
    ifnull(name_source, excluded.name_source)
  ),
  attempts = iif(
    :raise,
    max(attempts, excluded.attempts),
    min(attempts + excluded.attempts, 9223372036854775807)
  ),
  bytes_out = iif(
    :raise,
    max(bytes_out, excluded.bytes_out),
    min(bytes_out + excluded.bytes_out, 9223372036854775807)
  ),
  bytes_in = iif(
    :raise,
    max(bytes_in, excluded.bytes_in),
    min(bytes_in + excluded.bytes_in, 9223372036854775807)
  ),
  first_ns = min(first_ns, excluded.first_ns),
  last_ns = max(last_ns, excluded.last_ns)";

/// Adds to a sum or raises it. A sum of nothing is no contact and makes no row, except that of
/// connections which were open and silent.
pub(super) fn write_sum(
    connection: &Connection,
    key: &SumKey,
    sum: &Sum,
    meet: Meet,
) -> rusqlite::Result<()> {
    if sum.tally == Tally::default() && key.outcome != Outcome::Established {
        return Ok(());
    }
    let (statement, period) = match key.period {
        Period::Hour(hour) => (WRITE_HOUR, hour),
        Period::Run(run) => (WRITE_RUN, run),
    };
    connection
        .prepare_cached(statement)?
        .execute(named_params! {
            ":period": period,
            ":identity": key.identity,
            ":destination": key.destination,
            ":outcome": key.outcome.word(),
            ":origin": key.origin,
            ":name_source": sum.name_source,
            ":attempts": count(sum.tally.attempts),
            ":bytes_out": count(sum.tally.bytes_out),
            ":bytes_in": count(sum.tally.bytes_in),
            ":first": sum.first,
            ":last": sum.last,
            ":raise": meet == Meet::Raise,
        })?;
    Ok(())
}

const TAKE_FROM_HOUR: &str = "
UPDATE contact_hour
SET
  attempts = max(0, attempts - :attempts),
  bytes_out = max(0, bytes_out - :bytes_out),
  bytes_in = max(0, bytes_in - :bytes_in)
WHERE hour_ns = :period
  AND identity_id = :identity
  AND destination_id = :destination
  AND outcome = :outcome
  AND origin_id = :origin";

const DROP_EMPTY_HOUR: &str = "
DELETE FROM contact_hour
WHERE hour_ns = :period
  AND identity_id = :identity
  AND destination_id = :destination
  AND outcome = :outcome
  AND origin_id = :origin
  AND attempts = 0
  AND bytes_out = 0
  AND bytes_in = 0";

const TAKE_FROM_RUN: &str = "
UPDATE contact_run
SET
  attempts = max(0, attempts - :attempts),
  bytes_out = max(0, bytes_out - :bytes_out),
  bytes_in = max(0, bytes_in - :bytes_in)
WHERE run_id = :period
  AND identity_id = :identity
  AND destination_id = :destination
  AND outcome = :outcome
  AND origin_id = :origin";

const DROP_EMPTY_RUN: &str = "
DELETE FROM contact_run
WHERE run_id = :period
  AND identity_id = :identity
  AND destination_id = :destination
  AND outcome = :outcome
  AND origin_id = :origin
  AND attempts = 0
  AND bytes_out = 0
  AND bytes_in = 0";

/// Takes from a sum; one that falls to nothing goes. First and last stay as wide as they were.
pub(super) fn take_from_sum(
    connection: &Connection,
    key: &SumKey,
    tally: &Tally,
) -> rusqlite::Result<()> {
    let (take, drop, period) = match key.period {
        Period::Hour(hour) => (TAKE_FROM_HOUR, DROP_EMPTY_HOUR, hour),
        Period::Run(run) => (TAKE_FROM_RUN, DROP_EMPTY_RUN, run),
    };
    connection.prepare_cached(take)?.execute(named_params! {
        ":period": period,
        ":identity": key.identity,
        ":destination": key.destination,
        ":outcome": key.outcome.word(),
        ":origin": key.origin,
        ":attempts": count(tally.attempts),
        ":bytes_out": count(tally.bytes_out),
        ":bytes_in": count(tally.bytes_in),
    })?;
    connection.prepare_cached(drop)?.execute(named_params! {
        ":period": period,
        ":identity": key.identity,
        ":destination": key.destination,
        ":outcome": key.outcome.word(),
        ":origin": key.origin,
    })?;
    Ok(())
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
pub(super) fn write_address(
    connection: &Connection,
    key: &AddressKey,
    sum: &Sum,
    meet: Meet,
) -> rusqlite::Result<()> {
    connection.prepare_cached(WRITE_ADDRESS)?.execute((
        key.host,
        key.name,
        &key.address,
        key.origin,
        sum.first,
        sum.last,
        count(sum.tally.attempts),
        meet == Meet::Raise,
    ))?;
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
pub(super) fn take_from_address(
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
    connection.prepare_cached(TAKE_FROM_ADDRESS)?.execute((
        host,
        name,
        address,
        origin,
        count(attempts),
    ))?;
    connection
        .prepare_cached(DROP_EMPTY_ADDRESS)?
        .execute((host, name, address, origin))?;
    Ok(())
}
