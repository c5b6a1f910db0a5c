//! What could have been seen, and what was lost.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{DatedResolver, RESOLVERS, Timestamp};

/// A kind of flow that a backend cannot see, or sees without some of its facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpot {
    /// Short stable code, such as `af-packet-destination`.
    pub code: String,
    /// One sentence for the operator.
    pub text: String,
}

/// A backend that was tried and could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendFailure {
    /// The backend's name.
    pub backend: String,
    /// Why it could not be used.
    pub reason: String,
}

/// What a watch period came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    /// An observer that ran on a host.
    Observe,
    /// A file that was imported: neither blind nor partial.
    Import,
}

impl WatchKind {
    /// The word for it in the store and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Import => "import",
        }
    }
}

/// The file that an import read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSource {
    /// Its name as it was given.
    pub file: String,
    /// SHA-256 of its uncompressed content, in hexadecimal.
    pub sha256: String,
}

/// A stretch of time in which something watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPeriod {
    /// What it came from.
    pub kind: WatchKind,
    /// The host that was observed; for an import the host that imported.
    pub host: String,
    /// Boot of that host.
    pub boot_id: Option<String>,
    /// Version of the program.
    pub program_version: String,
    /// The backend that was used.
    pub backend: Option<String>,
    /// The backends that were tried before it, and why each could not be used.
    pub backend_failures: Vec<BackendFailure>,
    /// What the backend cannot see on this kernel.
    pub blind_spots: Vec<BlindSpot>,
    /// Settings that change what is recorded, and [`SINCE_BOOT`] (a JSON object).
    pub settings: serde_json::Value,
    /// The file, for imports.
    pub source: Option<ImportSource>,
    /// Start.
    pub started: Timestamp,
    /// Everything up to here is in the store; moves with each flush.
    pub covered_until: Timestamp,
    /// Orderly end; none while it runs, and for ever if it was killed.
    pub ended: Option<Timestamp>,
}

/// The key among a watch period's settings of the time since boot at its start, nanoseconds.
pub const SINCE_BOOT: &str = "since_boot_ns";

impl WatchPeriod {
    /// When the host had been started, as it looked when this watch period began.
    pub fn booted(&self) -> Option<Timestamp> {
        let since_boot = self.settings.get(SINCE_BOOT)?.as_u64()?;
        Some(self.started.before(Duration::from_nanos(since_boot)))
    }

    /// How the host resolved names, as it was read last; none where that was not recorded.
    pub fn resolver(&self) -> Option<DatedResolver> {
        let read = self.settings.get(RESOLVERS)?.as_array()?;
        serde_json::from_value(read.last()?.clone()).ok()
    }
}

/// Why something that happened is not in the store, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The ring buffer to user space was full: an attempt is missing.
    RingFull,
    /// The ring buffer was full: a connect is recorded, its end is not.
    EndRingFull,
    /// The kernel's table of connections was full: the connect is recorded, its end is not.
    ConnectionsFull,
    /// The kernel's table of datagram contacts was full.
    DatagramsFull,
    /// The same table was full when a call was noted whose packet another hook counts: the packet
    /// is not missing, but a refusal would not have been noticed.
    CallsFull,
    /// A process could not be identified because the kernel-side scratch space was taken.
    ScratchFull,
    /// A datagram is recorded that may have been an answer: who wrote first did not fit into the
    /// kernel's table.
    ConversationsFull,
    /// A process's memory could not be read: its identity is incomplete.
    IdentityUnreadable,
    /// A flow whose process is not known: it is recorded without one.
    ProcessUnknown,
    /// A record from the kernel made no sense.
    RecordUndecodable,
    /// A kernel map could not be read.
    DrainFailed,
    /// A return probe did not fire: the errno of a failed connect may be missing.
    ReturnProbeMissed,
    /// A connection was open before it could be observed and does not show which side began: it is
    /// not recorded.
    OpenUnclear,
    /// The kernel did not run a hook, because it was running on that CPU already.
    HookSkipped,
    /// A protocol's module was loaded while observing: what it did before its hooks were on is
    /// missing.
    HookLate,
    /// A frame or packet that brings its own header could not be read: it is recorded without the
    /// destination in it.
    PayloadUnreadable,
    /// A packet that may have carried a name did not fit into the ring buffer.
    NamesRingFull,
    /// What a destination is called was not learned, for want of room or because it could not be read.
    NamesUnread,
    /// A file that ran was not examined, for want of room in the queue or because something hung.
    FilesUnexamined,
    /// The table of contacts in user space was full.
    ContactsFull,
    /// The store could not be written and memory for what waited was used up.
    StoreFailed,
    /// A line of an import that was skipped on request.
    LineSkipped,
}

impl LossCause {
    /// All causes.
    pub const ALL: [Self; 22] = [
        Self::RingFull,
        Self::EndRingFull,
        Self::ConnectionsFull,
        Self::DatagramsFull,
        Self::CallsFull,
        Self::ScratchFull,
        Self::ConversationsFull,
        Self::IdentityUnreadable,
        Self::ProcessUnknown,
        Self::RecordUndecodable,
        Self::DrainFailed,
        Self::ReturnProbeMissed,
        Self::OpenUnclear,
        Self::HookSkipped,
        Self::HookLate,
        Self::PayloadUnreadable,
        Self::NamesRingFull,
        Self::NamesUnread,
        Self::FilesUnexamined,
        Self::ContactsFull,
        Self::StoreFailed,
        Self::LineSkipped,
    ];

    /// The word for it in the store and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::EndRingFull => "end_ring_full",
            Self::ConnectionsFull => "connections_full",
            Self::DatagramsFull => "datagrams_full",
            Self::CallsFull => "calls_full",
            Self::ScratchFull => "scratch_full",
            Self::ConversationsFull => "conversations_full",
            Self::IdentityUnreadable => "identity_unreadable",
            Self::ProcessUnknown => "process_unknown",
            Self::RecordUndecodable => "record_undecodable",
            Self::DrainFailed => "drain_failed",
            Self::ReturnProbeMissed => "return_probe_missed",
            Self::OpenUnclear => "open_unclear",
            Self::HookSkipped => "hook_skipped",
            Self::HookLate => "hook_late",
            Self::PayloadUnreadable => "payload_unreadable",
            Self::NamesRingFull => "names_ring_full",
            Self::NamesUnread => "names_unread",
            Self::FilesUnexamined => "files_unexamined",
            Self::ContactsFull => "contacts_full",
            Self::StoreFailed => "store_failed",
            Self::LineSkipped => "line_skipped",
        }
    }

    /// What it means to an operator, as half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::RingFull => "attempts that did not fit into the ring buffer",
            Self::EndRingFull => "connections whose end did not fit into the ring buffer",
            Self::ConnectionsFull => "connections whose end could not be followed",
            Self::DatagramsFull => "datagrams to contacts that did not fit into the kernel's table",
            Self::CallsFull => "calls whose refusal would not have been noticed",
            Self::ConversationsFull => "datagrams that may have been answers",
            Self::ScratchFull => "processes that could not be identified in time",
            Self::IdentityUnreadable => "processes whose identity is incomplete",
            Self::ProcessUnknown => "flows recorded without a process",
            Self::RecordUndecodable => "records from the kernel that made no sense",
            Self::DrainFailed => "kernel tables that could not be read",
            Self::ReturnProbeMissed => "connects whose errno may be missing",
            Self::OpenUnclear => "connections of earlier that do not show which side began",
            Self::HookSkipped => "hooks that the kernel did not run",
            Self::HookLate => "protocols that were loaded a moment before their hooks were on",
            Self::PayloadUnreadable => {
                "frames and packets recorded without the destination in them"
            }
            Self::NamesRingFull => "packets with names that did not fit into the ring buffer",
            Self::NamesUnread => "names that could not be read or had no room",
            Self::FilesUnexamined => "files that ran and were not examined",
            Self::ContactsFull => "attempts to contacts that did not fit into memory",
            Self::StoreFailed => "attempts that could not be written to the database",
            Self::LineSkipped => "lines of an import that were skipped",
        }
    }
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for LossCause {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.word() == text)
            .ok_or(())
    }
}

/// A counted loss within a stretch of a watch period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: LossCause,
    /// Start of the stretch in which it happened.
    pub since: Timestamp,
    /// End of that stretch.
    pub until: Timestamp,
    /// How many: attempts, records or lines, as the cause says.
    pub count: u64,
    /// Payload bytes that went with them, where they are known.
    pub bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::LossCause;

    #[test]
    fn causes_survive_writing_and_reading() {
        for cause in LossCause::ALL {
            assert_eq!(cause.word().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.word());
        }
    }
}
