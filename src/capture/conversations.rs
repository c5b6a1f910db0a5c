//! The clocks of the programs, and whether conversations come faster than they can be remembered.

#![expect(unsafe_code, reason = "shares memory with the programs in the kernel")]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{clock::boot_ns, skeleton::EgressSkel};

/// After this long without a word a conversation is over: CONVERSATION_IDLE of the kernel side.
const IDLE: Duration = Duration::from_secs(120);

/// How often the number of conversations is noted.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// What must be told to the kernel side for it to tell conversations apart.
#[derive(Debug)]
pub(super) struct Conversations {
    started: Instant,
    /// The kernel makes room for a new one by dropping one that was not used for long, and finds it by
    /// sampling: beyond this many in one idle time it may take one that is not over.
    most_at_ease: u64,
    /// How many had begun, and when; over the last idle time.
    notes: VecDeque<(Instant, u64)>,
}

impl Conversations {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            started: Instant::now(),
            most_at_ease: u64::from(capacity) / 2,
            notes: VecDeque::new(),
        }
    }

    /// Must be called several times a second.
    pub(super) fn keep_time(&mut self, skeleton: &mut EgressSkel<'static>) {
        let Some(bss) = skeleton.maps.bss_data.as_deref_mut() else {
            return;
        };
        let now = Instant::now();
        let seconds = now.duration_since(self.started).as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        // SAFETY: reads a u64 of the map's shared memory, which programs write at any time.
        let begun = unsafe { (&raw const bss.conversations_begun).read_volatile() };
        let is_crowded = self.is_crowded(now, begun);
        let boot_ns = boot_ns();
        // SAFETY: as above; programs only read these.
        unsafe {
            (&raw mut bss.observed_boot_ns).write_volatile(boot_ns);
            (&raw mut bss.observed_seconds).write_volatile(seconds);
            (&raw mut bss.is_crowded).write_volatile(u32::from(is_crowded));
        }
    }

    fn is_crowded(&mut self, now: Instant, begun: u64) -> bool {
        let is_due = self
            .notes
            .back()
            .is_none_or(|(at, _)| now.duration_since(*at) >= NOTE_EVERY);
        if is_due {
            self.notes.push_back((now, begun));
        }
        // The oldest that is kept is at least one idle time old, where there is one.
        while self
            .notes
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= IDLE)
        {
            self.notes.pop_front();
        }
        let before = self.notes.front().map_or(0, |(_, count)| *count);
        begun.saturating_sub(before) > self.most_at_ease
    }
}

/// The ports that were in use before are known: what begins from now on begins.
pub(super) fn begin(skeleton: &mut EgressSkel<'static>) {
    if let Some(bss) = skeleton.maps.bss_data.as_deref_mut() {
        // SAFETY: writes a u32 of the map's shared memory, which programs only read.
        unsafe { (&raw mut bss.has_old_ports).write_volatile(1) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Conversations, IDLE};

    #[test]
    fn a_rush_of_new_conversations_crowds_out_others_until_it_is_over() {
        let mut conversations = Conversations::new(1_000);
        let start = Instant::now();
        assert!(!conversations.is_crowded(start, 0));
        let soon = start + Duration::from_secs(1);
        assert!(!conversations.is_crowded(soon, 500));
        assert!(conversations.is_crowded(soon, 501));
        for second in 1..=IDLE.as_secs() {
            assert!(conversations.is_crowded(soon + Duration::from_secs(second), 600));
        }
        let later = soon + IDLE + Duration::from_secs(10);
        assert!(!conversations.is_crowded(later, 600));
    }
}
