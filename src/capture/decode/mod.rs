//! Bytes of the kernel side → owned values. Generated types stop at this door.

#![expect(
    unsafe_code,
    reason = "reads records as the types that they were written from"
)]

mod image;
mod payload;

use std::net::{IpAddr, Ipv6Addr};

use super::skeleton::types;
use crate::model::{
    Connect, ConnectionEnd, ConnectionId, DatagramCount, Endpoint, KernelEvent, LossCause,
    ProcessKey, Sender, text_of_bytes,
};

/// The causes that are counted in the kernel and the index of each one's counter.
pub(super) const LOSS_CAUSES: [(LossCause, u32); 10] = [
    (LossCause::RingFull, types::loss_cause::LOSS_RING_FULL.0),
    (
        LossCause::EndRingFull,
        types::loss_cause::LOSS_END_RING_FULL.0,
    ),
    (
        LossCause::ConnectionsFull,
        types::loss_cause::LOSS_CONNECTIONS_FULL.0,
    ),
    (
        LossCause::DatagramsFull,
        types::loss_cause::LOSS_DATAGRAMS_FULL.0,
    ),
    (LossCause::CallsFull, types::loss_cause::LOSS_CALLS_FULL.0),
    (
        LossCause::ScratchFull,
        types::loss_cause::LOSS_SCRATCH_FULL.0,
    ),
    (
        LossCause::ConversationsFull,
        types::loss_cause::LOSS_CONVERSATIONS_FULL.0,
    ),
    (
        LossCause::ReturnProbeMissed,
        types::loss_cause::LOSS_RETURN_PROBE_MISSED.0,
    ),
    (
        LossCause::PayloadUnreadable,
        types::loss_cause::LOSS_PAYLOAD_UNREADABLE.0,
    ),
    (
        LossCause::NamesRingFull,
        types::loss_cause::LOSS_NAMES_RING_FULL.0,
    ),
];

/// Types of records: plain numbers and arrays of them, for which every pattern of bits is a value.
///
/// # Safety
///
/// Implementors hold no padding, pointer, reference or enum.
pub(super) unsafe trait Record: Copy {}

// SAFETY: event.h describes each as numbers and arrays of bytes, without padding.
unsafe impl Record for types::connect_record {}
// SAFETY: as above.
unsafe impl Record for types::connection_end_record {}
// SAFETY: as above.
unsafe impl Record for types::process_record {}
// SAFETY: as above.
unsafe impl Record for types::module_record {}
// SAFETY: as above.
unsafe impl Record for types::connection {}
// SAFETY: as above.
unsafe impl Record for types::open_record {}
// SAFETY: as above.
unsafe impl Record for types::carried_record {}
// SAFETY: as above.
unsafe impl Record for types::datagram_key {}
// SAFETY: as above.
unsafe impl Record for types::datagram_count {}
// SAFETY: as above.
unsafe impl Record for types::payload_record {}
// SAFETY: as above.
unsafe impl Record for types::loss {}
// SAFETY: as above.
unsafe impl Record for types::process_key {}
// SAFETY: as above.
unsafe impl Record for types::own_address {}

/// Reads a record from the front of `bytes`; `None` if they are too few.
pub(super) fn read<T: Record>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are enough bytes, any bits are a value of T, and the read needs no alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

pub(super) fn bytes_of<T: Record>(record: &T) -> Vec<u8> {
    // SAFETY: a record has no padding, so all its bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast(), size_of::<T>()) }
        .to_vec()
}

/// Decodes one record of the ring; `None` if it makes no sense.
pub fn decode(bytes: &[u8]) -> Option<KernelEvent> {
    let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    match types::event_kind(kind) {
        types::event_kind::EVENT_PROCESS => {
            image::process(bytes).map(|image| KernelEvent::Process(Box::new(image)))
        }
        types::event_kind::EVENT_CGROUP => image::cgroup(bytes).map(KernelEvent::Cgroup),
        types::event_kind::EVENT_PAYLOAD => payload::payload(bytes).map(KernelEvent::Payload),
        types::event_kind::EVENT_CONNECT => {
            read(bytes).map(|record| KernelEvent::Connect(connect(&record)))
        }
        types::event_kind::EVENT_CONNECTION_END => {
            read(bytes).map(|record| KernelEvent::ConnectionEnd(connection_end(&record)))
        }
        _ => None,
    }
}

/// The name of a module that is being loaded, if that is what a record of the ring tells.
pub fn module(bytes: &[u8]) -> Option<String> {
    let record: types::module_record = read(bytes)?;
    let is_module = record.kind == types::event_kind::EVENT_MODULE.0;
    is_module.then(|| text_of_bytes(image::name(&record.name)))
}

fn process_key(key: &types::process_key) -> ProcessKey {
    ProcessKey {
        pid: key.pid,
        started_boot_ns: key.started_boot_ns,
        exec_id: u64::from(key.exec_id),
    }
}

/// The kernel side's key of a process image.
pub(super) fn process_key_bytes(key: &ProcessKey) -> Vec<u8> {
    bytes_of(&types::process_key {
        started_boot_ns: key.started_boot_ns,
        pid: key.pid,
        // It is taken from 32 bits, so nothing is cut off.
        exec_id: u32::try_from(key.exec_id).unwrap_or(u32::MAX),
    })
}

/// The kernel side's key of an address of a network namespace.
pub(super) fn own_address_bytes(network_namespace: u32, address: IpAddr) -> Vec<u8> {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    bytes_of(&types::own_address {
        address: address.octets(),
        network_namespace,
    })
}

fn sender(sender: &types::sender) -> Sender {
    Sender {
        process: process_key(&sender.process),
        uid: sender.uid,
        cgroup_id: sender.cgroup_id,
        socket_uid: sender.socket_uid,
        socket_cgroup_id: sender.socket_cgroup_id,
        network_namespace: sender.network_namespace,
    }
}

fn has_flag(flags: impl Into<u32>, flag: u32) -> bool {
    flags.into() & flag != 0
}

fn endpoint(endpoint: &types::endpoint) -> Endpoint {
    let has_address = has_flag(
        endpoint.flags,
        types::endpoint_flags::ENDPOINT_HAS_ADDRESS.0,
    );
    Endpoint {
        address: has_address.then(|| Ipv6Addr::from(endpoint.address).to_canonical()),
        port: endpoint.port,
        protocol: has_address.then_some(endpoint.protocol),
    }
}

pub(super) fn connect(record: &types::connect_record) -> Connect {
    Connect {
        id: ConnectionId {
            socket: record.socket,
            started_boot_ns: record.started_boot_ns,
        },
        sender: sender(&record.sender),
        remote: endpoint(&record.remote),
        is_followed: record.is_followed != 0,
        was_open: record.was_open != 0,
    }
}

fn connection_end(record: &types::connection_end_record) -> ConnectionEnd {
    let flag = |flag: types::connection_flags| has_flag(record.flags, flag.0);
    ConnectionEnd {
        connect: connect(&record.connect),
        at_boot_ns: record.at_boot_ns,
        was_sent: flag(types::connection_flags::CONNECTION_SENT),
        is_established: flag(types::connection_flags::CONNECTION_ESTABLISHED),
        is_over: true,
        is_local: flag(types::connection_flags::CONNECTION_LOCAL),
        errno: i32::try_from(record.error).unwrap_or(0),
        source_port: record.source_port,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
    }
}

/// An entry of the table of connections; `None` if it is another connect of the same socket.
pub fn connection(connect: &Connect, value: &[u8], at_boot_ns: u64) -> Option<ConnectionEnd> {
    let value: types::connection = read(value)?;
    (value.started_boot_ns == connect.id.started_boot_ns).then(|| ConnectionEnd {
        connect: connect.clone(),
        at_boot_ns,
        was_sent: value.has_state != 0,
        is_established: value.is_established != 0,
        is_over: false,
        is_local: false,
        errno: 0,
        source_port: value.source_port,
        bytes_out: 0,
        bytes_in: 0,
    })
}

/// An entry of the table of connections that was never reported.
pub fn unannounced(socket: &[u8], value: &[u8]) -> Option<Connect> {
    let value: types::connection = read(value)?;
    (value.is_announced == 0).then_some(Connect {
        id: ConnectionId {
            socket: u64::from_ne_bytes(socket.try_into().ok()?),
            started_boot_ns: value.started_boot_ns,
        },
        sender: sender(&value.sender),
        remote: endpoint(&value.remote),
        is_followed: true,
        was_open: value.was_open != 0,
    })
}

/// An entry of a table of datagrams; `None` if it is not about egress.
pub(super) fn datagrams(
    key: &types::datagram_key,
    count: &types::datagram_count,
) -> Option<DatagramCount> {
    let has_several_ports = count.has_several_ports != 0;
    (count.is_local == 0).then(|| DatagramCount {
        sender: sender(&key.sender),
        remote: endpoint(&key.remote),
        errno: i32::try_from(key.error).unwrap_or(0),
        begun: count.begun,
        sent: count.sent,
        bytes: count.bytes,
        source_port: if has_several_ports {
            0
        } else {
            u16::try_from(count.source_port).unwrap_or(0)
        },
        may_be_reply: count.is_unsure != 0,
        first_boot_ns: count.first_boot_ns,
        // The time that programs have at hand lags behind.
        last_boot_ns: count.last_boot_ns.max(count.first_boot_ns),
    })
}

/// An entry of a table of datagrams as the kernel hands it out; `None` if it is not about egress, or
/// too short.
pub fn datagram_entry(key: &[u8], count: &[u8]) -> Option<DatagramCount> {
    datagrams(&read(key)?, &read(count)?)
}
