//! The only door to SQLite.
//!
//! A [`Recorder`] writes and a [`Reader`] reads; both speak in types of the model. What is written
//! comes in transactions that are kept whole or not at all, also across a crash.
//!
//! Invariant: a rollup is the sum of all flows that were ever recorded under its key, whether they
//! are still stored in detail or not; and no flow is stored in detail without its rollup.

mod applications;
mod around;
mod calendar;
mod contacts;
mod days;
mod destinations;
mod detail;
mod dump;
mod each_contact;
mod error;
mod file;
mod files;
mod flow_id;
mod flows;
mod growing;
mod hours;
mod images;
mod import;
mod intern;
mod lock;
mod marks;
mod matching_makers;
mod merge;
mod merge_periods;
mod migrate;
mod numbers;
mod occurrences;
mod open;
mod packed;
mod packed_runs;
mod prune;
mod query;
mod read;
mod record;
mod rollup;
mod rows;
mod run_counts;
mod runs;
mod self_checks;
mod share;
mod size;
mod take;
mod value;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use applications::IdentityId;
pub use error::StoreError;
pub use import::{ImportTransaction, Imported};
pub use prune::{Pruned, Retention};

pub use query::ContactQuery;
pub use read::{Reader, StoredWatchPeriod};
pub use self_checks::OpenWatchPeriod;
pub use size::StoreSize;

/// Number of a watch period in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchPeriodId(pub i64);

/// What one batch or import added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Flow rows.
    pub flows: u64,
    /// Flows that were there before (imports) and added nothing.
    pub known_flows: u64,
}

/// A store that is open for writing.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    connection: Connection,
    interned: intern::Interned,
    tickets: record::Tickets,
    observer_lock: Option<lock::ObserverLock>,
}

impl Recorder {
    /// Opens or creates the database for writing and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            connection: open::for_writing(path)?,
            interned: intern::Interned::default(),
            tickets: record::Tickets::default(),
            observer_lock: None,
        })
    }

    /// Like [`Recorder::open`], and makes this process the only observer of the database until it
    /// ends or drops the recorder.
    pub fn open_for_observer(path: &Path) -> Result<Self, StoreError> {
        let mut recorder = Self::open(path)?;
        recorder.observer_lock = Some(lock::take(path)?);
        Ok(recorder)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of_sqlite(&self.path, error)
    }

    /// Whether this recorder was opened by [`Recorder::open_for_observer`].
    pub fn is_observer(&self) -> bool {
        self.observer_lock.is_some()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // What stays in the log is not lost, only hidden from those who have the file alone.
        let _not_lost = open::checkpoint(&self.connection);
    }
}
