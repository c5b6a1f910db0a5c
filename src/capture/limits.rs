//! How much memory the kernel side may take: settled before anything is loaded.

use libbpf_rs::{MapType, OpenMapImpl, num_possible_cpus, skel::OpenSkel};

use super::skeleton::OpenEgressSkel;

/// Bounds of the kernel's memory, set before anything is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ring buffer, bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Connections that are followed at the same time.
    pub connections: u32,
    /// Threads that are inside a connect call, or one that sends through SCTP or L2TP, at the same time.
    pub connecting: u32,
    /// Contacts by datagram between two drains.
    pub datagram_contacts: u32,
    /// Exchanges of datagrams of which it is remembered who began.
    pub conversations: u32,
    /// Process images that are remembered as sent.
    pub known_processes: u32,
    /// Cgroups that are remembered as sent.
    pub known_cgroups: u32,
    /// Addresses of all network namespaces together.
    pub own_addresses: u32,
    /// Tasks that are being identified at the same time.
    pub identifying: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring_bytes: 16 * 1024 * 1024,
            connections: 65_536,
            connecting: 10_240,
            datagram_contacts: 32_768,
            conversations: 65_536,
            known_processes: 32_768,
            known_cgroups: 16_384,
            own_addresses: 16_384,
            identifying: 64,
        }
    }
}

/// Gives every table of the object its size.
pub(super) fn set(open: &mut OpenEgressSkel<'_>, limits: &Limits) -> Result<(), libbpf_rs::Error> {
    let Limits {
        ring_bytes,
        connections,
        connecting,
        datagram_contacts,
        conversations,
        known_processes,
        known_cgroups,
        own_addresses,
        identifying,
    } = *limits;
    if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
        // A small ring must be read before it is full.
        rodata.wake_up_bytes = rodata.wake_up_bytes.min(ring_bytes / 4);
        rodata.scratch_slot_count = identifying;
    }
    let maps = &mut open.maps;
    maps.events.set_max_entries(ring_bytes)?;
    maps.connections.set_max_entries(connections)?;
    maps.connecting.set_max_entries(connecting)?;
    maps.sending.set_max_entries(connecting)?;
    maps.datagrams_even.set_max_entries(datagram_contacts)?;
    maps.datagrams_odd.set_max_entries(datagram_contacts)?;
    maps.conversations.set_max_entries(conversations)?;
    maps.served_ports.set_max_entries(ports_of(conversations))?;
    maps.old_ports.set_max_entries(ports_of(conversations))?;
    maps.askers.set_max_entries(askers_of(conversations))?;
    maps.known_processes.set_max_entries(known_processes)?;
    maps.known_cgroups.set_max_entries(known_cgroups)?;
    maps.own_addresses.set_max_entries(own_addresses)?;
    maps.scratch_slots.set_max_entries(identifying)?;
    maps.scratch_taken.set_max_entries(identifying)
}

/// Local ports that are told apart: a port has conversations with several, as a rule with many.
fn ports_of(conversations: u32) -> u32 {
    (conversations / 4).max(1)
}

/// Sockets of which it is known who asks for names through them: each has a conversation with its
/// resolver. Each CPU sets some entries of such a table aside, so it must not be too small.
fn askers_of(conversations: u32) -> u32 {
    (conversations / 4).max(256)
}

/// Bytes that the kernel sets aside for all tables once they are loaded.
pub(super) fn kernel_bytes(open: &OpenEgressSkel<'_>) -> u64 {
    let maps = open.open_object().maps();
    maps.map(|map| bytes_of(&map)).sum()
}

/// What the kernel keeps beside key and value of an element of a hash table, and for each bucket.
const ELEMENT: u64 = 48;
const BUCKET: u64 = 16;

/// All hash tables are set aside whole, or an insertion could fail for want of memory.
fn bytes_of(map: &OpenMapImpl<'_>) -> u64 {
    const PAGE: u64 = 4096;
    let entries = u64::from(map.max_entries());
    let rounded = |bytes: u32| u64::from(bytes).next_multiple_of(8);
    let (key, value) = (rounded(map.key_size()), rounded(map.value_size()));
    match map.map_type() {
        // Pages of its own for the two positions and the kernel's bookkeeping.
        MapType::RingBuf => entries + 4 * PAGE,
        MapType::Hash | MapType::LruHash => {
            // An element more for each CPU, so that one can be replaced.
            let spare = num_possible_cpus().map_or(0, |cpus| cpus as u64);
            entries.next_power_of_two() * BUCKET + (entries + spare) * (ELEMENT + key + value)
        }
        _ => entries * (key + value),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, mem::MaybeUninit};

    use libbpf_rs::{
        OpenObject,
        skel::{OpenSkel, SkelBuilder},
    };

    use super::{
        super::skeleton::{EgressSkelBuilder, OpenEgressSkel},
        Limits, kernel_bytes, set,
    };

    /// Their size does not depend on what the host does.
    const FIXED: [&str; 2] = ["losses", "rest"];

    fn sizes(open: &OpenEgressSkel<'_>) -> BTreeMap<String, u32> {
        open.open_object()
            .maps()
            .map(|map| (map.name().to_string_lossy().into_owned(), map.max_entries()))
            // The variables, which libbpf puts into tables with a name of the object's.
            .filter(|(name, _)| !name.contains('.'))
            .collect()
    }

    fn sized(limits: Limits) -> (BTreeMap<String, u32>, u64) {
        let mut storage = MaybeUninit::<OpenObject>::uninit();
        let mut open = EgressSkelBuilder::default().open(&mut storage).unwrap();
        set(&mut open, &limits).unwrap();
        (sizes(&open), kernel_bytes(&open))
    }

    #[test]
    fn every_table_of_the_kernel_side_has_a_limit() {
        let usual = Limits::default();
        let halved = Limits {
            ring_bytes: usual.ring_bytes / 2,
            connections: usual.connections / 2,
            connecting: usual.connecting / 2,
            datagram_contacts: usual.datagram_contacts / 2,
            conversations: usual.conversations / 2,
            known_processes: usual.known_processes / 2,
            known_cgroups: usual.known_cgroups / 2,
            own_addresses: usual.own_addresses / 2,
            identifying: usual.identifying / 2,
        };
        let (before, bytes_before) = sized(usual);
        let (after, bytes_after) = sized(halved);
        for (name, size) in &before {
            if !FIXED.contains(&name.as_str()) {
                assert_eq!(
                    after[name] * 2,
                    *size,
                    "{name} is not settled by the limits"
                );
            }
        }
        assert!(
            bytes_after < bytes_before * 11 / 20,
            "{bytes_after} of {bytes_before}"
        );
    }
}
