//! Batches that could not be written yet.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    model::{Batch, FlowRecord, Loss, LossCause, Ticket, Timestamp},
    store::{Recorder, StoreError, WatchPeriodId},
};

/// What the capture thread hands over at a flush.
#[derive(Debug)]
pub(super) struct Flushed {
    pub(super) batch: Batch,
    /// The time of day was set: what comes after this batch begins a watch period of its own.
    pub(super) stepped_to: Option<Timestamp>,
}

#[derive(Debug)]
struct Waiting {
    flushed: Flushed,
    /// Its flows were given up; what is left are their number and outcomes of rows that are stored.
    is_given_up: bool,
}

/// What waits to be written, oldest first. A store that cannot be written (a full disk, a lock) keeps
/// it growing up to a bound; beyond, the oldest flows are given up and counted.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    flows: usize,
    most_flows: usize,
    /// Pending flows that were given up: they are counted, so their outcomes are no flows either.
    given_up: BTreeSet<Ticket>,
}

impl Backlog {
    pub(super) fn new(most_flows: u32) -> Self {
        Self {
            waiting: VecDeque::new(),
            flows: 0,
            most_flows: usize::try_from(most_flows).unwrap_or(usize::MAX),
            given_up: BTreeSet::new(),
        }
    }

    /// Takes what was flushed. Returns how many attempts were given up for it.
    pub(super) fn push(&mut self, flushed: Flushed) -> u64 {
        self.flows += flushed.batch.flows.len();
        self.waiting.push_back(Waiting {
            flushed,
            is_given_up: false,
        });
        let mut given_up = 0;
        while self.flows > self.most_flows {
            // The newest stays: its store may be there again at once.
            let older = self.waiting.len() - 1;
            let oldest = self
                .waiting
                .iter()
                .take(older)
                .position(|one| !one.is_given_up);
            let Some(oldest) = oldest else { break };
            given_up += self.give_up(oldest);
        }
        given_up
    }

    fn give_up(&mut self, at: usize) -> u64 {
        let Some(waiting) = self.waiting.get_mut(at) else {
            return 0;
        };
        waiting.is_given_up = true;
        let batch = &mut waiting.flushed.batch;
        let before = batch.flows.len();
        let attempts = empty(batch, &mut self.given_up);
        self.flows -= before - batch.flows.len();
        self.join(at);
        attempts
    }

    /// Puts a batch that was given up together with the one before it, which was as well: neither
    /// grows with the time that nothing can be written.
    fn join(&mut self, at: usize) {
        let Some(before) = at.checked_sub(1) else {
            return;
        };
        if self.waiting[before].flushed.stepped_to.is_some() {
            return;
        }
        let Some(later) = self.waiting.remove(at) else {
            return;
        };
        let (sum, later) = (&mut self.waiting[before].flushed, later.flushed);
        sum.stepped_to = later.stepped_to;
        sum.batch.flows.extend(later.batch.flows);
        sum.batch.retracted.extend(later.batch.retracted);
        sum.batch.covered_until = later.batch.covered_until;
        for loss in later.batch.losses {
            add_loss(&mut sum.batch.losses, loss);
        }
    }

    /// Writes as much as the store takes; returns why it took no more.
    pub(super) fn write(
        &mut self,
        recorder: &mut Recorder,
        period: &mut WatchPeriodId,
    ) -> Option<StoreError> {
        while let Some(waiting) = self.waiting.front_mut() {
            let Flushed { batch, stepped_to } = &mut waiting.flushed;
            if !self.given_up.is_empty() {
                let before = batch.flows.len();
                leave_out(batch, &mut self.given_up);
                self.flows -= before - batch.flows.len();
            }
            if let Err(error) = recorder.record(*period, batch) {
                return Some(error);
            }
            self.flows -= batch.flows.len();
            if let Some(at) = *stepped_to {
                *batch = Batch {
                    covered_until: batch.covered_until,
                    ..Batch::default()
                };
                match recorder.go_on(*period, at) {
                    Ok(next) => *period = next,
                    Err(error) => return Some(error),
                }
            }
            self.waiting.pop_front();
        }
        None
    }
}

/// Gives the flows of a batch up, all but the outcomes of rows that are in the store, and counts them.
fn empty(batch: &mut Batch, given_up: &mut BTreeSet<Ticket>) -> u64 {
    leave_out(batch, given_up);
    let (kept, dropped): (Vec<FlowRecord>, Vec<FlowRecord>) = std::mem::take(&mut batch.flows)
        .into_iter()
        .partition(|record| record.settles.is_some());
    batch.flows = kept;
    let unexamined = std::mem::take(&mut batch.files).len() as u64;
    if unexamined > 0 {
        let loss = Loss {
            cause: LossCause::FilesUnexamined,
            since: batch.covered_until,
            until: batch.covered_until,
            count: unexamined,
            bytes: None,
        };
        add_loss(&mut batch.losses, loss);
    }
    given_up.extend(dropped.iter().filter_map(|record| record.ticket));
    let flows = || dropped.iter().map(|record| &record.flow);
    let attempts = flows().map(|flow| flow.attempts).sum();
    let bytes: u64 = flows().filter_map(|flow| flow.bytes_out).sum();
    if attempts > 0 || bytes > 0 {
        let since = flows().map(|flow| flow.start).min();
        let loss = Loss {
            cause: LossCause::StoreFailed,
            since: since.map_or(batch.covered_until, |since| since.min(batch.covered_until)),
            until: batch.covered_until,
            count: attempts,
            bytes: Some(bytes),
        };
        add_loss(&mut batch.losses, loss);
    }
    attempts
}

/// Leaves out what became of flows that were given up.
fn leave_out(batch: &mut Batch, given_up: &mut BTreeSet<Ticket>) {
    batch.flows.retain(|record| {
        !record
            .settles
            .is_some_and(|ticket| given_up.remove(&ticket))
    });
    batch.retracted.retain(|ticket| !given_up.remove(ticket));
}

fn add_loss(losses: &mut Vec<Loss>, loss: Loss) {
    let Some(sum) = losses.iter_mut().find(|sum| sum.cause == loss.cause) else {
        losses.push(loss);
        return;
    };
    sum.since = sum.since.min(loss.since);
    sum.until = sum.until.max(loss.until);
    sum.count = sum.count.saturating_add(loss.count);
    sum.bytes = match (sum.bytes, loss.bytes) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{Backlog, Flushed};
    use crate::{
        model::{
            Application, Batch, Context, Flow, FlowRecord, IdentityRecord, LossCause, Outcome,
            Protocol, RawIdentity, Ticket, Timestamp, WatchKind, WatchPeriod, Window,
        },
        store::{ContactQuery, Reader, Recorder, WatchPeriodId},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_ns(second * 1_000_000_000)
    }

    fn record(second: i64, attempts: u64, outcome: Outcome) -> FlowRecord {
        let flow = Flow {
            flow_id: None,
            start: at(second),
            end: Some(at(second)),
            socket_uid: None,
            socket_cgroup: None,
            network_namespace: None,
            source_port: None,
            address: "198.51.100.7".parse().ok(),
            port: Some(443),
            protocol: Protocol::TCP,
            name: None,
            opening: None,
            outcome,
            errno: None,
            state: None,
            attempts,
            bytes_out: Some(attempts * 10),
            bytes_in: None,
            duration: None,
        };
        FlowRecord {
            flow,
            process: None,
            identity: Arc::new(IdentityRecord {
                raw: RawIdentity::default(),
                application: Application {
                    context: Context::new("none"),
                    program: "/usr/bin/push".to_owned(),
                    script: None,
                },
                run: None,
            }),
            ticket: None,
            settles: None,
        }
    }

    fn pending(second: i64, ticket: u64) -> FlowRecord {
        FlowRecord {
            ticket: Some(Ticket(ticket)),
            ..record(second, 1, Outcome::Pending)
        }
    }

    fn settled(second: i64, ticket: u64) -> FlowRecord {
        FlowRecord {
            settles: Some(Ticket(ticket)),
            ..record(second, 1, Outcome::Refused)
        }
    }

    fn flushed(second: i64, flows: Vec<FlowRecord>) -> Flushed {
        Flushed {
            batch: Batch {
                flows,
                covered_until: at(second),
                ..Batch::default()
            },
            stepped_to: None,
        }
    }

    fn recorder(path: &Path) -> (Recorder, WatchPeriodId) {
        let mut recorder = Recorder::open(path).unwrap();
        let period = WatchPeriod {
            kind: WatchKind::Observe,
            host: "gate".to_owned(),
            boot_id: None,
            program_version: String::new(),
            backend: None,
            backend_failures: Vec::new(),
            blind_spots: Vec::new(),
            settings: serde_json::Value::Null,
            source: None,
            started: at(0),
            covered_until: at(0),
            ended: None,
        };
        let id = recorder.begin(&period).unwrap();
        (recorder, id)
    }

    /// Attempts that are stored, those that are counted as lost, and for each watch period from when
    /// to when it covers.
    fn stored(path: &Path) -> (u64, u64, Vec<(i64, i64)>) {
        let reader = Reader::open(path).unwrap();
        let contacts = reader.contacts(&ContactQuery::default()).unwrap();
        let attempts = contacts
            .iter()
            .map(|contact| contact.total().attempts)
            .sum();
        let periods = reader.watch_periods(&Window::default()).unwrap();
        let losses = periods.iter().flat_map(|period| &period.losses);
        let lost = losses
            .filter(|loss| loss.cause == LossCause::StoreFailed)
            .map(|loss| loss.count)
            .sum();
        let second = |time: Timestamp| time.unix_ns() / 1_000_000_000;
        let stretches = periods.iter().map(|stored| {
            (
                second(stored.period.started),
                second(stored.period.covered_until),
            )
        });
        (attempts, lost, stretches.collect())
    }

    #[test]
    fn what_is_given_up_and_what_is_written_come_to_what_was_flushed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("flows.db");
        let (mut recorder, mut period) = recorder(&path);
        let mut backlog = Backlog::new(5);
        assert_eq!(backlog.push(flushed(10, vec![pending(9, 1)])), 0);
        assert!(backlog.write(&mut recorder, &mut period).is_none());
        // From here on the store takes nothing: three batches of two rows.
        let given_up = backlog.push(flushed(20, vec![settled(19, 1), pending(19, 2)]))
            + backlog.push(flushed(
                30,
                vec![record(29, 7, Outcome::Sent), pending(29, 3)],
            ))
            + backlog.push(flushed(40, vec![settled(39, 2), settled(39, 3)]));
        assert_eq!(given_up, 1, "the pending flow of the oldest batch");
        assert!(backlog.write(&mut recorder, &mut period).is_none());
        recorder.end(period, at(41)).unwrap();
        drop(recorder);
        // Three connects and seven datagrams; the outcome of the first one came through.
        assert_eq!(stored(&path), (9, 1, vec![(0, 40)]));
        let contacts = Reader::open(&path)
            .unwrap()
            .contacts(&ContactQuery::default())
            .unwrap();
        let outcomes = contacts.iter().flat_map(|contact| contact.outcomes.keys());
        assert!(
            outcomes
                .into_iter()
                .all(|outcome| *outcome != Outcome::Pending)
        );
    }

    #[test]
    fn a_store_that_stays_away_keeps_memory_bounded_and_every_number() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("flows.db");
        let (mut recorder, mut period) = recorder(&path);
        let mut backlog = Backlog::new(10);
        let mut given_up = 0;
        for second in 1..=1_000 {
            given_up += backlog.push(flushed(second, vec![record(second, 3, Outcome::Sent)]));
            assert!(backlog.flows <= 10 && backlog.waiting.len() <= 11);
        }
        assert_eq!(given_up, 3 * 990);
        assert!(backlog.write(&mut recorder, &mut period).is_none());
        recorder.end(period, at(1_001)).unwrap();
        drop(recorder);
        assert_eq!(stored(&path), (30, 2_970, vec![(0, 1_000)]));
    }

    #[test]
    fn a_step_of_the_clock_is_kept_while_nothing_can_be_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("flows.db");
        let (mut recorder, mut period) = recorder(&path);
        let mut backlog = Backlog::new(1);
        backlog.push(flushed(10, vec![record(9, 1, Outcome::Sent)]));
        let before_the_step = Flushed {
            stepped_to: Some(at(1_000)),
            ..flushed(20, vec![record(19, 1, Outcome::Sent)])
        };
        backlog.push(before_the_step);
        backlog.push(flushed(1_010, vec![record(1_009, 1, Outcome::Sent)]));
        backlog.push(flushed(1_020, vec![record(1_019, 1, Outcome::Sent)]));
        assert!(backlog.write(&mut recorder, &mut period).is_none());
        recorder.end(period, at(1_021)).unwrap();
        drop(recorder);
        assert_eq!(stored(&path), (1, 3, vec![(0, 20), (1_000, 1_020)]));
    }
}
