//! The only door to SQLite.

use std::path::{Path, PathBuf};

use crate::model::{
    Batch, Contact, FlowRecord, Process, Record, RecordedFlow, Timestamp, WatchPeriod, Window,
};

/// Why the store could not be used; the text names the path and `hint` says what to do.
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct StoreError {}

impl StoreError {
    /// What the operator can do about it, if anything is known.
    pub fn hint(&self) -> Option<String> {
        todo!()
    }
}

/// Number of a watch period in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchPeriodId(pub i64);

/// A store that is open for writing.
#[derive(Debug)]
pub struct Recorder {}

/// What one batch or import added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Flow rows.
    pub flows: u64,
    /// Flows that were there before (imports) and added nothing.
    pub known_flows: u64,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The content came in now.
    Added(Recorded),
    /// A file with this content came in before, at this time; nothing was added.
    KnownFile(Timestamp),
}

/// What retention keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Flow detail older than this is dropped.
    pub detail_before: Option<Timestamp>,
    /// Flow detail is dropped, oldest first, until the database is no larger (bytes).
    pub max_bytes: Option<u64>,
    /// Rollups older than this are dropped.
    pub rollups_before: Option<Timestamp>,
}

/// What retention dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Flow rows.
    pub flows: u64,
    /// Process images that no flow needs any more.
    pub processes: u64,
    /// Rollup rows.
    pub rollups: u64,
    /// Size of the database file before and after, bytes.
    pub bytes_before: u64,
    /// See `bytes_before`.
    pub bytes_after: u64,
}

impl Recorder {
    /// Opens or creates the database for writing and brings its schema up to date.
    pub fn open(_path: &Path) -> Result<Self, StoreError> {
        todo!()
    }

    /// Like [`Recorder::open`], and makes this process the only observer of the database until it
    /// ends or drops the recorder.
    pub fn open_for_observer(_path: &Path) -> Result<Self, StoreError> {
        todo!()
    }

    /// Opens a watch period; one transaction.
    pub fn begin(&mut self, _period: &WatchPeriod) -> Result<WatchPeriodId, StoreError> {
        todo!()
    }

    /// Writes a batch in one transaction: all of it or nothing.
    pub fn record(&mut self, _to: WatchPeriodId, _batch: &Batch) -> Result<Recorded, StoreError> {
        todo!()
    }

    /// Ends a watch period in good order.
    pub fn end(&mut self, _period: WatchPeriodId, _at: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// Runs an import as one transaction: `fill` adds records; if it fails nothing is kept.
    pub fn import<E: From<StoreError>>(
        &mut self,
        _period: &WatchPeriod,
        _fill: impl FnOnce(&mut ImportTransaction<'_>) -> Result<(), E>,
    ) -> Result<Imported, E> {
        todo!()
    }

    /// Applies retention.
    pub fn prune(&mut self, _retention: &Retention) -> Result<Pruned, StoreError> {
        todo!()
    }
}

/// An import that is under way.
#[derive(Debug)]
pub struct ImportTransaction<'a> {
    _recorder: &'a mut Recorder,
}

impl ImportTransaction<'_> {
    /// Adds a flow of another program's file: identity and process come with it.
    pub fn add_flow(&mut self, _flow: &FlowRecord) -> Result<(), StoreError> {
        todo!()
    }

    /// Adds a record of a dump; `application` is what its identity stands for now (for
    /// [`Record::Identity`] and [`Record::Flow`]).
    pub fn add_record(
        &mut self,
        _record: &Record,
        _application: Option<&crate::model::Application>,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Counts a line that was skipped on request.
    pub fn skip_line(&mut self) {
        todo!()
    }
}

/// A store that is open for reading; works beside a running observer and on a closed database in a
/// place that cannot be written.
#[derive(Debug)]
pub struct Reader {}

/// A watch period as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWatchPeriod {
    /// Its number.
    pub id: WatchPeriodId,
    /// The watch period.
    pub period: WatchPeriod,
    /// Its losses, summed by cause.
    pub losses: Vec<crate::model::Loss>,
    /// Flows that it recorded and that are still stored in detail.
    pub flows: u64,
}

/// Size of a store and how fast it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Database file and write-ahead log, bytes.
    pub bytes: u64,
    /// Bytes in the file that are free to be used again.
    pub free_bytes: u64,
    /// Flow rows.
    pub flows: u64,
    /// Flow rows that begin in the last 24 hours of what was covered.
    pub flows_last_day: u64,
    /// Hourly rollup rows.
    pub hour_rollups: u64,
    /// Run rollup rows.
    pub run_rollups: u64,
    /// Process images.
    pub processes: u64,
    /// Applications.
    pub applications: u64,
    /// Bytes that the file grew per day of the covered time, where that is at least an hour.
    pub bytes_per_day: Option<u64>,
}

/// Which contacts a question is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactQuery {
    /// Window, widened to whole UTC hours.
    pub window: Window,
    /// Windows that are left out, narrowed to whole UTC hours.
    pub except: Vec<Window>,
    /// Glob over the application's text form, its context or its program.
    pub application: Option<String>,
    /// Glob over names and addresses of destinations.
    pub to: Option<String>,
    /// Host.
    pub host: Option<String>,
}

impl Reader {
    /// Opens an existing database for reading.
    pub fn open(_path: &Path) -> Result<Self, StoreError> {
        todo!()
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        todo!()
    }

    /// The pid of the observer that holds the database now, if one does.
    pub fn observer_pid(&self) -> Result<Option<u32>, StoreError> {
        todo!()
    }

    /// All watch periods in order of their start.
    pub fn watch_periods(&self, _window: &Window) -> Result<Vec<StoredWatchPeriod>, StoreError> {
        todo!()
    }

    /// Size and growth.
    pub fn size(&self) -> Result<StoreSize, StoreError> {
        todo!()
    }

    /// Contacts, ordered by host, application and destination.
    pub fn contacts(&self, _query: &ContactQuery) -> Result<Vec<Contact>, StoreError> {
        todo!()
    }

    /// The flow with this id.
    pub fn flow(&self, _flow_id: &str) -> Result<Option<RecordedFlow>, StoreError> {
        todo!()
    }

    /// The latest flows of applications that match the glob, newest first.
    pub fn flows_of_application(
        &self,
        _query: &ContactQuery,
        _limit: u32,
    ) -> Result<Vec<RecordedFlow>, StoreError> {
        todo!()
    }

    /// Process images of applications that match the query, latest start first.
    pub fn processes_of_application(
        &self,
        _query: &ContactQuery,
        _limit: u32,
    ) -> Result<Vec<Process>, StoreError> {
        todo!()
    }

    /// Hands out every flow in order of recording; stops when `each` says so.
    pub fn each_flow<E: From<StoreError>>(
        &self,
        _query: &ContactQuery,
        _each: impl FnMut(&RecordedFlow) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }

    /// Hands out everything that the store holds, each record after those that it refers to.
    pub fn each_record<E: From<StoreError>>(
        &self,
        _each: impl FnMut(&Record) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }
}
