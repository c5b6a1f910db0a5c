//! A watch period as the store tells of it.

use serde::Serialize;

use super::stretches::Stretch;
use crate::model::{Loss, SelfCheck, WatchKind, WatchPeriod};

/// A watch period with what was counted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Its number in the store.
    pub id: i64,
    /// The watch period.
    pub period: WatchPeriod,
    /// Its losses.
    pub losses: Vec<Loss>,
    /// Flows that it recorded and that are still stored in detail.
    pub flows: u64,
    /// The latest self-check in it.
    pub self_check: Option<SelfCheck>,
    /// Whether its observer still runs.
    pub is_running: bool,
}

/// How a watch period ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It still runs.
    Running,
    /// In good order.
    Orderly,
    /// Without an orderly end: the observer was killed, or the host went down.
    Broken,
}

impl Watched {
    /// How it ended.
    pub fn ending(&self) -> Ending {
        match (self.is_running, self.period.ended) {
            (true, _) => Ending::Running,
            (false, Some(_)) => Ending::Orderly,
            (false, None) => Ending::Broken,
        }
    }

    pub(super) fn covers(&self) -> Stretch {
        (
            self.period.started,
            self.period.covered_until.max(self.period.started),
        )
    }

    pub(super) fn is_of_observer(&self) -> bool {
        match self.period.kind {
            WatchKind::Observe => true,
            WatchKind::Import => false,
        }
    }
}
