//! Reading: beside a running observer, and on a closed database in a place that cannot be written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Row};

use super::{
    StoreError, WatchPeriodId,
    lock::{self, Holder},
    open,
    value::{Columns as _, invalid},
    write::THIS_STORE,
};
use crate::model::{ImportSource, Loss, LossCause, Timestamp, WatchKind, WatchPeriod, Window};

/// A store that is open for reading; works beside a running observer and on a closed database in a
/// place that cannot be written.
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) store_id: String,
}

/// A watch period as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWatchPeriod {
    /// Its number.
    pub id: WatchPeriodId,
    /// The watch period.
    pub period: WatchPeriod,
    /// Its losses, summed by cause.
    pub losses: Vec<Loss>,
    /// Flows that it recorded and that are still stored in detail.
    pub flows: u64,
}

const WATCH_PERIODS: &str = "
SELECT w.*, h.name AS host, i.file, i.sha256
FROM watch_period AS w
JOIN host AS h ON h.id = w.host_id
LEFT JOIN imported_file AS i ON i.watch_period_id = w.id
WHERE (?1 IS NULL OR max(w.covered_until_ns, ifnull(w.ended_ns, w.covered_until_ns)) >= ?1)
  AND (?2 IS NULL OR w.started_ns < ?2)
ORDER BY w.started_ns, w.id";

impl Reader {
    /// Opens an existing database for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::for_reading(path)?;
        let store_id = connection
            .query_row(
                "SELECT store_id FROM origin WHERE id = ?1",
                (THIS_STORE,),
                |row| row.get(0),
            )
            .map_err(|error| StoreError::of_sqlite(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            store_id,
        })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The pid of the observer that holds the database now, if one does. None too where this user
    /// may not look.
    pub fn observer_pid(&self) -> Result<Option<u32>, StoreError> {
        Ok(match lock::holder(&self.path)? {
            Holder::Observer(pid) => pid,
            Holder::Nobody | Holder::Unknown => None,
        })
    }

    /// All watch periods that reach into the window, in order of their start.
    pub fn watch_periods(&self, window: &Window) -> Result<Vec<StoredWatchPeriod>, StoreError> {
        let failed = |error| self.failed(error);
        let mut losses = self.losses().map_err(failed)?;
        let mut statement = self.connection.prepare(WATCH_PERIODS).map_err(failed)?;
        statement
            .query_map(
                (
                    window.since.map(Timestamp::unix_ns),
                    window.until.map(Timestamp::unix_ns),
                ),
                |row| {
                    let id = row.get("id")?;
                    Ok(StoredWatchPeriod {
                        id: WatchPeriodId(id),
                        period: watch_period_of(row)?,
                        losses: losses.remove(&id).unwrap_or_default(),
                        flows: row.counted("flows")?,
                    })
                },
            )
            .and_then(Iterator::collect)
            .map_err(failed)
    }

    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of_sqlite(&self.path, error)
    }

    fn losses(&self) -> rusqlite::Result<BTreeMap<i64, Vec<Loss>>> {
        let mut by_period = BTreeMap::<i64, Vec<Loss>>::new();
        let mut statement = self.connection.prepare(
            "SELECT
               watch_period_id,
               cause,
               MIN(since_ns) AS since_ns,
               MAX(until_ns) AS until_ns,
               CAST(TOTAL(count) AS INTEGER) AS count,
               CASE WHEN COUNT(bytes) > 0 THEN CAST(TOTAL(bytes) AS INTEGER) END AS bytes
             FROM loss
             GROUP BY watch_period_id, cause",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            by_period
                .entry(row.get("watch_period_id")?)
                .or_default()
                .push(loss_of(row)?);
        }
        for losses in by_period.values_mut() {
            losses.sort_by_key(|loss| loss.cause);
        }
        Ok(by_period)
    }
}

/// A loss from a row of its table.
pub(super) fn loss_of(row: &Row<'_>) -> rusqlite::Result<Loss> {
    let word: String = row.get("cause")?;
    let cause: LossCause = word
        .parse()
        .map_err(|()| invalid(format!("`{word}` is no cause of loss").into()))?;
    Ok(Loss {
        cause,
        since: row.time("since_ns")?,
        until: row.time("until_ns")?,
        count: row.counted("count")?,
        bytes: row.maybe_counted("bytes")?,
    })
}

/// A watch period from a row of its table with `host`, `file` and `sha256` beside it.
pub(super) fn watch_period_of(row: &Row<'_>) -> rusqlite::Result<WatchPeriod> {
    let word: String = row.get("kind")?;
    let kind = [WatchKind::Observe, WatchKind::Import]
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| invalid(format!("`{word}` is no kind of watch period").into()))?;
    let file: Option<String> = row.get("file")?;
    Ok(WatchPeriod {
        kind,
        host: row.get("host")?,
        boot_id: row.get("boot_id")?,
        program_version: row.get("program_version")?,
        backend: row.get("backend")?,
        backend_failures: row.parsed("backend_failures")?,
        blind_spots: row.parsed("blind_spots")?,
        settings: row.parsed("settings")?,
        source: file
            .zip(row.get("sha256")?)
            .map(|(file, sha256)| ImportSource { file, sha256 }),
        started: row.time("started_ns")?,
        covered_until: row.time("covered_until_ns")?,
        ended: row
            .get::<_, Option<i64>>("ended_ns")?
            .map(Timestamp::from_unix_ns),
    })
}
