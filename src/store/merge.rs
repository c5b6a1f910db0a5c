//! Merging the dump of another store into this one.
//!
//! A complete dump tells the other store's total for each of its sums: the flows that it still
//! holds in detail, plus what its rollups hold beyond them. That total is raised here, never added,
//! so a second dump of the same store, taken later or earlier, brings only what is news.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use rusqlite::OptionalExtension as _;

use super::{
    StoreError, WatchPeriodId,
    flows::FLOW_OF_ROW,
    import::ImportTransaction,
    intern::Interned,
    rollup::{Meet, Sums},
    rows::flow_of,
    share::{AddressKey, FlowReferences, Period, Share, Sum, SumKey},
    value::{count, rank},
    write::{Maker, THIS_STORE},
};
use crate::model::{
    Application, Context, FileRole, IdentityRecord, NameAddress, Process, ProcessFiles,
    RawIdentity, Record, RecordedFlow, Rollup, RollupPeriod, Tally,
};

/// What the records of a dump refer to, and the totals that they add up to.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// The store that the dump was taken from; known if the dump is complete.
    pub(super) origin: Option<i64>,
    last_flow: u64,
    pub(super) periods: HashMap<u64, WatchPeriodId>,
    /// Imports of files that came in here another way; their flows are here already.
    pub(super) known_imports: HashSet<u64>,
    identities: HashMap<u64, (i64, i64)>,
    processes: HashMap<u64, i64>,
    files: HashMap<u64, i64>,
    /// Processes that came in now and that no flow needed yet.
    unused_processes: HashSet<i64>,
    /// Totals of the other stores.
    totals: Sums,
}

impl Merge {
    /// Notes that a flow needs a process.
    pub(super) fn use_process(&mut self, process: Option<i64>) {
        if let Some(process) = process {
            self.unused_processes.remove(&process);
        }
    }

    /// Whether totals can be told: flows alone may be any part of a store.
    pub(super) fn is_complete(&self) -> bool {
        self.origin.is_some()
    }

    /// Adds a flow to the totals.
    pub(super) fn add_share(&mut self, share: &Share) {
        for key in share.keys() {
            self.totals.add_sum(*key, share.sum);
        }
        if let Some(address) = share.address {
            self.totals.add_address(address, share.sum);
        }
    }
}

impl ImportTransaction<'_> {
    /// Adds a record of a dump; `application` is what its identity stands for now (for
    /// [`Record::Identity`] and [`Record::Flow`]).
    pub fn add_record(
        &mut self,
        record: &Record,
        application: Option<&Application>,
    ) -> Result<(), StoreError> {
        let failed = self.failed;
        match record {
            Record::Store { id, last_flow } => self.add_store(id, *last_flow),
            Record::WatchPeriod { id, period } => self.merge_watch_period(*id, period),
            Record::Loss {
                watch_period_id,
                loss,
            } => {
                let period = self.period(*watch_period_id)?;
                self.merge_loss(period, loss)
            }
            Record::SelfCheck {
                watch_period_id,
                check,
            } => {
                let period = self.period(*watch_period_id)?;
                self.merge_self_check(period, check)
            }
            Record::File { id, file } => self.merge_file(file).map(|row| {
                self.merge.files.insert(*id, row);
            }),
            Record::FileUse {
                file_id,
                identity_id,
                role,
                first,
                last,
            } => {
                let place = (self.identity(*identity_id)?.0, self.file(*file_id)?);
                self.merge_file_use(place, *role, (*first, *last))
            }
            Record::Process { id, process, files } => {
                let files = self.files_of(files)?;
                self.merge_process(*id, process, files)
            }
            Record::Identity { id, raw } => self.add_identity(raw, application).map(|maker| {
                let identity = (maker.identity, maker.host);
                self.merge.identities.insert(*id, identity);
            }),
            Record::Flow(flow) => self.merge_flow(flow, application),
            Record::Rollup(rollup) => {
                let identity = self.identity(rollup.identity_id)?;
                self.merge_rollup(rollup, identity)
            }
            Record::NameAddress(address) => self.merge_address(address),
        }
        .map_err(|error| failed.by(error))
    }

    /// What a watch period of the dump is here.
    fn period(&self, id: u64) -> Result<WatchPeriodId, StoreError> {
        let period = self.merge.periods.get(&id).copied();
        period.ok_or(StoreError::UnknownReference {
            what: "watch period",
            id,
        })
    }

    /// What an identity of the dump is here, with its host.
    fn identity(&self, id: u64) -> Result<(i64, i64), StoreError> {
        let identity = self.merge.identities.get(&id).copied();
        identity.ok_or(StoreError::UnknownReference {
            what: "identity",
            id,
        })
    }

    /// What a file of the dump is here.
    fn file(&self, id: u64) -> Result<i64, StoreError> {
        let file = self.merge.files.get(&id).copied();
        file.ok_or(StoreError::UnknownReference { what: "file", id })
    }

    fn files_of(&self, files: &ProcessFiles) -> Result<[(FileRole, Option<i64>); 2], StoreError> {
        let here = |id: Option<u64>| id.map(|id| self.file(id)).transpose();
        Ok([
            (FileRole::Executable, here(files.executable)?),
            (FileRole::Script, here(files.script)?),
        ])
    }

    /// The number of a store, and the last of its flows that is accounted for.
    pub(super) fn origin(&mut self, store_id: &str) -> rusqlite::Result<(i64, i64)> {
        self.writer
            .connection
            .prepare_cached(
                "INSERT INTO origin (store_id)
                 VALUES (?1)
                 ON CONFLICT DO UPDATE SET store_id = excluded.store_id
                 RETURNING id, complete_to",
            )?
            .query_row((store_id,), |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// What a stored flow adds to the rollups.
    pub(super) fn stored_share(&self, row: i64) -> rusqlite::Result<Option<Share>> {
        self.writer
            .connection
            .prepare_cached(FLOW_OF_ROW)?
            .query_row((row,), |row| {
                let references = FlowReferences {
                    origin: row.get("origin_id")?,
                    host: row.get("host_id")?,
                    identity: row.get("identity_id")?,
                    run: row.get("run_id")?,
                    destination: row.get("destination_id")?,
                    name: row.get("name_id")?,
                };
                let flow = flow_of(row)?;
                Ok(Share::of(&flow, &references))
            })
            .optional()
    }

    /// Raises this store's copy of the other stores' totals to what the dump told.
    pub(super) fn raise_totals(&mut self) -> rusqlite::Result<()> {
        mem::take(&mut self.merge.totals).write(self.writer.connection, Meet::Raise)?;
        if let Some(origin) = self.merge.origin {
            self.writer.connection.execute(
                "UPDATE origin SET complete_to = max(complete_to, ?2) WHERE id = ?1",
                (origin, count(self.merge.last_flow)),
            )?;
        }
        Ok(())
    }

    /// Drops the processes of the dump that no flow of this store needs: those of flows that were
    /// known already, and whose detail may be gone.
    pub(super) fn drop_unused_processes(&mut self) -> rusqlite::Result<()> {
        if self.merge.unused_processes.is_empty() {
            return Ok(());
        }
        let connection = self.writer.connection;
        let mut statement = connection.prepare_cached("DELETE FROM process WHERE id = ?1")?;
        for process in self.merge.unused_processes.drain() {
            statement.execute((process,))?;
        }
        *self.writer.interned = Interned::default();
        Ok(())
    }

    fn merge_process(
        &mut self,
        id: u64,
        process: &Process,
        files: [(FileRole, Option<i64>); 2],
    ) -> rusqlite::Result<()> {
        let row = self
            .writer
            .interned
            .process(self.writer.connection, process)?;
        if row > self.last_process {
            self.merge.unused_processes.insert(row);
        }
        self.merge.processes.insert(id, row);
        self.merge_files_of_process(row, files)?;
        Ok(())
    }

    fn add_store(&mut self, store_id: &str, last_flow: u64) -> rusqlite::Result<()> {
        self.merge.origin = Some(self.origin(store_id)?.0);
        self.merge.last_flow = last_flow;
        Ok(())
    }

    fn add_identity(
        &mut self,
        raw: &RawIdentity,
        application: Option<&Application>,
    ) -> rusqlite::Result<Maker> {
        let record = IdentityRecord {
            raw: raw.clone(),
            application: application.cloned().unwrap_or_else(|| unmapped(raw)),
            run: None,
        };
        self.writer.maker(&record, None)
    }

    fn merge_flow(
        &mut self,
        recorded: &RecordedFlow,
        application: Option<&Application>,
    ) -> rusqlite::Result<()> {
        let period_id = recorded.watch_period_id;
        if period_id.is_some_and(|id| self.merge.known_imports.contains(&id)) {
            self.recorded.known_flows += 1;
            return Ok(());
        }
        let known = recorded
            .identity_id
            .and_then(|id| self.merge.identities.get(&id).copied());
        let mut maker = match known {
            Some((identity, host)) => Maker {
                host,
                identity,
                process: None,
            },
            None => {
                let application = application.or(recorded.application.as_ref());
                self.add_identity(&recorded.identity, application)?
            }
        };
        maker.process = recorded
            .process_id
            .and_then(|id| self.merge.processes.get(&id).copied());
        let period = period_id
            .and_then(|id| self.merge.periods.get(&id).copied())
            .unwrap_or(self.period);
        let process = recorded.process.as_ref();
        self.add(
            &recorded.flow,
            maker,
            process,
            recorded.run.as_deref(),
            period,
        )
    }

    fn merge_rollup(
        &mut self,
        rollup: &Rollup,
        (identity, host): (i64, i64),
    ) -> rusqlite::Result<()> {
        let (origin, _) = self.origin(&rollup.store)?;
        if origin == THIS_STORE {
            return Ok(());
        }
        let connection = self.writer.connection;
        let period = match &rollup.period {
            RollupPeriod::Hour(hour) => Period::Hour(hour.hour().unix_ns()),
            RollupPeriod::Run(key) => {
                let window = (rollup.first, rollup.last);
                Period::Run(self.writer.interned.run(connection, host, key, window)?)
            }
        };
        let key = SumKey {
            origin,
            period,
            identity,
            destination: self
                .writer
                .interned
                .destination(connection, &rollup.destination)?,
            outcome: rollup.outcome,
        };
        let sum = Sum {
            tally: rollup.tally,
            first: rollup.first.unix_ns(),
            last: rollup.last.unix_ns(),
            name_source: rollup.name_source.map(rank),
        };
        self.merge.totals.add_sum(key, sum);
        Ok(())
    }

    fn merge_address(&mut self, address: &NameAddress) -> rusqlite::Result<()> {
        let (origin, _) = self.origin(&address.store)?;
        if origin == THIS_STORE {
            return Ok(());
        }
        let connection = self.writer.connection;
        let key = AddressKey {
            origin,
            host: self.writer.interned.host(connection, &address.host)?,
            name: self.writer.interned.name(connection, &address.name)?,
            address: address.address,
        };
        let sum = Sum {
            tally: Tally {
                attempts: address.attempts,
                ..Tally::default()
            },
            first: address.first.unix_ns(),
            last: address.last.unix_ns(),
            name_source: None,
        };
        self.merge.totals.add_address(key, sum);
        Ok(())
    }
}

/// What an identity stands for until its mapping is computed: itself, unfolded.
fn unmapped(raw: &RawIdentity) -> Application {
    Application {
        context: raw
            .stated_context
            .as_ref()
            .map_or_else(Context::none, Context::new),
        program: raw
            .exe
            .clone()
            .unwrap_or_else(|| Application::NO_PROCESS.to_owned()),
        script: raw.stated_script.clone(),
    }
}
