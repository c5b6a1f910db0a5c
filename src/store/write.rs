//! One write transaction, and the rows that are written in it.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{
    Recorder, StoreError, WatchPeriodId,
    intern::{self, Interned},
    share::{FlowReferences, Share, destination_of, last_of},
    value::{count, json, nanoseconds, rank},
};
use crate::model::{Flow, IdentityRecord, Loss, Process, Timestamp, WatchPeriod};

/// The store itself among the stores that rows come from.
pub(super) const THIS_STORE: i64 = 1;

/// What a write transaction works with.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) interned: &'a mut Interned,
}

/// Where a flow row goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The watch period that recorded it.
    pub(super) period: WatchPeriodId,
    /// The store that recorded it.
    pub(super) origin: i64,
    /// The row that it takes, if that is decided.
    pub(super) row: Option<i64>,
    /// The id that it came with.
    pub(super) given_id: Option<&'a str>,
}

/// Numbers of a flow's maker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker {
    pub(super) host: i64,
    pub(super) identity: i64,
    pub(super) process: Option<i64>,
}

impl Recorder {
    /// Runs `write` as one transaction. If it fails nothing of it is kept, here or in the file.
    pub(super) fn in_transaction<T, E: From<StoreError>>(
        &mut self,
        write: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let failed = |error| StoreError::of_sqlite(&self.path, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        self.interned
            .forget_if_changed(&transaction)
            .map_err(failed)?;
        let mut writer = Writer {
            connection: &transaction,
            interned: &mut self.interned,
        };
        let result = write(&mut writer).and_then(|value| {
            transaction
                .commit()
                .map(|()| value)
                .map_err(|e| failed(e).into())
        });
        if result.is_err() {
            // It may name rows that were rolled back.
            self.interned = Interned::default();
        }
        result
    }
}

const ADD_WATCH_PERIOD: &str = "
INSERT INTO watch_period (
  origin_id, kind, host_id, boot_id, program_version, backend, backend_failures, blind_spots,
  settings, started_ns, covered_until_ns, ended_ns
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const ADD_FLOW: &str = "
INSERT OR REPLACE INTO flow (
  id, origin_id, given_id, watch_period_id, identity_id, process_id, run_id, destination_id,
  address, name_source, start_ns, end_ns, socket_uid, socket_cgroup_id, network_namespace,
  source_port, outcome, errno, state, attempts, bytes_out, bytes_in, duration_ns
)
VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
  ?9, ?10, ?11, ?12, ?13, ?14, ?15,
  ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23
)";

impl Writer<'_> {
    /// Adds a watch period with the file that it imported.
    pub(super) fn add_watch_period(
        &mut self,
        period: &WatchPeriod,
        origin: i64,
    ) -> rusqlite::Result<WatchPeriodId> {
        let host = self.interned.host(self.connection, &period.host)?;
        let id = self
            .connection
            .prepare_cached(ADD_WATCH_PERIOD)?
            .insert(params![
                origin,
                period.kind.word(),
                host,
                period.boot_id,
                period.program_version,
                period.backend,
                json(&period.backend_failures),
                json(&period.blind_spots),
                json(&period.settings),
                period.started.unix_ns(),
                period.covered_until.unix_ns(),
                period.ended.map(Timestamp::unix_ns),
            ])?;
        if let Some(source) = &period.source {
            self.connection
                .prepare_cached(
                    "INSERT INTO imported_file (watch_period_id, file, sha256) VALUES (?1, ?2, ?3)",
                )?
                .execute((id, &source.file, &source.sha256))?;
        }
        Ok(WatchPeriodId(id))
    }

    /// Adds what was lost; losses of one cause in one stretch add up.
    pub(super) fn add_loss(&self, period: WatchPeriodId, loss: &Loss) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO loss (watch_period_id, cause, since_ns, until_ns, count, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET
                   count = min(count + excluded.count, 9223372036854775807),
                   bytes = min(
                     ifnull(bytes + excluded.bytes, ifnull(bytes, excluded.bytes)),
                     9223372036854775807
                   )",
            )?
            .execute(loss_row(period, loss))?;
        Ok(())
    }

    /// The rows of a flow's maker.
    pub(super) fn maker(
        &mut self,
        identity: &IdentityRecord,
        process: Option<&Process>,
    ) -> rusqlite::Result<Maker> {
        Ok(Maker {
            host: self.interned.host(self.connection, &identity.raw.host)?,
            identity: self.interned.identity(self.connection, identity)?,
            process: process
                .map(|process| self.interned.process(self.connection, process))
                .transpose()?,
        })
    }

    /// Writes a flow's row and returns its number, with what the flow adds to the rollups.
    pub(super) fn write_flow(
        &mut self,
        flow: &Flow,
        maker: &Maker,
        run: Option<&str>,
        place: &Place<'_>,
    ) -> rusqlite::Result<(i64, Share)> {
        let references = self.references(flow, maker, run, place.origin)?;
        let socket_cgroup = flow
            .socket_cgroup
            .as_ref()
            .map(|path| self.interned.cgroup(self.connection, path))
            .transpose()?;
        // Without a name the address is the destination's and need not be stored twice.
        let address = flow.address.filter(|_| flow.name.is_some());
        let row = self.connection.prepare_cached(ADD_FLOW)?.insert(params![
            place.row,
            place.origin,
            place.given_id,
            place.period.0,
            maker.identity,
            maker.process,
            references.run,
            references.destination,
            address.map(|address| address.to_string()),
            flow.name.as_ref().map(|name| rank(name.source)),
            flow.start.unix_ns(),
            flow.end.map(Timestamp::unix_ns),
            flow.socket_uid,
            socket_cgroup,
            flow.network_namespace,
            flow.source_port,
            flow.outcome.word(),
            flow.errno,
            flow.state,
            count(flow.attempts),
            flow.bytes_out.map(count),
            flow.bytes_in.map(count),
            flow.duration.map(nanoseconds),
        ])?;
        Ok((row, Share::of(flow, &references)))
    }

    /// The rows that a flow's sums are kept under.
    pub(super) fn references(
        &mut self,
        flow: &Flow,
        maker: &Maker,
        run: Option<&str>,
        origin: i64,
    ) -> rusqlite::Result<FlowReferences> {
        let window = (flow.start, last_of(flow));
        let run = run
            .map(|key| intern::run(self.connection, maker.host, key, window))
            .transpose()?;
        let name = flow
            .name
            .as_ref()
            .map(|name| self.interned.name(self.connection, &name.text))
            .transpose()?;
        Ok(FlowReferences {
            origin,
            host: maker.host,
            identity: maker.identity,
            run,
            destination: self
                .interned
                .destination(self.connection, &destination_of(flow))?,
            name,
        })
    }

    /// The number of the last flow that this store recorded, dropped ones included.
    pub(super) fn last_flow(&self) -> rusqlite::Result<i64> {
        last_flow(self.connection)
    }
}

/// The number of the last flow that a store recorded, dropped ones included.
pub(super) fn last_flow(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'flow'")?
        .query_row([], |row| row.get(0))
        .optional()
        .map(|last| last.unwrap_or(0))
}

/// A loss in the order of the table's columns.
pub(super) fn loss_row(
    period: WatchPeriodId,
    loss: &Loss,
) -> (i64, &'static str, i64, i64, i64, Option<i64>) {
    (
        period.0,
        loss.cause.word(),
        loss.since.unix_ns(),
        loss.until.unix_ns(),
        count(loss.count),
        loss.bytes.map(count),
    )
}
