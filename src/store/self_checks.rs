//! Self-checks: what canary flows proved, kept with the watch period that they were made in.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Reader, Recorder, StoreError, WatchPeriodId,
    import::ImportTransaction,
    value::{Columns as _, invalid},
    write::THIS_STORE,
};
use crate::model::{CheckedKind, SelfCheck, Verdict};

/// Checks with the watch periods that they belong to, oldest first.
const CHECKS: &str = "
SELECT c.*
FROM self_check AS c
JOIN watch_period AS w ON w.id = c.watch_period_id
ORDER BY w.started_ns, w.id, c.checked_ns";

const KINDS: &str = "
SELECT *
FROM self_check_kind
ORDER BY self_check_id, position";

/// The watch period of an observer that records now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWatchPeriod {
    /// Its number.
    pub id: WatchPeriodId,
    /// The hooks that it records through.
    pub backend: Option<String>,
}

impl Recorder {
    /// Keeps what a self-check found; one transaction.
    pub fn record_self_check(
        &mut self,
        period: WatchPeriodId,
        check: &SelfCheck,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.in_transaction(|writer| {
            add(writer.connection, period, check)
                .map_err(|error| StoreError::of_sqlite(&path, error))
        })
    }

    /// The watch period of the observer that records into this store now, if one does.
    pub fn open_watch_period(&self) -> Result<Option<OpenWatchPeriod>, StoreError> {
        self.connection
            .query_row(
                "SELECT id, backend
                 FROM watch_period
                 WHERE origin_id = ?1
                   AND kind = 'observe'
                   AND ended_ns IS NULL
                 ORDER BY covered_until_ns DESC
                 LIMIT 1",
                (THIS_STORE,),
                |row| {
                    Ok(OpenWatchPeriod {
                        id: row.get("id").map(WatchPeriodId)?,
                        backend: row.get("backend")?,
                    })
                },
            )
            .optional()
            .map_err(|error| self.failed(error))
    }
}

impl Reader {
    /// All self-checks with the watch periods that they were made in, in order.
    pub fn self_checks(&self) -> Result<Vec<(WatchPeriodId, SelfCheck)>, StoreError> {
        stored(&self.connection).map_err(|error| self.failed(error))
    }
}

impl ImportTransaction<'_> {
    /// Adds a self-check of the dump; the same check told again adds nothing.
    pub(super) fn merge_self_check(
        &self,
        period: WatchPeriodId,
        check: &SelfCheck,
    ) -> rusqlite::Result<()> {
        add(self.writer.connection, period, check)
    }
}

/// Everything that is stored, in order.
pub(super) fn stored(connection: &Connection) -> rusqlite::Result<Vec<(WatchPeriodId, SelfCheck)>> {
    let mut kinds = BTreeMap::<i64, Vec<CheckedKind>>::new();
    let mut statement = connection.prepare(KINDS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        kinds
            .entry(row.get("self_check_id")?)
            .or_default()
            .push(kind_of(row)?);
    }
    connection
        .prepare(CHECKS)?
        .query_map([], |row| {
            let id = row.get("id")?;
            let check = SelfCheck {
                at: row.time("checked_ns")?,
                kernel: row.get("kernel")?,
                backend: row.get("backend")?,
                obstacle: row.get("obstacle")?,
                kinds: kinds.remove(&id).unwrap_or_default(),
            };
            Ok((row.get("watch_period_id").map(WatchPeriodId)?, check))
        })?
        .collect()
}

fn kind_of(row: &Row<'_>) -> rusqlite::Result<CheckedKind> {
    let word: String = row.get("verdict")?;
    let verdict: Verdict = word
        .parse()
        .map_err(|()| invalid(format!("`{word}` is no verdict").into()))?;
    Ok(CheckedKind {
        kind: row.get("kind")?,
        verdict,
        blind_spot: row.get("blind_spot")?,
        detail: row.get("detail")?,
    })
}

fn add(connection: &Connection, period: WatchPeriodId, check: &SelfCheck) -> rusqlite::Result<()> {
    let added: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO self_check (watch_period_id, checked_ns, kernel, backend, obstacle)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING
             RETURNING id",
        )?
        .query_row(
            params![
                period.0,
                check.at.unix_ns(),
                check.kernel,
                check.backend,
                check.obstacle
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = added else {
        return Ok(());
    };
    let mut statement = connection.prepare_cached(
        "INSERT INTO self_check_kind (self_check_id, position, kind, verdict, blind_spot, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (position, kind) in (0_i64..).zip(&check.kinds) {
        statement.execute(params![
            id,
            position,
            kind.kind,
            kind.verdict.word(),
            kind.blind_spot,
            kind.detail
        ])?;
    }
    Ok(())
}
