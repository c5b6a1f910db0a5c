//! Whether the service manager is to be told that all is well.
//!
//! It is told from the loop that writes the database, so that a write that hangs keeps it from being
//! told; and only while the capture thread goes round, because an observer that writes nothing new
//! looks like a host that has nothing to say.

use std::time::{Duration, Instant};

/// Judges by the beats of the capture thread.
#[derive(Debug)]
pub(super) struct Watchdog {
    patience: Duration,
    beats: u64,
    changed: Instant,
}

/// Where no service manager asks, nothing is sent anyhow.
const USUAL_TIMEOUT: Duration = Duration::from_secs(60);

impl Watchdog {
    /// As the service manager asked for it.
    pub(super) fn of_service(now: Instant) -> Self {
        Self::new(sd_notify::watchdog_enabled().unwrap_or(USUAL_TIMEOUT), now)
    }

    /// `timeout` is when the service manager gives up. Half of it is the thread's, so that one that
    /// hangs is killed within one and a half of it.
    fn new(timeout: Duration, now: Instant) -> Self {
        Self {
            patience: timeout / 2,
            beats: 0,
            changed: now,
        }
    }

    /// Whether the thread has gone round lately.
    pub(super) fn is_well(&mut self, beats: u64, now: Instant) -> bool {
        if beats != self.beats {
            self.beats = beats;
            self.changed = now;
        }
        now.duration_since(self.changed) <= self.patience
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Watchdog;

    #[test]
    fn a_thread_that_does_not_go_round_is_not_well_until_it_does() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut watchdog = Watchdog::new(Duration::from_secs(60), start);
        assert!(watchdog.is_well(1, after(20)));
        assert!(watchdog.is_well(1, after(50)));
        assert!(!watchdog.is_well(1, after(51)));
        assert!(watchdog.is_well(2, after(52)));
    }
}
