//! Packets that may carry a name.

use super::{endpoint, process_key, read, types};
use crate::model::{Payload, PayloadKind};

/// A packet that may carry a name; `None` if its parts do not fit together.
pub(super) fn payload(bytes: &[u8]) -> Option<Payload> {
    let record: types::payload_record = read(bytes)?;
    let length = usize::try_from(record.length).ok()?;
    let payload = bytes
        .get(size_of::<types::payload_record>()..)?
        .get(..length)?;
    Some(Payload {
        kind: kind(record.what)?,
        at_boot_ns: record.at_boot_ns,
        socket: record.socket,
        process: process_key(&record.process),
        remote: endpoint(&record.remote),
        local_port: record.local_port,
        is_received: record.is_received != 0,
        is_cut: record.whole_length > record.length,
        sequence: record.sequence,
        bytes: payload.to_vec(),
    })
}

fn kind(what: u8) -> Option<PayloadKind> {
    match types::payload_what(u32::from(what)) {
        types::payload_what::PAYLOAD_DNS => Some(PayloadKind::Dns),
        types::payload_what::PAYLOAD_DNS_STREAM => Some(PayloadKind::DnsStream),
        types::payload_what::PAYLOAD_OPENING => Some(PayloadKind::Opening),
        types::payload_what::PAYLOAD_QUIC => Some(PayloadKind::Quic),
        _ => None,
    }
}
