//! The kernel's time and the world's.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::model::{BootClock, Timestamp};

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::from_unix_ns(nanoseconds(clock_gettime(ClockId::Realtime)))
}

/// Two readings this close together belong to the same moment.
const CLOSE_NS: u64 = 1_000_000;

/// Readings that are tried on a machine that is very busy.
const TRIES: usize = 8;

/// How the time since boot and the time of day stand to each other now.
pub fn boot_clock() -> BootClock {
    let mut reading = read_both();
    for _ in 1..TRIES {
        // Suspended in between, the two would not belong together.
        if boot_ns().saturating_sub(reading.boot_ns()) < CLOSE_NS {
            break;
        }
        reading = read_both();
    }
    reading
}

fn read_both() -> BootClock {
    BootClock::new(boot_ns(), now())
}

/// Nanoseconds since boot, suspended time included.
pub(super) fn boot_ns() -> u64 {
    u64::try_from(nanoseconds(clock_gettime(ClockId::Boottime))).unwrap_or(0)
}
