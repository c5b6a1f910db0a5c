//! Sums by hour, as they are read.

use std::ops::Range;

use rusqlite::Connection;

use super::{
    calendar::bit_of,
    packed::DayContact,
    share::Sum,
    value::{outcome_of, uncount},
};
use crate::model::Tally;

/// A row of the rollup by hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct HourSum {
    pub(super) hour: i64,
    pub(super) identity: i64,
    pub(super) destination: i64,
    /// Its number.
    pub(super) outcome: i64,
    pub(super) sum: Sum,
}

impl HourSum {
    /// As a part of its day.
    pub(super) fn contact(&self) -> rusqlite::Result<DayContact> {
        Ok(DayContact {
            destination: self.destination,
            outcome: outcome_of(self.outcome)?,
            hours: bit_of(self.hour),
            sum: self.sum,
        })
    }
}

const HOURS: &str = "
SELECT
  hour_ns, identity_id, destination_id, outcome, name_source, attempts, bytes_out, bytes_in,
  first_ns, last_ns
FROM contact_hour
WHERE hour_ns >= ?1
  AND hour_ns < ?2
ORDER BY hour_ns";

/// Reads the hours that begin in a stretch, in order.
pub(super) fn each_hour(
    connection: &Connection,
    stretch: Range<i64>,
    mut each: impl FnMut(HourSum) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(HOURS)?;
    let mut rows = statement.query((stretch.start, stretch.end))?;
    while let Some(row) = rows.next()? {
        each(HourSum {
            hour: row.get(0)?,
            identity: row.get(1)?,
            destination: row.get(2)?,
            outcome: row.get(3)?,
            sum: Sum {
                name_source: row.get(4)?,
                tally: Tally {
                    attempts: uncount(row.get(5)?),
                    bytes_out: uncount(row.get(6)?),
                    bytes_in: uncount(row.get(7)?),
                },
                first: row.get(8)?,
                last: row.get(9)?,
            },
        })?;
    }
    Ok(())
}
