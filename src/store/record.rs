//! Recording: batches of flows, each one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{
    Recorded, Recorder, StoreError, WatchPeriodId,
    open::checkpoint,
    rollup::Meet,
    share::{Share, last_of},
    write::{Made, Maker, Place, THIS_STORE, Writer},
};
use crate::model::{Batch, FlowRecord, IdentityRecord, Ticket, Timestamp, WatchPeriod};

/// More than the connects that wait for an answer at once on a busy host. Tickets ascend, so the
/// oldest go first; a flow whose ticket is gone is added as a row of its own when it is settled.
const TICKET_LIMIT: usize = 1 << 18;

/// Rows that wait to be settled.
pub(super) type Tickets = BTreeMap<Ticket, PendingRow>;

/// A row that is to be settled, and what has to be taken out of the rollups then.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRow {
    row: i64,
    share: Share,
}

/// What a batch does to the tickets, once it is in the file.
#[derive(Debug, Default)]
struct TicketChanges {
    taken: BTreeSet<Ticket>,
    given: Tickets,
}

impl Recorder {
    /// Opens a watch period; one transaction.
    pub fn begin(&mut self, period: &WatchPeriod) -> Result<WatchPeriodId, StoreError> {
        let path = self.path.clone();
        self.in_transaction(|writer| {
            writer
                .add_watch_period(period, THIS_STORE)
                .map_err(|error| StoreError::of_sqlite(&path, error))
        })
    }

    /// Replaces the settings of a watch period that runs.
    pub fn amend(
        &mut self,
        period: WatchPeriodId,
        settings: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.in_transaction(|writer| {
            writer
                .connection
                .execute(
                    "UPDATE watch_period SET settings = ?2 WHERE id = ?1",
                    (period.0, settings.to_string()),
                )
                .map(drop)
                .map_err(|error| StoreError::of_sqlite(&path, error))
        })
    }

    /// Writes a batch in one transaction: all of it or nothing, so that a batch that failed can be
    /// recorded again.
    pub fn record(&mut self, to: WatchPeriodId, batch: &Batch) -> Result<Recorded, StoreError> {
        let path = self.path.clone();
        let tickets = std::mem::take(&mut self.tickets);
        let mut changes = TicketChanges::default();
        let result = self.in_transaction(|writer| {
            write_batch(writer, to, batch, &tickets, &mut changes)
                .map_err(|error| StoreError::of_sqlite(&path, error))
        });
        self.tickets = tickets;
        if result.is_ok() {
            for ticket in changes.taken {
                self.tickets.remove(&ticket);
            }
            self.tickets.append(&mut changes.given);
            while self.tickets.len() > TICKET_LIMIT {
                self.tickets.pop_first();
            }
        }
        result
    }

    /// Ends a watch period where it covers to, and opens one like it that begins `at`: the time of
    /// day was set, so that times before and after have nothing to do with each other. One
    /// transaction; rows that wait to be settled still can be.
    pub fn go_on(
        &mut self,
        period: WatchPeriodId,
        at: Timestamp,
    ) -> Result<WatchPeriodId, StoreError> {
        let path = self.path.clone();
        self.in_transaction(|writer| {
            writer
                .connection
                .execute(
                    "UPDATE watch_period SET ended_ns = covered_until_ns WHERE id = ?1",
                    (period.0,),
                )
                .and_then(|_| {
                    writer
                        .connection
                        .prepare_cached(GO_ON)?
                        .insert((period.0, at.unix_ns()))
                })
                .map(WatchPeriodId)
                .map_err(|error| StoreError::of_sqlite(&path, error))
        })
    }

    /// Ends a watch period in good order, and leaves nothing in the write-ahead log.
    pub fn end(&mut self, period: WatchPeriodId, at: Timestamp) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = |error| StoreError::of_sqlite(&path, error);
        self.in_transaction(|writer| {
            writer
                .connection
                .execute(
                    "UPDATE watch_period SET ended_ns = ?2 WHERE id = ?1",
                    (period.0, at.unix_ns()),
                )
                .map_err(failed)
        })?;
        self.tickets.clear();
        checkpoint(&self.connection).map_err(failed)
    }
}

/// Everything that describes the period but its times.
const GO_ON: &str = "
INSERT INTO watch_period (
  origin_id, kind, host_id, boot_id, program_version, backend, backend_failures, blind_spots,
  settings, started_ns, covered_until_ns, ended_ns
)
SELECT
  origin_id, kind, host_id, boot_id, program_version, backend, backend_failures, blind_spots,
  settings, ?2, ?2, NULL
FROM watch_period
WHERE id = ?1";

fn write_batch(
    writer: &mut Writer<'_>,
    period: WatchPeriodId,
    batch: &Batch,
    tickets: &Tickets,
    changes: &mut TicketChanges,
) -> rusqlite::Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut makers = BatchMakers::new(period);
    for record in &batch.flows {
        let is_more = write_record(writer, &mut makers, record, tickets, changes)?;
        recorded.flows += u64::from(is_more);
    }
    for ticket in &batch.retracted {
        if let Some(pending) = take(writer, *ticket, tickets, changes)? {
            pending.share.remove(writer.connection)?;
            writer.rows.remove(writer.connection, period, pending.row)?;
        }
    }
    writer.add_file_uses(&batch.files)?;
    for loss in &batch.losses {
        writer.add_loss(period, loss)?;
    }
    writer
        .connection
        .prepare_cached(
            "UPDATE watch_period
             SET covered_until_ns = max(covered_until_ns, ?2)
             WHERE id = ?1",
        )?
        .execute((period.0, batch.covered_until.unix_ns()))?;
    Ok(recorded)
}

/// Writes one flow; returns whether it is a row more.
fn write_record<'b>(
    writer: &mut Writer<'_>,
    makers: &mut BatchMakers<'b>,
    record: &'b FlowRecord,
    tickets: &Tickets,
    changes: &mut TicketChanges,
) -> rusqlite::Result<bool> {
    let settled = match record.settles {
        Some(ticket) => take(writer, ticket, tickets, changes)?,
        None => None,
    };
    if let Some(pending) = &settled {
        pending.share.remove(writer.connection)?;
    }
    let made = makers.made(writer, record)?;
    let place = Place {
        // The row may have been pruned meanwhile; then it comes back under its number.
        row: settled.as_ref().map(|pending| pending.row),
        ..makers.place
    };
    let (row, share) = writer.write_flow_made(&record.flow, &made, &place)?;
    writer.add_share(&share)?;
    if let Some(ticket) = record.ticket {
        changes.given.insert(ticket, PendingRow { row, share });
    }
    Ok(settled.is_none())
}

/// The row that waits under a ticket, once.
fn take(
    writer: &mut Writer<'_>,
    ticket: Ticket,
    tickets: &Tickets,
    changes: &mut TicketChanges,
) -> rusqlite::Result<Option<PendingRow>> {
    if let Some(pending) = changes.given.remove(&ticket) {
        // What it added is still held back, and nothing could be taken from it.
        writer.sums.write(writer.connection, Meet::Add)?;
        return Ok(Some(pending));
    }
    let pending = tickets
        .get(&ticket)
        .filter(|_| !changes.taken.contains(&ticket));
    if pending.is_some() {
        changes.taken.insert(ticket);
    }
    Ok(pending.copied())
}

/// Makers of the flows of one batch. Flows come in order of their makers, and share what is the same:
/// most are found by looking at the flow before.
#[derive(Debug)]
struct BatchMakers<'b> {
    place: Place<'static>,
    last: Option<(&'b FlowRecord, Made)>,
    /// Hosts and identities by their place in memory, which the batch holds.
    identities: HashMap<*const IdentityRecord, (i64, i64), RandomState>,
}

impl<'b> BatchMakers<'b> {
    fn new(period: WatchPeriodId) -> Self {
        Self {
            place: Place {
                period,
                origin: THIS_STORE,
                row: None,
                given_id: None,
            },
            last: None,
            identities: HashMap::default(),
        }
    }

    fn made(&mut self, writer: &mut Writer<'_>, record: &'b FlowRecord) -> rusqlite::Result<Made> {
        let flow = &record.flow;
        if let Some((last, made)) = &self.last
            && is_same_maker(last, record)
        {
            if let Some(run) = made.run {
                let (first, last) = (flow.start.unix_ns(), last_of(flow).unix_ns());
                writer.interned.widen_run(run, first, last);
            }
            return Ok(*made);
        }
        let maker = self.maker(writer, record)?;
        let run = writer.run(maker.host, record.identity.run.as_deref(), flow)?;
        let made = writer.made(flow, &maker, run, &self.place)?;
        self.last = Some((record, made));
        Ok(made)
    }

    fn maker(&mut self, writer: &mut Writer<'_>, record: &FlowRecord) -> rusqlite::Result<Maker> {
        let place = Arc::as_ptr(&record.identity);
        let known = self.identities.get(&place).copied();
        let (host, identity) = match known {
            Some(known) => known,
            None => {
                let maker = writer.maker(&record.identity, None)?;
                self.identities.insert(place, (maker.host, maker.identity));
                (maker.host, maker.identity)
            }
        };
        let process = record.process.as_deref();
        let process = process.map(|process| writer.interned.process(writer.connection, process));
        Ok(Maker {
            host,
            identity,
            process: process.transpose()?,
        })
    }
}

fn is_same_maker(one: &FlowRecord, other: &FlowRecord) -> bool {
    let is_same_process = match (&one.process, &other.process) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    };
    is_same_process
        && Arc::ptr_eq(&one.identity, &other.identity)
        && one.flow.socket_uid == other.flow.socket_uid
        && one.flow.network_namespace == other.flow.network_namespace
        && one.flow.socket_cgroup == other.flow.socket_cgroup
}
