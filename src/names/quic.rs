//! The first packets of a QUIC connection, which carry a ClientHello in frames.
//!
//! Initial packets are encrypted with a key that everybody can work out: from the version, and from
//! the identifier that the client chose for the server (RFC 9001, section 5.2; RFC 9369 for
//! version 2). rustls does that part.

use rustls::{
    Side,
    crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    quic::{DirectionalKeys, Version},
};

use super::{
    client_hello::{self, HANDSHAKE_HEADER, LONGEST_HELLO, Progress, Reader},
    opening::{Opening, Plain},
};

/// A ClientHello that needs more datagrams than this is given up. Large ones take two or three; the
/// client repeats them while no answer comes.
const MOST_DATAGRAMS: u8 = 32;

/// Connection identifiers are no longer in the versions that are known.
const LONGEST_IDENTIFIER: usize = 20;

/// What stands between the start of the packet number and the sample that protects the header.
const LONGEST_PACKET_NUMBER: usize = 4;

/// What the cipher's sample takes.
const SAMPLE: usize = 16;

/// Reads datagrams that a client sends until its ClientHello is whole.
pub(super) struct Initials {
    keys: Option<Keys>,
    frames: Crypto,
    datagrams: u8,
    /// A packet had the form of an Initial packet, of a version that is known.
    has_initial: bool,
}

/// Keys, and what they were made from.
struct Keys {
    version: u32,
    identifier: Vec<u8>,
    client: DirectionalKeys,
}

/// The stream that CRYPTO frames make, in any order.
#[derive(Default)]
struct Crypto {
    bytes: Vec<u8>,
    is_there: Vec<bool>,
    /// Up to here nothing is missing.
    whole: usize,
}

impl std::fmt::Debug for Initials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initials")
            .field("datagrams", &self.datagrams)
            .finish_non_exhaustive()
    }
}

impl Initials {
    pub(super) fn new() -> Self {
        Self {
            keys: None,
            frames: Crypto::default(),
            datagrams: 0,
            has_initial: false,
        }
    }

    /// Takes the next datagram; says what the flow begins with as soon as that is known.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<Opening> {
        if self.datagrams == 0 && !has_long_header(datagram) {
            return Some(Opening::Plain(Plain::Other));
        }
        self.datagrams += 1;
        let mut rest = datagram;
        while let Some((packet, after)) = next_packet(rest) {
            rest = after;
            let Some(initial) = packet else {
                continue;
            };
            self.has_initial = true;
            if let Some(opening) = self.read(&initial) {
                return Some(opening);
            }
        }
        if self.datagrams < MOST_DATAGRAMS {
            return None;
        }
        Some(match (self.has_initial, self.frames.whole) {
            // Other protocols over UDP begin with such a byte too, and so does every RTP packet.
            (false, _) => Opening::Plain(Plain::Other),
            (true, 0) => Opening::Unreadable,
            (true, _) => Opening::TooLong,
        })
    }

    fn read(&mut self, initial: &Initial<'_>) -> Option<Opening> {
        let payload = self.decrypt(initial)?;
        if self.frames.add_all(&payload).is_none() {
            return Some(Opening::Unreadable);
        }
        match client_hello::read(self.frames.beginning()) {
            Progress::Unfinished => None,
            Progress::Read(hello) => Some(Opening::ClientHello(hello)),
            // The other direction, or something that only looks like QUIC.
            Progress::OtherMessage => Some(Opening::Unreadable),
            Progress::TooLong => Some(Opening::TooLong),
            Progress::Unreadable => Some(Opening::Unreadable),
        }
    }

    /// The frames of a packet, if it was sent by the client.
    ///
    /// The key stays that of the first packet, although the client soon uses the identifier that the
    /// server chose. Only a server's Retry, or another connection from the same port, brings a new
    /// key: then everything is sent anew.
    fn decrypt(&mut self, initial: &Initial<'_>) -> Option<Vec<u8>> {
        if let Some(keys) = &self.keys
            && keys.version == initial.version
            && let Some(payload) = initial.decrypt(&keys.client)
        {
            return Some(payload);
        }
        let keys = Keys::new(initial)?;
        if self.keys.as_ref().is_some_and(|known| {
            known.identifier == keys.identifier && known.version == keys.version
        }) {
            return None;
        }
        let payload = initial.decrypt(&keys.client)?;
        self.keys = Some(keys);
        self.frames = Crypto::default();
        Some(payload)
    }
}

impl Keys {
    fn new(initial: &Initial<'_>) -> Option<Self> {
        let suite = TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite()?;
        let keys = suite.keys(
            initial.identifier,
            Side::Client,
            version_of(initial.version)?,
        );
        Some(Self {
            version: initial.version,
            identifier: initial.identifier.to_vec(),
            client: keys.local,
        })
    }
}

/// Version 1, the drafts that only differ from it in the salt, and version 2.
fn version_of(number: u32) -> Option<Version> {
    match number {
        1 => Some(Version::V1),
        0x6b33_43cf => Some(Version::V2),
        0xff00_001d..=0xff00_0020 => Some(Version::V1Draft),
        _ => None,
    }
}

/// Whether a datagram begins with the packet that opens a connection, of any version.
fn has_long_header(datagram: &[u8]) -> bool {
    /// Form, version, and the lengths of two identifiers.
    const SHORTEST: usize = 7;
    datagram.len() >= SHORTEST && datagram[0] & 0x80 != 0 && datagram[1..5] != [0; 4]
}

/// An Initial packet, still encrypted.
struct Initial<'a> {
    version: u32,
    /// The identifier of the receiver.
    identifier: &'a [u8],
    packet: &'a [u8],
    /// Where its packet number begins.
    number_at: usize,
}

/// The first packet of `bytes`, if it is an Initial, and what follows it; none where no packet with a
/// long header begins, or nobody knows how long it is.
fn next_packet(bytes: &[u8]) -> Option<(Option<Initial<'_>>, &[u8])> {
    let mut reader = Reader(bytes);
    let first = reader.byte()?;
    // The next bit is set, but by clients that know that the server does not mind (RFC 9287).
    if first & 0x80 == 0 {
        return None;
    }
    let version = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
    let identifier = reader.take_with_length_of_1()?;
    let own_identifier = reader.take_with_length_of_1()?;
    if identifier.len().max(own_identifier.len()) > LONGEST_IDENTIFIER {
        return None;
    }
    // The numbers of the types were moved by one in version 2.
    let kind = (first >> 4) & 3;
    let kind = match version_of(version)? {
        Version::V2 => kind.wrapping_sub(1) & 3,
        Version::V1 | Version::V1Draft | _ => kind,
    };
    /// Nothing follows a Retry.
    const RETRY: u8 = 3;
    const INITIAL: u8 = 0;
    if kind == RETRY {
        return None;
    }
    if kind == INITIAL {
        let token = variable_length(&mut reader)?;
        reader.take(token)?;
    }
    let length = variable_length(&mut reader)?;
    let number_at = bytes.len() - reader.0.len();
    reader.take(length)?;
    let (packet, rest) = bytes.split_at(number_at + length);
    let initial = (kind == INITIAL).then_some(Initial {
        version,
        identifier,
        packet,
        number_at,
    });
    Some((initial, rest))
}

impl Initial<'_> {
    fn decrypt(&self, keys: &DirectionalKeys) -> Option<Vec<u8>> {
        let mut packet = self.packet.to_vec();
        let sample_at = self.number_at + LONGEST_PACKET_NUMBER;
        let sample: [u8; SAMPLE] = packet.get(sample_at..sample_at + SAMPLE)?.try_into().ok()?;
        let (first, rest) = packet.split_first_mut()?;
        let number = &mut rest[self.number_at - 1..sample_at - 1];
        keys.header.decrypt_in_place(&sample, first, number).ok()?;
        let length = usize::from(*first & 3) + 1;
        // A client's first packets have numbers that need no more digits than are sent.
        let number = number[..length]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (header, payload) = packet.split_at_mut(self.number_at + length);
        let payload = keys.packet.decrypt_in_place(number, header, payload).ok()?;
        Some(payload.to_vec())
    }
}

impl Crypto {
    /// Takes the CRYPTO frames of a packet; none if a frame makes no sense or does not fit.
    fn add_all(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader(payload);
        while let Some(kind) = reader.byte() {
            match kind {
                // PADDING, PING.
                0 | 1 => {}
                // ACK, with counts of congestion or without.
                2 | 3 => skip_ack(&mut reader, kind)?,
                6 => {
                    let offset = variable_length(&mut reader)?;
                    let length = variable_length(&mut reader)?;
                    self.add(offset, reader.take(length)?)?;
                }
                // CONNECTION_CLOSE: nothing comes after it.
                0x1c => return Some(()),
                _ => return None,
            }
        }
        Some(())
    }

    fn add(&mut self, offset: usize, bytes: &[u8]) -> Option<()> {
        let end = offset.checked_add(bytes.len())?;
        if end > HANDSHAKE_HEADER + LONGEST_HELLO {
            return None;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.is_there.resize(end, false);
        }
        // What came first stays: a repetition has the same bytes.
        for (at, byte) in (offset..end).zip(bytes) {
            if !self.is_there[at] {
                self.bytes[at] = *byte;
                self.is_there[at] = true;
            }
        }
        while self.is_there.get(self.whole) == Some(&true) {
            self.whole += 1;
        }
        Some(())
    }

    /// What is there without a gap.
    fn beginning(&self) -> &[u8] {
        &self.bytes[..self.whole]
    }
}

fn skip_ack(reader: &mut Reader<'_>, kind: u8) -> Option<()> {
    variable_length(reader)?;
    variable_length(reader)?;
    let ranges = variable_length(reader)?;
    variable_length(reader)?;
    for _ in 0..ranges {
        variable_length(reader)?;
        variable_length(reader)?;
    }
    if kind == 3 {
        for _ in 0..3 {
            variable_length(reader)?;
        }
    }
    Some(())
}

/// An integer whose first two bits say how long it is (RFC 9000, section 16).
fn variable_length(reader: &mut Reader<'_>) -> Option<usize> {
    let first = reader.byte()?;
    let more = reader.take((1 << (first >> 6)) - 1)?;
    let value = more.iter().fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    });
    usize::try_from(value).ok()
}
