//! What is handed to the store at once: one batch, one transaction.

use std::sync::Arc;

use super::{FileUse, Flow, IdentityRecord, Loss, Process, Timestamp};

/// Names a flow that was recorded as `pending`, so that its row can be settled later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A flow with its maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// What happened.
    pub flow: Flow,
    /// The process image that did it, if it is known.
    pub process: Option<Arc<Process>>,
    /// Who that is.
    pub identity: Arc<IdentityRecord>,
    /// Set on a pending flow: the store remembers its row under this ticket.
    pub ticket: Option<Ticket>,
    /// Set on the outcome of a pending flow of an earlier batch: this flow takes that row's place,
    /// in the flow table and in every rollup, instead of adding a row.
    pub settles: Option<Ticket>,
}

/// What one flush writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Flows.
    pub flows: Vec<FlowRecord>,
    /// Pending rows of earlier batches that turned out not to be egress: they are removed.
    pub retracted: Vec<Ticket>,
    /// Files that ran: those of the processes above, and of earlier ones that were examined since.
    pub files: Vec<FileUse>,
    /// Losses since the batch before.
    pub losses: Vec<Loss>,
    /// Everything up to here is in the store once this batch is.
    pub covered_until: Timestamp,
}
