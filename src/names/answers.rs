//! Who was told which name for which address.

use std::{
    hash::Hash,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::model::{Name, NameSource, Timestamp};

use super::{
    Asker, HostName, Known, Learned, Limits, Lost, Via,
    expiring::Expiring,
    lost::Counts,
    message::{Message, Question},
};

/// A query is given up after this long: stub resolvers wait 5 seconds (glibc) to 30 (unbound's last
/// try) for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// No answer is believed for longer, whatever it says: 24 hours, as resolvers do.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Resolvers have up to three servers; the newest places that a query was sent to are kept.
const MOST_SERVERS: usize = 8;

/// Names that one asker can have for one address, and that a host can. The newest are kept.
const MOST_OF_ASKER: usize = 8;
const MOST_OF_HOST: usize = 32;

/// The socket that DNS messages go through, and who is at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Who holds the socket.
    pub asker: Asker,
    /// The number of the socket, which no other socket has.
    pub socket: u64,
    /// Its local port; 0 where it had none yet.
    pub port: u16,
    /// Where a message went, or came from.
    pub server: SocketAddr,
}

impl Channel {
    /// By the port of the other side.
    pub fn via(&self) -> Via {
        match self.server.port() {
            5353 => Via::Mdns,
            5355 => Via::Llmnr,
            _ => Via::Dns,
        }
    }
}

/// Queries that wait for an answer, and what answers said.
#[derive(Debug)]
pub(super) struct Answers {
    queries: Expiring<(u64, u16, Question), Query>,
    of_asker: Expiring<(Asker, IpAddr), Vec<Told>>,
    of_host: Expiring<IpAddr, Vec<Told>>,
    /// What hosts say of themselves without proof.
    announced: Expiring<IpAddr, Vec<Told>>,
    grace: Duration,
}

/// A query that waits. musl sends the same one to all its servers, from one socket.
#[derive(Debug)]
struct Query {
    port: u16,
    servers: Vec<SocketAddr>,
}

/// A name, and until when it holds. The newest stands last.
#[derive(Clone, Debug)]
struct Told {
    name: HostName,
    valid_until: Timestamp,
}

impl Answers {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            queries: Expiring::new(limits.queries),
            of_asker: Expiring::new(limits.answers),
            of_host: Expiring::new(limits.host_answers),
            announced: Expiring::new(limits.host_answers),
            grace: limits.grace,
        }
    }

    /// Remembers a query that was sent.
    pub(super) fn asked(
        &mut self,
        channel: &Channel,
        message: Message,
        at: Timestamp,
        counts: &mut Counts,
    ) {
        let Some(question) = message.question else {
            return;
        };
        self.queries.drop_ended(at);
        let key = (channel.socket, message.id, question);
        let mut servers = self
            .queries
            .take(&key, at)
            .map_or_else(Vec::new, |query| query.servers);
        servers.retain(|server| *server != channel.server);
        if servers.len() >= MOST_SERVERS {
            servers.remove(0);
        }
        servers.push(channel.server);
        let query = Query {
            port: channel.port,
            servers,
        };
        let is_lost = self.queries.insert(key, query, at.after(LONGEST_WAIT));
        counts.add_if(is_lost.is_some(), Lost::QueriesFull);
    }

    /// Takes in an answer that was received.
    pub(super) fn answered(
        &mut self,
        channel: &Channel,
        message: Message,
        at: Timestamp,
        counts: &mut Counts,
    ) -> Vec<Learned> {
        counts.add_if(message.has_unusable_name, Lost::NameUnusable);
        let via = channel.via();
        let is_proven = self.was_asked(channel, &message, at);
        let mut learned = Vec::new();
        for answer in message.answers {
            let ttl = Duration::from_secs(answer.ttl_seconds.into()).min(LONGEST_TTL);
            learned.push(Learned {
                asker: channel.asker,
                address: answer.address.to_canonical(),
                name: answer.name,
                via,
                is_hint: answer.is_hint,
                is_proven,
                valid_until: at.after(ttl).after(self.grace),
            });
        }
        for answer in &learned {
            self.keep(answer, at, counts);
        }
        learned
    }

    /// Whether the answer is the first to a query that was sent. A query has one answer; whoever sends
    /// a second one guesses, or repeats what is known.
    fn was_asked(&mut self, channel: &Channel, message: &Message, at: Timestamp) -> bool {
        let Some(question) = message.question.clone() else {
            return false;
        };
        let key = (channel.socket, message.id, question);
        // Who answers a question to a group is not known beforehand, but its port is.
        let is_answering = |asked: &SocketAddr| {
            *asked == channel.server
                || asked.ip().is_multicast() && asked.port() == channel.server.port()
        };
        let fits = |query: &Query| {
            query.servers.iter().any(is_answering)
                && (query.port == 0 || query.port == channel.port)
        };
        if !self.queries.get(&key, at).is_some_and(fits) {
            return false;
        }
        // Of a refusal nothing is learned, and another server's answer may follow it.
        message.is_refusal || self.queries.take(&key, at).is_some()
    }

    fn keep(&mut self, learned: &Learned, at: Timestamp, counts: &mut Counts) {
        let told = Told {
            name: learned.name.clone(),
            valid_until: learned.valid_until,
        };
        let address = learned.address;
        if learned.is_proven {
            let key = (learned.asker, address);
            let (full, shared) = add(&mut self.of_asker, key, told.clone(), MOST_OF_ASKER, at);
            counts.add_if(full, Lost::AnswersFull);
            counts.add_if(shared, Lost::SharedAddressFull);
            let (full, shared) = add(&mut self.of_host, address, told, MOST_OF_HOST, at);
            counts.add_if(full, Lost::HostAnswersFull);
            counts.add_if(shared, Lost::SharedAddressFull);
        } else if learned.via == Via::Mdns {
            let (full, shared) = add(&mut self.announced, address, told, MOST_OF_HOST, at);
            counts.add_if(full, Lost::HostAnswersFull);
            counts.add_if(shared, Lost::SharedAddressFull);
        }
    }

    /// The name of an address for whoever reaches it, by the best source that there is.
    pub(super) fn name_of(&self, asker: Asker, address: IpAddr, at: Timestamp) -> Option<Known> {
        let address = address.to_canonical();
        let own = self.of_asker.get(&(asker, address), at);
        let host = self.of_host.get(&address, at);
        let announced = self.announced.get(&address, at);
        let (told, source, is_proven) = None
            .or_else(|| Some((newest(own?, at)?, NameSource::DnsAnswer, true)))
            .or_else(|| Some((newest(host?, at)?, NameSource::HostDnsAnswer, true)))
            .or_else(|| Some((newest(announced?, at)?, NameSource::HostDnsAnswer, false)))?;
        let is_shared = [own, host, announced]
            .into_iter()
            .flatten()
            .flatten()
            .any(|other| other.valid_until >= at && other.name != told.name);
        Some(Known {
            name: Name {
                text: told.name.to_string(),
                source,
            },
            is_shared,
            is_proven,
            valid_until: told.valid_until,
        })
    }
}

fn newest(told: &[Told], at: Timestamp) -> Option<&Told> {
    told.iter().rev().find(|told| told.valid_until >= at)
}

/// Puts a name last in the list of a key; says whether another key, or another name, had to go for it.
fn add<K: Clone + Eq + Hash>(
    table: &mut Expiring<K, Vec<Told>>,
    key: K,
    told: Told,
    most: usize,
    at: Timestamp,
) -> (bool, bool) {
    table.drop_ended(at);
    let mut list = table.take(&key, at).unwrap_or_default();
    list.retain(|known| known.valid_until >= at && known.name != told.name);
    let is_full = list.len() >= most;
    if is_full {
        list.remove(0);
    }
    list.push(told);
    let until = list.iter().map(|told| told.valid_until).max().unwrap_or(at);
    (table.insert(key, list, until).is_some(), is_full)
}
