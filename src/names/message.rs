//! DNS messages: the question, and the addresses that answer it.
//!
//! The library reads a message whole or not at all. Answers stand before everything else, so only
//! they are given to it; and where one of them makes no sense, those before it.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, RCODE, ResourceRecord,
    rdata::{RData, SVCB, SVCParam},
};

use super::HostName;

/// Identification, flags, and the four counts.
const HEADER: usize = 12;

/// A record has a name of one byte at least, and ten bytes of fixed fields.
const SHORTEST_RECORD: usize = 11;

/// Longer chains are not followed; resolvers give up earlier (unbound after 11).
const LONGEST_CHAIN: usize = 16;

/// Whoever writes more questions than this into one message wants no answer.
const MOST_QUESTIONS: u16 = 64;

/// Which of the protocols that share this format a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// DNS proper: a resolver answers.
    Dns,
    /// Multicast DNS: whoever has a name says so to everybody on the link.
    Mdns,
    /// Link-Local Multicast Name Resolution.
    Llmnr,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) name: HostName,
    kind: u16,
    class: u16,
}

/// An address, the name that was asked for, and for how long that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) name: HostName,
    pub(super) address: IpAddr,
    pub(super) ttl_seconds: u32,
    pub(super) is_hint: bool,
}

/// What is read of a message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) is_response: bool,
    /// The server could not say, or would not: the asker goes on waiting for others.
    pub(super) is_refusal: bool,
    /// The one question; none if there are several, or if it is about no name of a host.
    pub(super) question: Option<Question>,
    pub(super) answers: Vec<Answer>,
    /// Not everything in it made sense.
    pub(super) is_damaged: bool,
    /// Addresses were given for a name that no host has.
    pub(super) has_unusable_name: bool,
}

impl Message {
    /// Reads a message; none if not even its question makes sense.
    pub(super) fn read(bytes: &[u8], via: Via) -> Option<Self> {
        let (mut bytes, records, is_cut) = with_answers_only(bytes, via)?;
        if let Ok(packet) = Packet::parse(&bytes) {
            return Some(Self::of_packet(&packet, via, is_cut));
        }
        // What is readable grows with the number of records that are asked for, up to the first
        // that makes no sense.
        let (mut readable, mut unreadable) = (0, records.iter().copied().sum::<u16>());
        while unreadable - readable > 1 {
            let middle = readable + (unreadable - readable) / 2;
            claim_first(&mut bytes, records, middle);
            match Packet::parse(&bytes) {
                Ok(_) => readable = middle,
                Err(_) => unreadable = middle,
            }
        }
        claim_first(&mut bytes, records, readable);
        let packet = Packet::parse(&bytes).ok()?;
        Some(Self::of_packet(&packet, via, true))
    }

    fn of_packet(packet: &Packet<'_>, via: Via, is_damaged: bool) -> Self {
        let mut message = Self {
            id: packet.id(),
            is_response: packet.has_flags(PacketFlag::RESPONSE),
            is_refusal: !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError),
            question: question_of(packet),
            answers: Vec::new(),
            is_damaged,
            has_unusable_name: false,
        };
        let is_answer = message.is_response
            && packet.opcode() == OPCODE::StandardQuery
            && packet.rcode() == RCODE::NoError;
        if is_answer {
            match via {
                Via::Dns | Via::Llmnr => message.follow(packet),
                Via::Mdns => message.collect(packet),
            }
        }
        message
    }

    /// Addresses along the chain of aliases that begins at the question.
    fn follow(&mut self, packet: &Packet<'_>) {
        let [question] = packet.questions.as_slice() else {
            return;
        };
        let chain = chain_from(&question.qname, &packet.answers);
        for record in packet.answers.iter().filter(|record| is_internet(record)) {
            let Some((_, ttl)) = chain.iter().find(|(owner, _)| **owner == record.name) else {
                continue;
            };
            let ttl_seconds = believable(record.ttl).min(*ttl);
            for address in addresses_of(&record.rdata) {
                let name = self
                    .question
                    .as_ref()
                    .and_then(|asked| name_behind(&asked.name, &record.rdata));
                let is_hint = matches!(record.rdata, RData::HTTPS(_) | RData::SVCB(_));
                self.add(name, address, ttl_seconds, is_hint);
            }
        }
    }

    /// Addresses that hosts give for themselves: nobody need have asked.
    fn collect(&mut self, packet: &Packet<'_>) {
        let records = packet.answers.iter().chain(&packet.additional_records);
        // A time to live of zero says that the name is no longer in use.
        for record in records.filter(|record| is_internet(record) && record.ttl > 0) {
            if !matches!(record.rdata, RData::A(_) | RData::AAAA(_)) {
                continue;
            }
            // Other names are not multicast DNS's to give away (RFC 6762, section 3).
            let name =
                HostName::of_labels(record.name.as_bytes()).filter(|name| name.is_below("local"));
            for address in addresses_of(&record.rdata) {
                self.add(name.clone(), address, believable(record.ttl), false);
            }
        }
    }

    fn add(&mut self, name: Option<HostName>, address: IpAddr, ttl_seconds: u32, is_hint: bool) {
        match name {
            Some(name) => self.answers.push(Answer {
                name,
                address,
                ttl_seconds,
                is_hint,
            }),
            None => self.has_unusable_name = true,
        }
    }
}

/// A copy that claims no more records than are wanted and can be there; how many of each section;
/// and whether it claimed more than can be there.
fn with_answers_only(bytes: &[u8], via: Via) -> Option<(Vec<u8>, [u16; 3], bool)> {
    let body = bytes.len().checked_sub(HEADER)?;
    let count = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    if count(4) > MOST_QUESTIONS {
        return None;
    }
    let claimed = match via {
        Via::Dns | Via::Llmnr => [count(6), 0, 0],
        Via::Mdns => [count(6), count(8), count(10)],
    };
    let mut room = u16::try_from(body / SHORTEST_RECORD).unwrap_or(u16::MAX);
    let records = claimed.map(|count| {
        let fitting = count.min(room);
        room -= fitting;
        fitting
    });
    let mut bytes = bytes.to_vec();
    // A reserved bit, which the library takes for an error and everybody else ignores.
    bytes[3] &= !0x40;
    claim_first(&mut bytes, records, u16::MAX);
    Some((bytes, records, records != claimed))
}

/// Makes a message claim only the first `most` of its records.
fn claim_first(bytes: &mut [u8], records: [u16; 3], most: u16) {
    let mut left = most;
    for (count, field) in records
        .into_iter()
        .zip(bytes[6..HEADER].chunks_exact_mut(2))
    {
        let claimed = count.min(left);
        left -= claimed;
        field.copy_from_slice(&claimed.to_be_bytes());
    }
}

fn question_of(packet: &Packet<'_>) -> Option<Question> {
    let [question] = packet.questions.as_slice() else {
        return None;
    };
    Some(Question {
        name: HostName::of_labels(question.qname.as_bytes())?,
        kind: question.qtype.into(),
        class: question.qclass.into(),
    })
}

/// The names that stand for the one that was asked for, each with the time for which all links up to
/// it hold.
fn chain_from<'a>(
    asked: &'a Name<'a>,
    answers: &'a [ResourceRecord<'a>],
) -> Vec<(&'a Name<'a>, u32)> {
    let mut chain = vec![(asked, u32::MAX)];
    while let Some(&(end, ttl)) = chain.last()
        && chain.len() < LONGEST_CHAIN
    {
        let next = answers
            .iter()
            .filter(|record| is_internet(record))
            .find_map(|record| match &record.rdata {
                RData::CNAME(target) if record.name == *end => Some((&target.0, record.ttl)),
                _ => None,
            });
        match next {
            Some((target, own)) if !chain.iter().any(|(name, _)| *name == target) => {
                chain.push((target, ttl.min(believable(own))));
            }
            Some(_) | None => break,
        }
    }
    chain
}

fn is_internet(record: &ResourceRecord<'_>) -> bool {
    record.class == CLASS::IN
}

/// A time to live with the highest bit set counts as zero (RFC 2181, section 8).
fn believable(ttl_seconds: u32) -> u32 {
    if ttl_seconds > u32::MAX / 2 {
        0
    } else {
        ttl_seconds
    }
}

fn addresses_of(rdata: &RData<'_>) -> Vec<IpAddr> {
    match rdata {
        RData::A(a) => vec![IpAddr::V4(a.address.into())],
        RData::AAAA(aaaa) => vec![IpAddr::V6(aaaa.address.into())],
        RData::HTTPS(https) => hints_of(&https.0),
        RData::SVCB(svcb) => hints_of(svcb),
        _ => Vec::new(),
    }
}

fn hints_of(service: &SVCB<'_>) -> Vec<IpAddr> {
    let mut hints = Vec::new();
    for parameter in service.iter_params() {
        match parameter {
            SVCParam::Ipv4Hint(addresses) => {
                hints.extend(
                    addresses
                        .iter()
                        .map(|address| IpAddr::V4((*address).into())),
                );
            }
            SVCParam::Ipv6Hint(addresses) => {
                hints.extend(
                    addresses
                        .iter()
                        .map(|address| IpAddr::V6((*address).into())),
                );
            }
            _ => {}
        }
    }
    hints
}

/// The host that is asked for: of a service that of its name, without port and scheme (RFC 9460,
/// section 9.1); of a service that names its server, that server.
fn name_behind(asked: &HostName, rdata: &RData<'_>) -> Option<HostName> {
    match rdata {
        RData::HTTPS(_) => asked.without_service(),
        RData::SVCB(service) if service.target.get_labels().is_empty() => asked.without_service(),
        RData::SVCB(service) => HostName::of_labels(service.target.as_bytes()),
        _ => Some(asked.clone()),
    }
}
