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

/// How the time since boot and the time of day stand to each other now.
pub fn boot_clock() -> BootClock {
    let boot_ns = nanoseconds(clock_gettime(ClockId::Boottime));
    BootClock::new(u64::try_from(boot_ns).unwrap_or(0), now())
}
