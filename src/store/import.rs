//! Importing: one file, one transaction, and nothing twice.

use rusqlite::OptionalExtension as _;

use super::{
    Recorded, Recorder, StoreError, WatchPeriodId,
    detail::last_flow,
    flow_id::parts_of,
    merge::Merge,
    open::checkpoint,
    share::Share,
    write::{Maker, Place, THIS_STORE, Writer},
};
use crate::model::{Flow, FlowRecord, Loss, LossCause, Process, Timestamp, WatchPeriod};

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The content came in now.
    Added(Recorded),
    /// A file with this content came in before, at this time; nothing was added.
    KnownFile(Timestamp),
}

/// Numbers beyond are never given to flows; a file that claims one must not use up those below.
const LAST_RESTORED_ROW: i64 = 1 << 53;

/// An import that is under way.
#[derive(Debug)]
pub struct ImportTransaction<'a> {
    pub(super) writer: Writer<'a>,
    pub(super) failed: Failed<'a>,
    pub(super) period: WatchPeriodId,
    pub(super) merge: Merge,
    pub(super) recorded: Recorded,
    /// The newest process that was there before.
    pub(super) last_process: i64,
    store_id: String,
    last_flow: i64,
    skipped_lines: u64,
}

/// Names the database in errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'a>(&'a std::path::Path);

impl Failed<'_> {
    pub(super) fn by(self, error: rusqlite::Error) -> StoreError {
        StoreError::of_sqlite(self.0, error)
    }
}

/// Where a flow comes from, as its id tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Provenance {
    /// It is in the store, or was.
    Known {
        /// The store that recorded it.
        origin: i64,
        /// Its row, which may have been dropped.
        row: Option<i64>,
    },
    /// It is not in the store.
    New {
        /// The store that recorded it.
        origin: i64,
        /// The row that it had here once.
        row: Option<i64>,
    },
}

impl Recorder {
    /// Runs an import as one transaction: `fill` adds records; if it fails nothing is kept.
    pub fn import<E: From<StoreError>>(
        &mut self,
        period: &WatchPeriod,
        fill: impl FnOnce(&mut ImportTransaction<'_>) -> Result<(), E>,
    ) -> Result<Imported, E> {
        let path = self.path.clone();
        let imported = self.in_transaction(|writer| {
            let failed = Failed(&path);
            if let Some(before) = imported_before(writer, period).map_err(|e| failed.by(e))? {
                return Ok(Imported::KnownFile(before));
            }
            let mut import =
                ImportTransaction::begin(writer, failed, period).map_err(|e| failed.by(e))?;
            fill(&mut import)?;
            let recorded = import.finish(period).map_err(|e| failed.by(e))?;
            Ok::<_, E>(Imported::Added(recorded))
        })?;
        // The import is kept whether or not these work: a reader may stand in the way.
        let _not_lost = self.sum_up_days();
        let _not_lost = checkpoint(&self.connection);
        Ok(imported)
    }
}

fn imported_before(
    writer: &Writer<'_>,
    period: &WatchPeriod,
) -> rusqlite::Result<Option<Timestamp>> {
    let Some(source) = &period.source else {
        return Ok(None);
    };
    let before = writer.connection.query_row(
        "SELECT MIN(w.started_ns)
             FROM imported_file AS f
             JOIN watch_period AS w ON w.id = f.watch_period_id
             WHERE f.sha256 = ?1",
        (&source.sha256,),
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(before.map(Timestamp::from_unix_ns))
}

impl<'a> ImportTransaction<'a> {
    fn begin(
        writer: &'a mut Writer<'_>,
        failed: Failed<'a>,
        period: &WatchPeriod,
    ) -> rusqlite::Result<Self> {
        let mut writer = Writer {
            connection: writer.connection,
            interned: &mut *writer.interned,
            rows: &mut *writer.rows,
            sums: &mut *writer.sums,
        };
        let store_id = writer.connection.query_row(
            "SELECT store_id FROM origin WHERE id = ?1",
            (THIS_STORE,),
            |row| row.get(0),
        )?;
        Ok(Self {
            period: writer.add_watch_period(period, THIS_STORE)?,
            last_flow: last_flow(writer.connection)?,
            last_process: writer.connection.query_row(
                "SELECT ifnull(MAX(id), 0) FROM process",
                [],
                |row| row.get(0),
            )?,
            writer,
            failed,
            merge: Merge::default(),
            recorded: Recorded::default(),
            store_id,
            skipped_lines: 0,
        })
    }

    /// Adds a flow of another program's file: identity and process come with it.
    pub fn add_flow(&mut self, record: &FlowRecord) -> Result<(), StoreError> {
        let failed = self.failed;
        let identity = &record.identity;
        let maker = self
            .writer
            .maker(identity, None)
            .map_err(|error| failed.by(error))?;
        let process = record.process.as_deref();
        let run = identity.run.as_deref();
        self.add(&record.flow, maker, process, run, self.period)
            .map_err(|error| failed.by(error))
    }

    /// Counts a line that was skipped on request.
    pub fn skip_line(&mut self) {
        self.skipped_lines += 1;
    }

    /// Adds a flow unless it is known; so it is with `process`, if its maker has none yet.
    pub(super) fn add(
        &mut self,
        flow: &Flow,
        mut maker: Maker,
        process: Option<&Process>,
        run: Option<&str>,
        period: WatchPeriodId,
    ) -> rusqlite::Result<()> {
        let flow_id = flow.flow_id.as_deref();
        match self.provenance(flow_id)? {
            Provenance::Known { origin, row } => {
                self.recorded.known_flows += 1;
                if origin == THIS_STORE || !self.merge.is_complete() {
                    return Ok(());
                }
                // It is part of the other store's total all the same, as it came in then.
                let stored = row.map(|row| self.stored_share(row)).transpose()?.flatten();
                let share = match stored {
                    Some(share) => share,
                    None => {
                        let run = self.writer.run(maker.host, run, flow)?;
                        let references = self.writer.references(flow, &maker, run, origin)?;
                        Share::of(flow, &references)
                    }
                };
                self.merge.add_share(&share);
            }
            Provenance::New { origin, row } => {
                let given_id = flow_id.filter(|_| row.is_none());
                let place = Place {
                    period,
                    origin,
                    row,
                    given_id,
                };
                if let (None, Some(process)) = (maker.process, process) {
                    let connection = self.writer.connection;
                    maker.process = Some(self.writer.interned.process(connection, process)?);
                }
                let (row, share) = self.writer.write_flow(flow, &maker, run, &place)?;
                // What follows in the file may ask for it.
                self.writer.rows.write(self.writer.connection)?;
                if let Some(flow_id) = given_id {
                    self.remember_flow(flow_id, row, origin)?;
                }
                self.merge.use_process(maker.process);
                self.recorded.flows += 1;
                if origin == THIS_STORE || !self.merge.is_complete() {
                    self.writer.add_share(&share)?;
                } else {
                    self.merge.add_share(&share);
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, period: &WatchPeriod) -> rusqlite::Result<Recorded> {
        self.writer.write_all()?;
        self.raise_totals()?;
        self.drop_unused_processes()?;
        if self.skipped_lines > 0 {
            let loss = Loss {
                cause: LossCause::LineSkipped,
                since: period.started,
                until: period.ended.unwrap_or(period.covered_until),
                count: self.skipped_lines,
                bytes: None,
            };
            self.writer.add_loss(self.period, &loss)?;
        }
        Ok(self.recorded)
    }

    fn provenance(&mut self, flow_id: Option<&str>) -> rusqlite::Result<Provenance> {
        let Some(flow_id) = flow_id else {
            let origin = THIS_STORE;
            return Ok(Provenance::New { origin, row: None });
        };
        let parts = parts_of(flow_id);
        if let Some((store, number)) = parts
            && store == self.store_id
            && number < LAST_RESTORED_ROW
        {
            return self.provenance_of_own(number);
        }
        if let Some(known) = self.remembered_flow(flow_id)? {
            return Ok(known);
        }
        let Some((store, number)) = parts else {
            let origin = self.merge.origin.unwrap_or(THIS_STORE);
            return Ok(Provenance::New { origin, row: None });
        };
        let (origin, complete_to) = self.origin(store)?;
        // Once a complete dump of that store came in, all flows up to its last are accounted for,
        // as flows or within its rollups.
        if number <= complete_to && !self.merge.is_complete() {
            return Ok(Provenance::Known { origin, row: None });
        }
        Ok(Provenance::New { origin, row: None })
    }

    /// A flow of this very store is known, unless the database was restored from a backup that is
    /// older than the flow: then it comes back under its number.
    fn provenance_of_own(&self, number: i64) -> rusqlite::Result<Provenance> {
        let origin = THIS_STORE;
        let row = Some(number);
        let is_known = number <= self.last_flow
            || self
                .writer
                .connection
                .prepare_cached("SELECT 1 FROM flow WHERE id = ?1")?
                .exists((number,))?;
        Ok(if is_known {
            Provenance::Known { origin, row }
        } else {
            Provenance::New { origin, row }
        })
    }

    fn remembered_flow(&self, flow_id: &str) -> rusqlite::Result<Option<Provenance>> {
        self.writer
            .connection
            .prepare_cached("SELECT flow, origin_id FROM imported_flow WHERE flow_id = ?1")?
            .query_row((flow_id,), |row| {
                Ok(Provenance::Known {
                    origin: row.get("origin_id")?,
                    row: row.get("flow")?,
                })
            })
            .optional()
    }

    fn remember_flow(&self, flow_id: &str, row: i64, origin: i64) -> rusqlite::Result<()> {
        self.writer
            .connection
            .prepare_cached(
                "INSERT INTO imported_flow (flow_id, flow, origin_id) VALUES (?1, ?2, ?3)",
            )?
            .execute((flow_id, row, origin))?;
        Ok(())
    }
}
