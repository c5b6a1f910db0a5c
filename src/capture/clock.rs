//! The kernel's time and the world's.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::model::Timestamp;

/// How the time since boot and the time of day stood to each other at one moment.
///
/// Kept for each take of events anew: the time of day may be stepped, and the time since boot goes
/// on through suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootClock {
    boot_ns: i64,
    unix_ns: i64,
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::from_unix_ns(nanoseconds(clock_gettime(ClockId::Realtime)))
}

impl BootClock {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self {
            boot_ns: nanoseconds(clock_gettime(ClockId::Boottime)),
            unix_ns: nanoseconds(clock_gettime(ClockId::Realtime)),
        }
    }

    /// A mapping by values, for streams that were recorded.
    pub fn new(boot_ns: u64, now: Timestamp) -> Self {
        Self {
            boot_ns: i64::try_from(boot_ns).unwrap_or(i64::MAX),
            unix_ns: now.unix_ns(),
        }
    }

    /// Nanoseconds since boot when it was read.
    pub fn boot_ns(self) -> u64 {
        u64::try_from(self.boot_ns).unwrap_or(0)
    }

    /// The time of day when it was read.
    pub fn now(self) -> Timestamp {
        Timestamp::from_unix_ns(self.unix_ns)
    }

    /// The time of day at a moment that the kernel stamped.
    pub fn at(self, boot_ns: u64) -> Timestamp {
        let since = self
            .boot_ns
            .saturating_sub(i64::try_from(boot_ns).unwrap_or(i64::MAX));
        Timestamp::from_unix_ns(self.unix_ns.saturating_sub(since))
    }
}
