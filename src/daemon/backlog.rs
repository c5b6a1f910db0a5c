//! Batches that could not be written yet.

use std::collections::VecDeque;

use crate::{
    model::{Batch, Loss, LossCause},
    store::{Recorder, StoreError, WatchPeriodId},
};

/// Flows that wait for a store that cannot be written (a full disk, a lock): beyond, the oldest are
/// given up and counted.
const MOST_WAITING_FLOWS: usize = 500_000;

/// What waits to be written, oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    batches: VecDeque<Batch>,
    flows: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, batch: Batch) {
        self.flows += batch.flows.len();
        self.batches.push_back(batch);
        while self.flows > MOST_WAITING_FLOWS && self.batches.len() > 1 {
            self.give_up_oldest();
        }
    }

    /// Its number is kept: it goes with the batch after it.
    fn give_up_oldest(&mut self) {
        let Some(oldest) = self.batches.pop_front() else {
            return;
        };
        self.flows -= oldest.flows.len();
        let attempts = oldest.flows.iter().map(|record| record.flow.attempts).sum();
        let Some(next) = self.batches.front_mut() else {
            return;
        };
        next.losses.extend(oldest.losses);
        next.retracted.extend(oldest.retracted);
        let since = oldest
            .flows
            .iter()
            .map(|record| record.flow.start)
            .min()
            .unwrap_or(oldest.covered_until)
            .min(oldest.covered_until);
        next.losses.push(Loss {
            cause: LossCause::StoreFailed,
            since,
            until: oldest.covered_until,
            count: attempts,
            bytes: None,
        });
    }

    /// Writes as much as the store takes; returns why it took no more.
    pub(super) fn write(
        &mut self,
        recorder: &mut Recorder,
        period: WatchPeriodId,
    ) -> Option<StoreError> {
        while let Some(batch) = self.batches.front() {
            if let Err(error) = recorder.record(period, batch) {
                return Some(error);
            }
            self.flows -= batch.flows.len();
            self.batches.pop_front();
        }
        None
    }
}
