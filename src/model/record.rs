//! What a store holds, as single records: what `dump --all` writes and `import` reads.

use std::net::IpAddr;

use super::{
    Application, Destination, FileFacts, FileRole, Flow, Loss, NameSource, Outcome, Process,
    RawIdentity, SelfCheck, Tally, Timestamp, WatchPeriod,
};

/// One record. Ids are numbers that tie the records of one dump together and mean nothing outside
/// it; a record comes after those that it refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The store that the dump was taken from; comes first, and says that everything follows.
    Store {
        /// Its id: 16 hexadecimal digits, the first part of its flows' ids.
        id: String,
        /// Number of the last flow that it recorded.
        last_flow: u64,
    },
    /// A stretch of time in which something watched.
    WatchPeriod {
        /// Id within the dump.
        id: u64,
        /// The watch period.
        period: WatchPeriod,
    },
    /// A counted loss.
    Loss {
        /// The watch period that it belongs to.
        watch_period_id: u64,
        /// The loss.
        loss: Loss,
    },
    /// What canary flows proved while something watched.
    SelfCheck {
        /// The watch period that it belongs to.
        watch_period_id: u64,
        /// What was found.
        check: SelfCheck,
    },
    /// A file that ran.
    File {
        /// Id within the dump.
        id: u64,
        /// The file.
        file: Box<FileFacts>,
    },
    /// A process image.
    Process {
        /// Id within the dump.
        id: u64,
        /// The process.
        process: Box<Process>,
        /// What it ran.
        files: ProcessFiles,
    },
    /// A raw identity.
    Identity {
        /// Id within the dump.
        id: u64,
        /// The identity.
        raw: Box<RawIdentity>,
    },
    /// When flows of an identity came from a file.
    FileUse {
        /// The file, within the dump.
        file_id: u64,
        /// The identity, within the dump.
        identity_id: u64,
        /// What the file was.
        role: FileRole,
        /// First attempt.
        first: Timestamp,
        /// Last attempt.
        last: Timestamp,
    },
    /// A flow.
    Flow(Box<RecordedFlow>),
    /// What a rollup holds beyond the flows that are still stored in detail.
    Rollup(Box<Rollup>),
    /// An address that was reached under a name.
    NameAddress(NameAddress),
}

/// Files that a process image ran, within the dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFiles {
    /// Its executable.
    pub executable: Option<u64>,
    /// What it interprets.
    pub script: Option<u64>,
}

/// A flow as it is stored, with what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFlow {
    /// The flow; its `flow_id` is set when it comes from a store.
    pub flow: Flow,
    /// Its maker's identity at the attempt. Imports without identity records fill it from the line.
    pub identity: RawIdentity,
    /// What that identity stands for (reading only; an import computes it anew).
    pub application: Option<Application>,
    /// Which run of the application it belongs to.
    pub run: Option<String>,
    /// The process image, if one is known. Lines of other programs give pid, path, parent, command line.
    pub process: Option<Process>,
    /// The watch period that recorded it, within the dump.
    pub watch_period_id: Option<u64>,
    /// The process image within the dump.
    pub process_id: Option<u64>,
    /// The identity within the dump.
    pub identity_id: Option<u64>,
}

/// The period that a rollup sums over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollupPeriod {
    /// The UTC hour that begins here.
    Hour(Timestamp),
    /// One run of an application.
    Run(String),
}

/// Sums of one identity to one destination with one outcome in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// Id of the store whose share this is: where the flows were recorded.
    pub store: String,
    /// Which hour or run.
    pub period: RollupPeriod,
    /// Who, within the dump.
    pub identity_id: u64,
    /// Where to.
    pub destination: Destination,
    /// Best source of the destination's name.
    pub name_source: Option<NameSource>,
    /// How it ended.
    pub outcome: Outcome,
    /// Sums.
    pub tally: Tally,
    /// First attempt.
    pub first: Timestamp,
    /// Last attempt.
    pub last: Timestamp,
}

/// An address that was reached under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddress {
    /// Id of the store whose share this is: where the flows were recorded.
    pub store: String,
    /// The host that was observed.
    pub host: String,
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// First time.
    pub first: Timestamp,
    /// Last time.
    pub last: Timestamp,
    /// Attempts beyond those of the flows that are still stored in detail.
    pub attempts: u64,
}
