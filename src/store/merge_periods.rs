//! Merging the watch periods of a dump, and what was lost in them.

use rusqlite::{OptionalExtension as _, params};

use super::{
    WatchPeriodId,
    import::ImportTransaction,
    write::{THIS_STORE, loss_row},
};
use crate::model::{Loss, Timestamp, WatchPeriod};

impl ImportTransaction<'_> {
    /// Adds a watch period of the dump, or brings the one that is here up to date.
    pub(super) fn merge_watch_period(
        &mut self,
        id: u64,
        period: &WatchPeriod,
    ) -> rusqlite::Result<()> {
        let origin = self.merge.origin.unwrap_or(THIS_STORE);
        if let Some((known, recorded_by)) = self.same_import(period)?
            && recorded_by != origin
        {
            self.merge.known_imports.insert(id);
            self.merge.periods.insert(id, known);
            return Ok(());
        }
        let known = self.same_watch_period(period)?;
        let local = match known {
            Some(local) => {
                self.writer.connection.execute(
                    "UPDATE watch_period
                     SET
                       covered_until_ns = max(covered_until_ns, ?2),
                       ended_ns = ifnull(ended_ns, ?3)
                     WHERE id = ?1",
                    (
                        local.0,
                        period.covered_until.unix_ns(),
                        period.ended.map(Timestamp::unix_ns),
                    ),
                )?;
                local
            }
            None => self.writer.add_watch_period(period, origin)?,
        };
        self.merge.periods.insert(id, local);
        Ok(())
    }

    /// The import of the same content, if it came in before, and the store that recorded it.
    fn same_import(&self, period: &WatchPeriod) -> rusqlite::Result<Option<(WatchPeriodId, i64)>> {
        let Some(source) = &period.source else {
            return Ok(None);
        };
        self.writer
            .connection
            .prepare_cached(
                "SELECT w.id, w.origin_id
                 FROM imported_file AS f
                 JOIN watch_period AS w ON w.id = f.watch_period_id
                 WHERE f.sha256 = ?1
                   AND w.id <> ?2
                 ORDER BY w.id",
            )?
            .query_row((&source.sha256, self.period.0), |row| {
                Ok((WatchPeriodId(row.get(0)?), row.get(1)?))
            })
            .optional()
    }

    fn same_watch_period(
        &mut self,
        period: &WatchPeriod,
    ) -> rusqlite::Result<Option<WatchPeriodId>> {
        let host = self
            .writer
            .interned
            .host(self.writer.connection, &period.host)?;
        self.writer
            .connection
            .prepare_cached(
                "SELECT w.id
                 FROM watch_period AS w
                 LEFT JOIN imported_file AS f ON f.watch_period_id = w.id
                 WHERE w.kind = ?1
                   AND w.host_id = ?2
                   AND w.started_ns = ?3
                   AND w.boot_id IS ?4
                   AND f.sha256 IS ?5
                   AND w.id <> ?6",
            )?
            .query_row(
                params![
                    period.kind.word(),
                    host,
                    period.started.unix_ns(),
                    period.boot_id,
                    period.source.as_ref().map(|source| &source.sha256),
                    self.period.0,
                ],
                |row| row.get(0).map(WatchPeriodId),
            )
            .optional()
    }

    /// Adds a loss of the dump; the same loss told again counts once.
    pub(super) fn merge_loss(&self, period: WatchPeriodId, loss: &Loss) -> rusqlite::Result<()> {
        self.writer
            .connection
            .prepare_cached(
                "INSERT INTO loss (watch_period_id, cause, since_ns, until_ns, count, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET
                   count = max(count, excluded.count),
                   bytes = ifnull(max(bytes, excluded.bytes), ifnull(bytes, excluded.bytes))",
            )?
            .execute(loss_row(period, loss))?;
        Ok(())
    }
}
