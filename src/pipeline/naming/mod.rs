//! What destinations are called: which process asked for which name, and what each flow says itself.

mod streams;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
};

use foldhash::fast::RandomState;

use streams::{DnsStream, FirstPackets, Reading};

use super::makers::Makers;
use crate::{
    model::{
        BootClock, Endpoint, LossCause, Name, NameSource, OpeningKind, Payload, PayloadKind,
        ProcessKey, Sender,
    },
    names::{Asker, Channel, Direction, Names, Opening, Plain},
};

/// Names that are told apart; what is called otherwise has no name.
const MOST_NAMES: usize = 262_144;

/// Askers that are told apart; when there are more, all begin anew.
const MOST_ASKERS: usize = 65_536;

/// Flows whose opening is under way, or that datagrams were named by; when there are more, all begin
/// anew.
const MOST_OPENINGS: usize = 65_536;

/// Addresses that applications were seen to call by a name; when there are more, all begin anew.
const MOST_CALLED: usize = 65_536;

/// The number of askers of which nothing is known.
const NOBODY: u64 = 0;

/// The number of a process that never asked; no answer is delivered to it.
const NEVER_ASKED: u64 = u64::MAX;

/// Number of a name, so that sums can be told apart by it cheaply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NameNumber(NonZeroU32);

/// The datagrams of one process to one place.
type Datagrams = (ProcessKey, Endpoint);

/// Everything that was learned of names.
#[derive(Debug, Default)]
pub(super) struct Naming {
    names: Names,
    /// Whether there was a packet: without any, flows are not looked up one by one.
    has_heard: bool,
    numbers: HashMap<Name, NameNumber, RandomState>,
    texts: Vec<Name>,
    askers: HashMap<ProcessKey, u64, RandomState>,
    last_asker: u64,
    streams: HashMap<u64, Reading, RandomState>,
    dns_streams: HashMap<(u64, bool), DnsStream, RandomState>,
    quic: HashMap<(ProcessKey, Endpoint, u16), FirstPackets, RandomState>,
    last_flow: u64,
    /// What the first packets of QUIC call a destination.
    called_by_quic: HashMap<Datagrams, Said, RandomState>,
    /// What applications, by their numbers, called an address; nothing if that was more than one name.
    called: HashMap<(u32, IpAddr), Option<NameNumber>, RandomState>,
    lost: u64,
}

/// What a flow is called, and what it says itself of the server that is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) name: Option<NameNumber>,
    pub(super) opening: Option<OpeningKind>,
}

/// What a connection says, by its socket.
pub(super) type Opened = (u64, Said);

impl Naming {
    /// Takes in a packet. Tells what a connection says of its server, if that is what it holds.
    pub(super) fn take(&mut self, payload: &Payload, clock: BootClock) -> Option<Opened> {
        self.has_heard = true;
        match payload.kind {
            PayloadKind::Dns => {
                self.take_dns(payload, clock);
                None
            }
            PayloadKind::DnsStream => {
                self.take_dns_stream(payload, clock);
                None
            }
            PayloadKind::Opening => self.take_opening(payload, clock),
            PayloadKind::Quic => {
                self.take_quic(payload, clock);
                None
            }
        }
    }

    /// A connection begins or is over: what its socket said before is another's.
    pub(super) fn forget_connection(&mut self, socket: u64, clock: BootClock) {
        if let Some(reading) = self.streams.remove(&socket) {
            self.names.forget(reading.flow, clock.now());
        }
        for is_received in [false, true] {
            if self.dns_streams.remove(&(socket, is_received)).is_some() {
                self.names.forget_socket(socket, clock.now());
            }
        }
    }

    /// What the destination of a flow is called, as far as a connection does not say it itself: by the
    /// first packets of QUIC, by answers to the process or to anybody, or as the application called it
    /// before.
    pub(super) fn of_contact(
        &mut self,
        sender: &Sender,
        remote: &Endpoint,
        makers: &mut Makers,
        clock: BootClock,
    ) -> Said {
        if !self.has_heard {
            return Said::default();
        }
        let said = self.called_by_quic.get(&(sender.process, *remote));
        let said = said.copied().unwrap_or_default();
        if self.source_of(said.name) == Some(NameSource::ServerName) {
            return said;
        }
        let known = self.told(sender, remote, makers, clock);
        self.best_of(said, known)
    }

    /// What a flow says, under the better of its own name and of one that is known from elsewhere.
    pub(super) fn best_of(&self, said: Said, known: Option<NameNumber>) -> Said {
        let names = [said.name, known].into_iter().flatten();
        Said {
            name: names.min_by_key(|name| self.source_of(Some(*name))),
            ..said
        }
    }

    fn source_of(&self, name: Option<NameNumber>) -> Option<NameSource> {
        Some(self.name(name?)?.source)
    }

    /// By answers, or as the application called it before.
    fn told(
        &mut self,
        sender: &Sender,
        remote: &Endpoint,
        makers: &mut Makers,
        clock: BootClock,
    ) -> Option<NameNumber> {
        let address = remote.address?;
        let number = self.askers.get(&sender.process).copied();
        let asker = Asker(number.unwrap_or(NEVER_ASKED));
        match self.names.name_of(asker, address, clock.now()) {
            Some(known) => {
                let name = self.number(known.name)?;
                self.note(sender, remote, name, makers);
                Some(name)
            }
            None => self.inferred(sender, remote, makers),
        }
    }

    /// Notes what an application calls an address of its own accord.
    pub(super) fn note(
        &mut self,
        sender: &Sender,
        remote: &Endpoint,
        name: NameNumber,
        makers: &mut Makers,
    ) {
        let is_own = self
            .name(name)
            .is_some_and(|name| name.source <= NameSource::DnsAnswer);
        let Some(address) = remote.address.filter(|_| is_own) else {
            return;
        };
        if self.called.len() >= MOST_CALLED {
            self.lost = self.lost.saturating_add(self.called.len() as u64);
            self.called.clear();
        }
        let application = makers.maker_of(sender, remote.protocol).application;
        let contact = (application, address);
        let earlier = self.called.get(&contact).copied();
        let is_same = earlier.is_none_or(|earlier| {
            earlier.is_some_and(|earlier| self.text(earlier) == self.text(name))
        });
        self.called.insert(contact, is_same.then_some(name));
    }

    fn text(&self, number: NameNumber) -> Option<&str> {
        self.name(number).map(|name| name.text.as_str())
    }

    fn inferred(
        &mut self,
        sender: &Sender,
        remote: &Endpoint,
        makers: &mut Makers,
    ) -> Option<NameNumber> {
        if self.called.is_empty() {
            return None;
        }
        let application = makers.maker_of(sender, remote.protocol).application;
        let earlier = (*self.called.get(&(application, remote.address?))?)?;
        let text = self.text(earlier)?.to_owned();
        self.number(Name {
            text,
            source: NameSource::Inferred,
        })
    }

    /// The name of that number.
    pub(super) fn name(&self, number: NameNumber) -> Option<&Name> {
        self.texts.get(usize::try_from(number.0.get()).ok()? - 1)
    }

    /// What could not be read or kept since the last time that this was asked.
    pub(super) fn take_lost(&mut self) -> (LossCause, u64) {
        let lost = self.names.take_lost();
        let unread = lost
            .into_iter()
            .filter(|(cause, _)| cause.is_missing_name())
            .fold(std::mem::take(&mut self.lost), |sum, (_, count)| {
                sum.saturating_add(count)
            });
        (LossCause::NamesUnread, unread)
    }

    fn take_dns(&mut self, payload: &Payload, clock: BootClock) {
        if payload.is_cut {
            self.lost += 1;
            return;
        }
        let channel = self.channel(payload);
        let at = clock.at(payload.at_boot_ns);
        let _learned = self
            .names
            .dns_message(&channel, direction(payload), &payload.bytes, at);
    }

    /// What the first bytes of a flow say of the server, if anything.
    fn said_by(&mut self, opening: &Opening) -> Option<Said> {
        let kind = kind_of(opening);
        let source = match kind {
            Some(OpeningKind::EncryptedClientHello) => NameSource::OuterServerName,
            _ => NameSource::ServerName,
        };
        let name = opening.server_name().map(|name| name.as_str().to_owned());
        let said = Said {
            name: name.and_then(|text| self.number(Name { text, source })),
            opening: kind,
        };
        (said != Said::default()).then_some(said)
    }

    fn number(&mut self, name: Name) -> Option<NameNumber> {
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        if self.texts.len() >= MOST_NAMES {
            self.lost += 1;
            return None;
        }
        self.texts.push(name.clone());
        let number = NameNumber(NonZeroU32::new(u32::try_from(self.texts.len()).ok()?)?);
        self.numbers.insert(name, number);
        Some(number)
    }

    fn channel(&mut self, payload: &Payload) -> Channel {
        let address = payload.remote.address;
        Channel {
            asker: self.asker(payload.process),
            socket: payload.socket,
            port: payload.local_port,
            server: SocketAddr::new(
                address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                payload.remote.port,
            ),
        }
    }

    /// A number for each process image.
    fn asker(&mut self, process: ProcessKey) -> Asker {
        if process.pid == 0 {
            return Asker(NOBODY);
        }
        if self.askers.len() >= MOST_ASKERS {
            self.lost = self.lost.saturating_add(self.askers.len() as u64);
            self.askers.clear();
        }
        let last = &mut self.last_asker;
        let number = self.askers.entry(process).or_insert_with(|| {
            *last += 1;
            *last
        });
        Asker(*number)
    }
}

fn direction(payload: &Payload) -> Direction {
    match payload.is_received {
        true => Direction::Received,
        false => Direction::Sent,
    }
}

/// How an opening hides the server that is meant, if it does.
fn kind_of(opening: &Opening) -> Option<OpeningKind> {
    match opening {
        Opening::ClientHello(hello) => hello
            .is_encrypted
            .then_some(OpeningKind::EncryptedClientHello),
        Opening::Plain(Plain::Proxy) => Some(OpeningKind::Proxy),
        Opening::Plain(Plain::MayStartTls) => Some(OpeningKind::MayStartTls),
        Opening::Plain(Plain::OldTls | Plain::Other)
        | Opening::TooLong
        | Opening::Unreadable
        | Opening::GivenUp => None,
    }
}
