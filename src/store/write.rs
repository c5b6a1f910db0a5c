//! One write transaction, and the rows that are written in it.

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Recorder, StoreError, WatchPeriodId,
    detail::{FlowRow, FlowRows},
    intern::{Interned, MakerRow},
    rollup::{Meet, Sums},
    share::{FlowReferences, Share, destination_of, last_of},
    value::{count, json, nanoseconds, number_of, number_of_opening, rank},
};
use crate::model::{Flow, IdentityRecord, Loss, Process, Timestamp, WatchPeriod};

/// The store itself among the stores that rows come from.
pub(super) const THIS_STORE: i64 = 1;

/// What a write transaction works with.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) interned: &'a mut Interned,
    pub(super) rows: &'a mut FlowRows,
    pub(super) sums: &'a mut Sums,
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

/// What a flow has in common with others of its maker, and the number of its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) maker: Maker,
    pub(super) run: Option<i64>,
    pub(super) row: i64,
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
        let (mut rows, mut sums) = (FlowRows::default(), Sums::default());
        let mut writer = Writer {
            connection: &transaction,
            interned: &mut self.interned,
            rows: &mut rows,
            sums: &mut sums,
        };
        let result = write(&mut writer).and_then(|value| {
            let written = writer.write_all();
            written.map(|()| value).map_err(|e| failed(e).into())
        });
        let result = result.and_then(|value| {
            let committed = transaction.commit();
            committed.map(|()| value).map_err(|e| failed(e).into())
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
        let run = self.run(maker.host, run, flow)?;
        let made = self.made(flow, maker, run, place)?;
        self.write_flow_made(flow, &made, place)
    }

    /// The row of what a flow has in common with others of its maker.
    pub(super) fn made(
        &mut self,
        flow: &Flow,
        maker: &Maker,
        run: Option<i64>,
        place: &Place<'_>,
    ) -> rusqlite::Result<Made> {
        let socket_cgroup = flow
            .socket_cgroup
            .as_ref()
            .map(|path| self.interned.cgroup(self.connection, path))
            .transpose()?;
        let row = MakerRow {
            origin: place.origin,
            period: place.period.0,
            identity: maker.identity,
            process: maker.process,
            run,
            socket_uid: flow.socket_uid,
            socket_cgroup,
            network_namespace: flow.network_namespace,
        };
        Ok(Made {
            maker: *maker,
            run,
            row: self.interned.maker(self.connection, row)?,
        })
    }

    /// Like [`Writer::write_flow`], where the maker's row is known.
    pub(super) fn write_flow_made(
        &mut self,
        flow: &Flow,
        made: &Made,
        place: &Place<'_>,
    ) -> rusqlite::Result<(i64, Share)> {
        let references = self.references(flow, &made.maker, made.run, place.origin)?;
        // Without a name the address is the destination's and need not be stored twice.
        let address = flow
            .address
            .filter(|_| flow.name.is_some())
            .map(|address| self.interned.address(self.connection, address))
            .transpose()?;
        let row = FlowRow {
            maker: made.row,
            destination: references.destination,
            address,
            name_source: flow.name.as_ref().map(|name| rank(name.source)),
            start: flow.start.unix_ns(),
            end: flow.end.map(Timestamp::unix_ns),
            source_port: flow.source_port,
            outcome: number_of(flow.outcome),
            errno: flow.errno,
            attempts: count(flow.attempts),
            bytes_out: flow.bytes_out.map(count),
            bytes_in: flow.bytes_in.map(count),
            duration: flow.duration.map(nanoseconds),
        };
        let number = match place.row {
            Some(number) => {
                self.rows.put(self.connection, place.period, number, row)?;
                number
            }
            None => self.rows.add(self.connection, place.period, row)?,
        };
        if place.given_id.is_some() || flow.state.is_some() {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO flow_import (flow_id, given_id, state)
                     VALUES (?1, ?2, ?3)",
                )?
                .execute((number, place.given_id, &flow.state))?;
        }
        if let Some(opening) = flow.opening {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO flow_opening (flow_id, opening) VALUES (?1, ?2)",
                )?
                .execute((number, number_of_opening(opening)))?;
        }
        Ok((number, Share::of(flow, &references)))
    }

    /// The number of the run that a flow belongs to.
    pub(super) fn run(
        &mut self,
        host: i64,
        key: Option<&str>,
        flow: &Flow,
    ) -> rusqlite::Result<Option<i64>> {
        let window = (flow.start, last_of(flow));
        key.map(|key| self.interned.run(self.connection, host, key, window))
            .transpose()
    }

    /// The rows that a flow's sums are kept under.
    pub(super) fn references(
        &mut self,
        flow: &Flow,
        maker: &Maker,
        run: Option<i64>,
        origin: i64,
    ) -> rusqlite::Result<FlowReferences> {
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

    /// Adds what a flow adds to the rollups.
    pub(super) fn add_share(&mut self, share: &Share) -> rusqlite::Result<()> {
        self.sums.add(self.connection, share)
    }

    /// Writes what was held back so far: rows and sums are written many at a time.
    pub(super) fn write_all(&mut self) -> rusqlite::Result<()> {
        self.rows.finish(self.connection)?;
        self.sums.write(self.connection, Meet::Add)?;
        self.interned.write_runs(self.connection)
    }
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
