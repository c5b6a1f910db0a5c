//! What the threads tell each other without waiting for each other.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Shared by the thread that captures and the one that writes. Each value stands for itself, so no
/// order between them is needed.
#[derive(Debug)]
pub(super) struct Controls {
    should_stop: AtomicBool,
    flush_every_ns: AtomicU64,
    beats: AtomicU64,
}

impl Controls {
    pub(super) fn new(flush_every: Duration) -> Self {
        let controls = Self {
            should_stop: AtomicBool::new(false),
            flush_every_ns: AtomicU64::new(0),
            beats: AtomicU64::new(0),
        };
        controls.flush_every(flush_every);
        controls
    }

    pub(super) fn should_stop(&self) -> bool {
        self.should_stop.load(Ordering::Relaxed)
    }

    /// Asks the capture thread to end; returns whether it was asked already.
    pub(super) fn stop(&self) -> bool {
        self.should_stop.swap(true, Ordering::Relaxed)
    }

    pub(super) fn flush_interval(&self) -> Duration {
        Duration::from_nanos(self.flush_every_ns.load(Ordering::Relaxed))
    }

    pub(super) fn flush_every(&self, interval: Duration) {
        let nanoseconds = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        self.flush_every_ns.store(nanoseconds, Ordering::Relaxed);
    }

    /// The capture thread says that it goes round.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has said so.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}
