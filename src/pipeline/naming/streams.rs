//! Packets that only mean something in their order: of DNS connections, and of what flows open with.

use std::time::Duration;

use super::{MOST_OPENINGS, Naming, Opened, direction};
use crate::{
    model::{BootClock, Endpoint, Payload, Timestamp},
    names::FlowId,
};

/// First packets of QUIC that come so soon after the name was read belong to the same connection: a
/// client sends some more of them while the handshake goes on.
const SAME_HANDSHAKE: Duration = Duration::from_secs(10);

/// A stream of which pieces are read, and the number of the byte that comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) flow: FlowId,
    next: u32,
    /// What it opens with is known, or never will be: what follows is something else.
    is_read: bool,
}

/// One direction of a connection that DNS is spoken over. The kernel uses numbers of sockets again, and
/// of connections on this host nobody tells the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct DnsStream {
    remote: Endpoint,
    local_port: u16,
    next: u32,
}

/// The first packets of QUIC of one socket to one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstPackets {
    flow: FlowId,
    read_at: Option<Timestamp>,
}

impl DnsStream {
    fn of(payload: &Payload) -> Self {
        Self {
            remote: payload.remote,
            local_port: payload.local_port,
            next: end_of(payload),
        }
    }

    fn is_of(&self, payload: &Payload) -> bool {
        (self.remote, self.local_port) == (payload.remote, payload.local_port)
    }
}

impl Naming {
    pub(super) fn take_dns_stream(&mut self, payload: &Payload, clock: BootClock) {
        let key = (payload.socket, payload.is_received);
        let at = clock.at(payload.at_boot_ns);
        let mut bytes = payload.bytes.as_slice();
        match self.dns_streams.get(&key) {
            Some(known) if !known.is_of(payload) => self.names.forget_socket(payload.socket, at),
            Some(known) if is_before(payload.sequence, known.next) => {
                // Sent again, perhaps with more behind it.
                let known_bytes = known.next.wrapping_sub(payload.sequence);
                let known_bytes = usize::try_from(known_bytes).unwrap_or(usize::MAX);
                match bytes.get(known_bytes..) {
                    Some(rest) if !rest.is_empty() => bytes = rest,
                    _ => return,
                }
            }
            Some(known) if known.next != payload.sequence => {
                // A piece is missing. What comes now may well be the beginning of a message.
                self.lost += 1;
                self.names.forget_socket(payload.socket, at);
            }
            Some(_) | None => {}
        }
        if self.dns_streams.len() >= MOST_OPENINGS {
            self.lost = self.lost.saturating_add(self.dns_streams.len() as u64);
            self.dns_streams.clear();
        }
        self.dns_streams.insert(key, DnsStream::of(payload));
        let channel = self.channel(payload);
        let _learned = self
            .names
            .dns_stream(&channel, direction(payload), bytes, at);
    }

    pub(super) fn take_opening(&mut self, payload: &Payload, clock: BootClock) -> Option<Opened> {
        let at = clock.at(payload.at_boot_ns);
        if self.streams.len() >= MOST_OPENINGS {
            let unread = self.streams.values().filter(|reading| !reading.is_read);
            self.lost = self.lost.saturating_add(unread.count() as u64);
            self.streams.clear();
        }
        let last_flow = &mut self.last_flow;
        let reading = self.streams.entry(payload.socket).or_insert_with(|| {
            *last_flow += 1;
            Reading {
                flow: FlowId(*last_flow),
                next: payload.sequence,
                is_read: false,
            }
        });
        if reading.is_read {
            return None;
        }
        let flow = reading.flow;
        if payload.sequence != reading.next {
            // The piece before it did not fit into the ring, and was counted there.
            reading.is_read = true;
            self.names.forget(flow, at);
            return None;
        }
        reading.next = end_of(payload);
        let opening = self.names.stream_start(flow, &payload.bytes, at)?;
        reading.is_read = true;
        self.names.forget(flow, at);
        Some((payload.socket, self.said_by(&opening)?))
    }

    pub(super) fn take_quic(&mut self, payload: &Payload, clock: BootClock) {
        let at = clock.at(payload.at_boot_ns);
        if self.quic.len() >= MOST_OPENINGS {
            let unread = self.quic.values().filter(|first| first.read_at.is_none());
            self.lost = self.lost.saturating_add(unread.count() as u64);
            self.quic.clear();
        }
        if self.called_by_quic.len() >= MOST_OPENINGS {
            self.lost = self.lost.saturating_add(self.called_by_quic.len() as u64);
            self.called_by_quic.clear();
        }
        let key = (payload.process, payload.remote, payload.local_port);
        let is_other = |known: &FirstPackets| {
            known
                .read_at
                .is_some_and(|read| at.since(read) > SAME_HANDSHAKE)
        };
        if self.quic.get(&key).is_some_and(is_other) {
            self.quic.remove(&key);
        }
        let last_flow = &mut self.last_flow;
        let first = self.quic.entry(key).or_insert_with(|| {
            *last_flow += 1;
            FirstPackets {
                flow: FlowId(*last_flow),
                read_at: None,
            }
        });
        if first.read_at.is_some() {
            return;
        }
        let flow = first.flow;
        let Some(opening) = self.names.quic_datagram(flow, &payload.bytes, at) else {
            return;
        };
        first.read_at = Some(at);
        self.names.forget(flow, at);
        if let Some(said) = self.said_by(&opening) {
            self.called_by_quic
                .insert((payload.process, payload.remote), said);
        }
    }
}

/// The number of the byte after a piece of a stream; numbers wrap around.
fn end_of(payload: &Payload) -> u32 {
    let length = u32::try_from(payload.bytes.len()).unwrap_or(u32::MAX);
    payload.sequence.wrapping_add(length)
}

/// Whether one number of a stream comes before another, as TCP compares them (RFC 9293 section 3.4).
fn is_before(one: u32, other: u32) -> bool {
    other.wrapping_sub(one).wrapping_sub(1) < u32::MAX / 2
}
