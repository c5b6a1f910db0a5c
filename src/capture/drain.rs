//! Fetches the counts of datagrams, completely.

#![expect(unsafe_code, reason = "libbpf's batch calls have no complete wrapper")]

use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::{
    decode,
    skeleton::{EgressSkel, types},
};
use crate::model::DatagramCount;

/// Entries fetched by one call, at first.
const BATCH: usize = 1024;

/// The two tables that take turns at counting.
#[derive(Debug)]
pub(super) struct DatagramTables {
    known_entries: u64,
    /// The table that rested last could not be emptied: its entries are due at its next turn.
    has_rest: bool,
    /// More than a table can hold: a bucket that does not fit is asked for again with more room.
    largest_batch: usize,
}

impl DatagramTables {
    pub(super) fn new(entries: u32) -> Self {
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        Self {
            known_entries: 0,
            has_rest: false,
            largest_batch: entries.saturating_mul(2).max(BATCH),
        }
    }

    /// Turns counting to the other table, waits until no program can hold an entry of this one, and
    /// empties it into `counts`. If it fails, what is left is fetched when that table's turn comes again.
    pub(super) fn drain(
        &mut self,
        skeleton: &mut EgressSkel<'static>,
        counts: &mut Vec<DatagramCount>,
    ) -> Result<(), libbpf_rs::Error> {
        let Some(bss) = skeleton.maps.bss_data.as_deref_mut() else {
            return Ok(());
        };
        // A table is empty after its drain, so whatever it counts begins with a new entry.
        // SAFETY: reads a u64 of the map's shared memory, which programs write at any time.
        let entries = unsafe { (&raw const bss.datagram_entries).read_volatile() };
        if entries == self.known_entries {
            return Ok(());
        }
        let was_odd = bss.active_datagrams != 0;
        // SAFETY: as above; programs only read it.
        unsafe { (&raw mut bss.active_datagrams).write_volatile(u32::from(!was_odd)) };
        let maps = &skeleton.maps;
        // A write to a map of maps returns only after every program that was running has ended.
        let table = maps.datagrams_even.as_fd().as_raw_fd().to_ne_bytes();
        maps.rest
            .update(&0u32.to_ne_bytes(), &table, MapFlags::ANY)
            .inspect_err(|_| self.has_rest = true)?;
        let resting = if was_odd {
            &maps.datagrams_odd
        } else {
            &maps.datagrams_even
        };
        let mut fetched = Vec::new();
        let result = empty(
            &MapHandle::try_from(resting)?,
            self.largest_batch,
            &mut fetched,
        );
        counts.extend(
            fetched
                .iter()
                .filter_map(|(key, count)| decode::datagrams(key, count)),
        );
        // Only once nothing is left: until then each drain looks again.
        self.known_entries = match (&result, self.has_rest) {
            (Ok(()), false) => entries,
            (Ok(()), true) | (Err(_), _) => u64::MAX,
        };
        self.has_rest = result.is_err();
        result
    }
}

type Entry = (types::datagram_key, types::datagram_count);

/// Fetches and deletes all entries of a table that nobody writes to. What was fetched before a failure
/// is deleted there as well, and must not be dropped.
///
/// The iterators of libbpf-rs take a short batch for the end, and the kernel returns short batches
/// whenever the next bucket does not fit: only ENOENT is the end, and ENOSPC asks for more room.
fn empty(
    map: &MapHandle,
    largest_batch: usize,
    entries: &mut Vec<Entry>,
) -> Result<(), libbpf_rs::Error> {
    let mut batch = BATCH;
    let mut position = [0u8; size_of::<types::datagram_key>()];
    let mut is_first = true;
    loop {
        let mut keys = vec![types::datagram_key::default(); batch];
        let mut values = vec![types::datagram_count::default(); batch];
        let mut count = u32::try_from(batch).unwrap_or(u32::MAX);
        let mut next = position;
        // SAFETY: keys and values have room for `count` elements of the map's own key and value
        // types; the kernel keeps its position, a u32, in buffers at least as large as a key.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_and_delete_batch(
                map.as_fd().as_raw_fd(),
                if is_first {
                    std::ptr::null_mut()
                } else {
                    position.as_mut_ptr().cast()
                },
                next.as_mut_ptr().cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                std::ptr::null(),
            )
        };
        let errno = if result < 0 { -result } else { 0 };
        if errno == libc::ENOSPC && batch < largest_batch {
            batch *= 2;
            continue;
        }
        if errno != 0 && errno != libc::ENOENT {
            return Err(libbpf_rs::Error::from_raw_os_error(errno));
        }
        let fetched = usize::try_from(count).unwrap_or(0).min(batch);
        entries.extend(keys.into_iter().zip(values).take(fetched));
        if errno == libc::ENOENT {
            return Ok(());
        }
        position = next;
        is_first = false;
    }
}
