//! How observing goes, for the operator.

use super::{reload::Reload, watcher::Attached};
use crate::{
    capture::Backend,
    model::{BackendFailure, Batch, BlindSpot, SelfCheck},
    store::{Pruned, StoreError},
};

/// How observing goes.
#[derive(Debug)]
pub struct Summary {
    /// The backend that runs.
    pub backend: Backend,
    /// Backends that were tried before it.
    pub failures: Vec<BackendFailure>,
    /// What it cannot see.
    pub blind_spots: Vec<BlindSpot>,
    /// Attempts since the start.
    pub attempts: u64,
    /// Rows since the start.
    pub flows: u64,
    /// Losses since the start.
    pub losses: u64,
    /// Why the store took nothing at the last flush.
    pub store_failure: Option<StoreError>,
    /// What retention dropped when it was last applied.
    pub retention: Option<Result<Pruned, StoreError>>,
    /// What came of reading the configuration again, told once.
    pub reload: Option<Reload>,
    /// What the self-check found, once it is over.
    pub self_check: Option<SelfCheck>,
}

impl Summary {
    pub(super) fn new(attached: &Attached) -> Self {
        Self {
            backend: attached.backend,
            failures: attached.failures.clone(),
            blind_spots: attached.blind_spots.clone(),
            attempts: 0,
            flows: 0,
            losses: 0,
            store_failure: None,
            retention: None,
            reload: None,
            self_check: None,
        }
    }

    pub(super) fn count(&mut self, batch: &Batch) {
        let attempts: u64 = batch
            .flows
            .iter()
            .filter(|record| record.settles.is_none())
            .map(|record| record.flow.attempts)
            .sum();
        self.attempts = self.attempts.saturating_add(attempts);
        self.flows += batch
            .flows
            .iter()
            .filter(|record| record.settles.is_none())
            .count() as u64;
        self.losses += batch.losses.iter().map(|loss| loss.count).sum::<u64>();
    }
}
