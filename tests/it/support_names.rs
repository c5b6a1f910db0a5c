//! Writes what the parsers of names read: DNS messages, ClientHellos, and packets of QUIC.
#![expect(
    clippy::unwrap_used,
    reason = "what tests write themselves is well-formed"
)]

use std::{net::IpAddr, sync::Arc};

use egress_baseline::{
    model::{NameSource, Timestamp},
    names::{Asker, Channel, Direction, Learned, Names, Opening},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, Side,
    crypto::ring::{cipher_suite::TLS13_AES_128_GCM_SHA256, default_provider},
    quic::{self, Version},
};

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const AAAA: u16 = 28;
pub(crate) const HTTPS: u16 = 65;

/// Seconds after the moment at which each of these tests begins.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ns(1_795_000_000_000_000_000 + seconds * 1_000_000_000)
}

/// A socket of an asker, connected to a resolver.
pub(crate) fn channel(asker: u64, server: &str) -> Channel {
    Channel {
        asker: Asker(asker),
        socket: 1_000 + asker,
        port: 40_000,
        server: server.parse().unwrap(),
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Where questions go.
pub(crate) const RESOLVER: &str = "192.0.2.53:53";

/// A message that the socket's holder sends: it teaches nothing.
pub(crate) fn sent(names: &mut Names, channel: &Channel, message: &[u8]) {
    let learned = names.dns_message(channel, Direction::Sent, message, at(0));
    assert_eq!(learned, []);
}

/// What a message teaches that the socket's holder is given.
pub(crate) fn received(names: &mut Names, channel: &Channel, message: &[u8]) -> Vec<Learned> {
    names.dns_message(channel, Direction::Received, message, at(0))
}

/// Address, name, and whether that is proven.
pub(crate) fn pairs(learned: &[Learned]) -> Vec<(IpAddr, &str, bool)> {
    learned
        .iter()
        .map(|learned| (learned.address, learned.name.as_str(), learned.is_proven))
        .collect()
}

/// What an address is called for an asker; of what tests say, only a printer names itself.
pub(crate) fn name_of(names: &Names, asker: u64, text: &str) -> Option<(String, NameSource)> {
    let known = names.name_of(Asker(asker), address(text), at(0))?;
    assert_eq!(known.is_proven, known.name.text != "printer.local");
    Some((known.name.text, known.name.source))
}

/// A name as DNS writes it.
pub(crate) fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn header(id: u16, flags: u16, counts: [usize; 4]) -> Vec<u8> {
    let mut bytes = [id, flags].map(u16::to_be_bytes).concat();
    for count in counts {
        bytes.extend_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
    }
    bytes
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    [wire_name(name), [kind, 1].map(u16::to_be_bytes).concat()].concat()
}

pub(crate) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    [header(id, 0x0100, [1, 0, 0, 0]), question(name, kind)].concat()
}

/// A record with 300 seconds to live.
pub(crate) fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = wire_name(owner);
    bytes.extend([kind, 1].map(u16::to_be_bytes).concat());
    bytes.extend(300u32.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

/// An address record.
pub(crate) fn address_record(owner: &str, text: &str) -> Vec<u8> {
    match address(text) {
        IpAddr::V4(address) => record(owner, A, &address.octets()),
        IpAddr::V6(address) => record(owner, AAAA, &address.octets()),
    }
}

/// An answer to `query(id, name, kind)`.
pub(crate) fn answer(id: u16, name: &str, kind: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let header = header(id, 0x8180, [1, records.len(), 0, 0]);
    [header, question(name, kind), records.concat()].concat()
}

/// What a host says of itself to everybody, with records that nobody asked for.
pub(crate) fn announcement(records: &[Vec<u8>]) -> Vec<u8> {
    let header = header(0, 0x8400, [0, records.len(), 0, 0]);
    [header, records.concat()].concat()
}

fn client() -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Arc::new(config)
}

/// The records that a client of TLS begins with. An address in place of a name makes it send none.
pub(crate) fn client_hello(name: &str) -> Vec<u8> {
    let mut connection =
        ClientConnection::new(client(), name.to_owned().try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same handshake message in records of at most `size` bytes.
pub(crate) fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    hello[5..]
        .chunks(size)
        .flat_map(|part| {
            let length = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[22, 3, 1], length.as_slice(), part].concat()
        })
        .collect()
}

/// The same record with another extension at its end.
pub(crate) fn with_extension(hello: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut hello = hello.to_vec();
    let extension = [
        kind.to_be_bytes().as_slice(),
        &u16::try_from(data.len()).unwrap().to_be_bytes(),
        data,
    ]
    .concat();
    hello.extend(&extension);
    // Before the extensions: headers, version and random; session, ciphers and compressions.
    let mut lengths_at = 5 + 4 + 2 + 32;
    lengths_at += 1 + usize::from(hello[lengths_at]);
    lengths_at += 2 + usize::from(u16::from_be_bytes([
        hello[lengths_at],
        hello[lengths_at + 1],
    ]));
    lengths_at += 1 + usize::from(hello[lengths_at]);
    for at in [3, 7, lengths_at] {
        let length = u16::from_be_bytes([hello[at], hello[at + 1]]);
        let longer = length + u16::try_from(extension.len()).unwrap();
        hello[at..at + 2].copy_from_slice(&longer.to_be_bytes());
    }
    hello
}

/// The ClientHello of a client of QUIC, without anything around it.
pub(crate) fn quic_hello(name: &str) -> Vec<u8> {
    let name = name.to_owned().try_into().unwrap();
    let mut connection =
        quic::ClientConnection::new(client(), Version::V1, name, b"parameters".to_vec()).unwrap();
    let mut bytes = Vec::new();
    assert!(connection.write_hs(&mut bytes).is_none());
    bytes
}

/// The identifier that a client of QUIC chooses.
pub(crate) const IDENTIFIER: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// A CRYPTO frame.
pub(crate) fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let two_bytes = |number: usize| (0x4000 | u16::try_from(number).unwrap()).to_be_bytes();
    [
        &[6],
        two_bytes(offset).as_slice(),
        &two_bytes(bytes.len()),
        bytes,
    ]
    .concat()
}

/// A version of QUIC: its number, what rustls calls it, and the first byte of its Initial packets.
pub(crate) const QUIC_1: (u32, Version, u8) = (1, Version::V1, 0xc0);
pub(crate) const QUIC_2: (u32, Version, u8) = (0x6b33_43cf, Version::V2, 0xd0);

/// An Initial packet of a client, with a packet number of four bytes.
pub(crate) fn initial(
    (number_of_version, version, first): (u32, Version, u8),
    key_from: &[u8],
    identifier: &[u8],
    number: u32,
    frames: &[u8],
) -> Vec<u8> {
    const TAG: usize = 16;
    let suite = TLS13_AES_128_GCM_SHA256
        .tls13()
        .unwrap()
        .quic_suite()
        .unwrap();
    let keys = suite.keys(key_from, Side::Client, version).local;
    let length = u16::try_from(4 + frames.len() + TAG).unwrap();
    let mut packet = vec![first | 3];
    packet.extend(number_of_version.to_be_bytes());
    packet.push(u8::try_from(identifier.len()).unwrap());
    packet.extend(identifier);
    // No identifier of its own, and no token.
    packet.extend([0, 0]);
    packet.extend((0x4000 | length).to_be_bytes());
    let number_at = packet.len();
    packet.extend(number.to_be_bytes());
    let mut payload = frames.to_vec();
    let tag = keys
        .packet
        .encrypt_in_place(number.into(), &packet, &mut payload)
        .unwrap();
    packet.extend(payload);
    packet.extend(tag.as_ref());
    let sample = packet[number_at + 4..number_at + 20].to_vec();
    let (first, rest) = packet.split_first_mut().unwrap();
    let number = &mut rest[number_at - 1..number_at + 3];
    keys.header
        .encrypt_in_place(&sample, first, number)
        .unwrap();
    packet
}

/// The server name in an opening.
pub(crate) fn server_name(opening: Option<&Opening>) -> Option<String> {
    opening?.server_name().map(ToString::to_string)
}
