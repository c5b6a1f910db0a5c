//! Writing flow rows, many with one statement.

use std::{collections::BTreeMap, sync::LazyLock};

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::WatchPeriodId;

/// Rows of one statement: most of what a single row costs is to start and to end its statement.
const ROWS: usize = 32;

/// A flow as its table holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowRow {
    pub(super) maker: i64,
    pub(super) destination: i64,
    pub(super) address: Option<i64>,
    pub(super) name_source: Option<i64>,
    pub(super) start: i64,
    pub(super) end: Option<i64>,
    pub(super) source_port: Option<u16>,
    pub(super) outcome: i64,
    pub(super) errno: Option<i32>,
    pub(super) attempts: i64,
    pub(super) bytes_out: Option<i64>,
    pub(super) bytes_in: Option<i64>,
    pub(super) duration: Option<i64>,
}

/// Flow rows of one transaction that are numbered but not all written.
#[derive(Debug, Default)]
pub(super) struct FlowRows {
    waiting: Vec<(i64, FlowRow)>,
    /// Number of the next row; known once a row was added.
    next: Option<i64>,
    /// How many rows more (or fewer) each watch period has.
    counts: BTreeMap<i64, i64>,
}

impl FlowRows {
    /// Adds a row under the next number.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        period: WatchPeriodId,
        row: FlowRow,
    ) -> rusqlite::Result<i64> {
        let number = match self.next {
            Some(next) => next,
            None => last_flow(connection)?.saturating_add(1),
        };
        self.next = Some(number.saturating_add(1));
        self.waiting.push((number, row));
        if self.waiting.len() >= ROWS {
            self.write(connection)?;
        }
        *self.counts.entry(period.0).or_default() += 1;
        Ok(number)
    }

    /// Puts a row in the place that it had before.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        period: WatchPeriodId,
        number: i64,
        row: FlowRow,
    ) -> rusqlite::Result<()> {
        self.remove(connection, period, number)?;
        let mut statement = connection.prepare_cached(&INSERT_ONE)?;
        execute(&mut statement, &[(number, row)])?;
        *self.counts.entry(period.0).or_default() += 1;
        self.next = self.next.map(|next| next.max(number.saturating_add(1)));
        Ok(())
    }

    /// Removes a row, if it is there.
    pub(super) fn remove(
        &mut self,
        connection: &Connection,
        period: WatchPeriodId,
        number: i64,
    ) -> rusqlite::Result<()> {
        self.write(connection)?;
        let removed = connection
            .prepare_cached("DELETE FROM flow WHERE id = ?1")?
            .execute((number,))?;
        if removed > 0 {
            *self.counts.entry(period.0).or_default() -= 1;
        }
        Ok(())
    }

    /// Writes the rows that wait.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.waiting.len() == ROWS {
            let mut statement = connection.prepare_cached(&INSERT_MANY)?;
            execute(&mut statement, &self.waiting)?;
        } else if !self.waiting.is_empty() {
            let mut statement = connection.prepare_cached(&INSERT_ONE)?;
            for row in &self.waiting {
                execute(&mut statement, std::slice::from_ref(row))?;
            }
        }
        self.waiting.clear();
        Ok(())
    }

    /// Writes what is left, at the end of the transaction.
    pub(super) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.write(connection)?;
        for (period, count) in std::mem::take(&mut self.counts) {
            change_count(connection, period, count)?;
        }
        Ok(())
    }
}

/// Notes that a watch period has `more` flow rows, or fewer.
pub(super) fn change_count(
    connection: &Connection,
    period: i64,
    more: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE watch_period SET flows = flows + ?2 WHERE id = ?1")?
        .execute((period, more))?;
    Ok(())
}

/// The number of the last flow that a store recorded, dropped ones included.
pub(super) fn last_flow(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'flow'")?
        .query_row([], |row| row.get(0))
        .optional()
        .map(|last| last.unwrap_or(0))
}

static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(ROWS));

fn insert(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO flow (
           id, maker_id, destination_id, address_id, name_source, start_ns, end_ns, source_port,
           outcome, errno, attempts, bytes_out, bytes_in, duration_ns
         )
         VALUES {values}"
    )
}

fn execute(statement: &mut Statement<'_>, rows: &[(i64, FlowRow)]) -> rusqlite::Result<()> {
    for (at, (number, row)) in rows.iter().enumerate() {
        let at = |column| at * 14 + column;
        statement.raw_bind_parameter(at(1), number)?;
        statement.raw_bind_parameter(at(2), row.maker)?;
        statement.raw_bind_parameter(at(3), row.destination)?;
        statement.raw_bind_parameter(at(4), row.address)?;
        statement.raw_bind_parameter(at(5), row.name_source)?;
        statement.raw_bind_parameter(at(6), row.start)?;
        statement.raw_bind_parameter(at(7), row.end)?;
        statement.raw_bind_parameter(at(8), row.source_port)?;
        statement.raw_bind_parameter(at(9), row.outcome)?;
        statement.raw_bind_parameter(at(10), row.errno)?;
        statement.raw_bind_parameter(at(11), row.attempts)?;
        statement.raw_bind_parameter(at(12), row.bytes_out)?;
        statement.raw_bind_parameter(at(13), row.bytes_in)?;
        statement.raw_bind_parameter(at(14), row.duration)?;
    }
    statement.raw_execute()?;
    Ok(())
}
