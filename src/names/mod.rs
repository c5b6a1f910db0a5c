//! What a destination is called: names from packets that programs exchange anyway.
//!
//! It listens and never asks. Three kinds of packet carry names: DNS messages, the ClientHello that
//! opens a TLS connection, and the first packets of QUIC. All of them are hostile until read: nothing
//! here panics, every buffer and table has a bound, and what does not fit is counted ([`Lost`]).
//!
//! Pure: time and packets come in as values, and what a flow is called goes out.

mod answers;
mod client_hello;
mod expiring;
mod framing;
mod host_name;
mod lost;
mod message;
mod opening;
mod quic;
mod stream;

use std::{net::IpAddr, time::Duration};

pub use answers::Channel;
pub use client_hello::ClientHello;
pub use host_name::HostName;
pub use lost::Lost;
pub use message::Via;
pub use opening::{Opening, Plain};

use crate::model::{Name, Timestamp};
use answers::Answers;
use expiring::Expiring;
use framing::Framing;
use lost::Counts;
use message::Message;
use quic::Initials;
use stream::Records;

/// Openings that are not complete after this long never will be: TLS servers wait no longer.
const LONGEST_OPENING: Duration = Duration::from_secs(60);

/// How long a DNS connection may say nothing within a message.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Verdicts about flows that nobody says the end of go after a week.
const LONGEST_FLOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whoever asks for names: those of one asker are kept apart from those of others. The caller numbers
/// process images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// A connection, or the datagrams of one socket to one place. The caller numbers them, and uses no
/// number again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Which way a message went, as seen by the socket's holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The holder of the socket sent it.
    Sent,
    /// The holder of the socket was given it.
    Received,
}

/// How much is remembered.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Queries without an answer.
    pub queries: usize,
    /// Addresses that askers were told, each with its names.
    pub answers: usize,
    /// Addresses that anybody on the host was told.
    pub host_answers: usize,
    /// DNS connections with half a message, each with up to 64 KiB.
    pub dns_streams: usize,
    /// Flows whose opening is not complete, each with up to 33 KiB.
    pub openings: usize,
    /// Flows whose opening was read, and as many DNS connections that are not read any more.
    pub flows: usize,
    /// For how long a name holds beyond its time to live: programs go on using an address that they
    /// have, for retries and from pools.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queries: 4_096,
            answers: 16_384,
            host_answers: 16_384,
            dns_streams: 64,
            openings: 256,
            flows: 16_384,
            grace: Duration::from_secs(600),
        }
    }
}

/// What an answer said: one address of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Whom the answer was delivered to.
    pub asker: Asker,
    /// The address; never an IPv4 address inside of an IPv6 one.
    pub address: IpAddr,
    /// The name that was asked for, not an alias of it.
    pub name: HostName,
    /// The protocol.
    pub via: Via,
    /// It stood beside the description of a service (HTTPS and SVCB records, RFC 9460), for clients
    /// that do not want to wait for the address records.
    pub is_hint: bool,
    /// A query with its identification, port and question was seen, and no other answer to it. What is
    /// not proven may be forged, and names nothing but hosts that multicast DNS found.
    pub is_proven: bool,
    /// The end of its time to live and of the grace time.
    pub valid_until: Timestamp,
}

/// What an address is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name, and where it came from.
    pub name: Name,
    /// The address has other names as well, so the name may be the wrong one of them.
    pub is_shared: bool,
    /// See [`Learned::is_proven`].
    pub is_proven: bool,
    /// See [`Learned::valid_until`].
    pub valid_until: Timestamp,
}

/// Everything that was learned from packets so far.
#[derive(Debug)]
pub struct Names {
    answers: Answers,
    dns_streams: Expiring<(u64, Direction), Framing>,
    /// DNS connections of which it is no longer known where their messages begin.
    lost_streams: Expiring<(u64, Direction), ()>,
    openings: Expiring<FlowId, Reading>,
    flows: Expiring<FlowId, Opening>,
    counts: Counts,
}

/// An opening that is not complete.
#[derive(Debug)]
enum Reading {
    Stream(Box<Records>),
    Datagrams(Box<Initials>),
}

impl Default for Names {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

impl Names {
    /// Knows nothing yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            answers: Answers::new(limits),
            dns_streams: Expiring::new(limits.dns_streams),
            lost_streams: Expiring::new(limits.flows),
            openings: Expiring::new(limits.openings),
            flows: Expiring::new(limits.flows),
            counts: Counts::default(),
        }
    }

    /// Takes a DNS, multicast DNS or LLMNR message: one datagram. Gives what it taught.
    ///
    /// Queries count when they are sent, and answers when they are received: what a server on this
    /// host receives and sends says nothing about where the server itself goes.
    pub fn dns_message(
        &mut self,
        channel: &Channel,
        direction: Direction,
        bytes: &[u8],
        at: Timestamp,
    ) -> Vec<Learned> {
        let Some(message) = Message::read(bytes, channel.via()) else {
            self.counts.add(Lost::MessageUnreadable, 1);
            return Vec::new();
        };
        self.counts
            .add_if(message.is_damaged, Lost::MessageUnreadable);
        match (direction, message.is_response) {
            (Direction::Sent, false) => {
                self.answers.asked(channel, message, at, &mut self.counts);
                Vec::new()
            }
            (Direction::Received, true) => {
                self.answers
                    .answered(channel, message, at, &mut self.counts)
            }
            (Direction::Sent, true) | (Direction::Received, false) => Vec::new(),
        }
    }

    /// Takes the next piece of a DNS connection over TCP, in order and without a gap.
    pub fn dns_stream(
        &mut self,
        channel: &Channel,
        direction: Direction,
        bytes: &[u8],
        at: Timestamp,
    ) -> Vec<Learned> {
        let key = (channel.socket, direction);
        for ended in self.dns_streams.drop_ended(at) {
            self.lose_stream(ended, at);
        }
        if self.lost_streams.get(&key, at).is_some() {
            return Vec::new();
        }
        let mut framing = self.dns_streams.take(&key, at).unwrap_or_default();
        let messages = framing.push(bytes);
        if !framing.is_empty() {
            let until = at.after(LONGEST_SILENCE);
            if let Some(dropped) = self.dns_streams.insert(key, framing, until) {
                self.lose_stream(dropped, at);
            }
        }
        messages
            .iter()
            .flat_map(|message| self.dns_message(channel, direction, message, at))
            .collect()
    }

    /// Takes the next piece of what the opener of a TCP connection sends, from its first byte on, in
    /// order and without a gap. Says what the flow begins with as soon as that is known; from then on
    /// [`Names::is_done`] and pieces are ignored.
    pub fn stream_start(&mut self, flow: FlowId, bytes: &[u8], at: Timestamp) -> Option<Opening> {
        self.read_opening(flow, at, |begun| {
            let mut records = match begun {
                Some(Reading::Stream(records)) => records,
                Some(Reading::Datagrams(_)) | None => Box::default(),
            };
            records.push(bytes).ok_or(Reading::Stream(records))
        })
    }

    /// Takes the next datagram that the opener of a flow sends, as [`Names::stream_start`] does.
    pub fn quic_datagram(&mut self, flow: FlowId, bytes: &[u8], at: Timestamp) -> Option<Opening> {
        self.read_opening(flow, at, |begun| {
            let mut initials = match begun {
                Some(Reading::Datagrams(initials)) => initials,
                Some(Reading::Stream(_)) | None => Box::new(Initials::new()),
            };
            initials.push(bytes).ok_or(Reading::Datagrams(initials))
        })
    }

    /// Whether it is known what a flow begins with: then nothing more of it needs to be read.
    pub fn is_done(&self, flow: FlowId, at: Timestamp) -> bool {
        self.flows.get(&flow, at).is_some()
    }

    /// What a flow begins with, if that is known.
    pub fn opening_of(&self, flow: FlowId, at: Timestamp) -> Option<&Opening> {
        self.flows.get(&flow, at)
    }

    /// Drops what is kept of a flow that is over.
    pub fn forget(&mut self, flow: FlowId, at: Timestamp) {
        let _opening = self.flows.take(&flow, at);
        let was_unfinished = self.openings.take(&flow, at).is_some();
        self.counts.add_if(was_unfinished, Lost::OpeningUnfinished);
    }

    /// Drops what is kept of a DNS socket that was closed.
    pub fn forget_socket(&mut self, socket: u64, at: Timestamp) {
        for direction in [Direction::Sent, Direction::Received] {
            let key = (socket, direction);
            let had_rest = self.dns_streams.take(&key, at).is_some();
            self.counts.add_if(had_rest, Lost::DnsStreamDropped);
            self.lost_streams.take(&key, at);
        }
    }

    /// What an address is called for whoever reaches it, by DNS alone: by an answer to it, else by one
    /// to anybody on the host. The server name of the flow itself is better than both
    /// ([`Names::opening_of`]).
    pub fn name_of(&self, asker: Asker, address: IpAddr, at: Timestamp) -> Option<Known> {
        self.answers.name_of(asker, address, at)
    }

    /// What was lost since the last time that this was asked, by cause.
    pub fn take_lost(&mut self) -> Vec<(Lost, u64)> {
        self.counts.take()
    }

    /// What follows does not begin with a message.
    fn lose_stream(&mut self, key: (u64, Direction), at: Timestamp) {
        self.counts.add(Lost::DnsStreamDropped, 1);
        self.lost_streams.drop_ended(at);
        self.lost_streams.insert(key, (), at.after(LONGEST_FLOW));
    }

    /// Goes on with what was begun of an opening; `read` gives the opening, or what to wait with for the
    /// next piece.
    fn read_opening(
        &mut self,
        flow: FlowId,
        at: Timestamp,
        read: impl FnOnce(Option<Reading>) -> Result<Opening, Reading>,
    ) -> Option<Opening> {
        self.give_up_ended(at);
        if self.is_done(flow, at) {
            return None;
        }
        match read(self.openings.take(&flow, at)) {
            Ok(opening) => Some(self.conclude(flow, opening, at)),
            Err(unfinished) => {
                self.wait(flow, unfinished, at);
                None
            }
        }
    }

    fn wait(&mut self, flow: FlowId, reading: Reading, at: Timestamp) {
        let until = at.after(LONGEST_OPENING);
        if let Some(flow) = self.openings.insert(flow, reading, until) {
            self.counts.add(Lost::OpeningsFull, 1);
            self.conclude(flow, Opening::GivenUp, at);
        }
    }

    /// What follows in these flows is not their beginning.
    fn give_up_ended(&mut self, at: Timestamp) {
        for flow in self.openings.drop_ended(at) {
            self.counts.add(Lost::OpeningUnfinished, 1);
            self.conclude(flow, Opening::GivenUp, at);
        }
    }

    fn conclude(&mut self, flow: FlowId, opening: Opening, at: Timestamp) -> Opening {
        match &opening {
            Opening::ClientHello(hello) => {
                self.counts
                    .add_if(hello.has_unusable_name, Lost::NameUnusable);
            }
            Opening::TooLong => self.counts.add(Lost::OpeningTooLong, 1),
            Opening::Unreadable => self.counts.add(Lost::OpeningUnreadable, 1),
            Opening::Plain(_) | Opening::GivenUp => {}
        }
        self.flows.drop_ended(at);
        let until = at.after(LONGEST_FLOW);
        let forgotten = self.flows.insert(flow, opening.clone(), until);
        self.counts
            .add_if(forgotten.is_some(), Lost::OpeningForgotten);
        opening
    }
}
