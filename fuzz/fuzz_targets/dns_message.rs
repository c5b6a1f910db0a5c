//! DNS, multicast DNS and LLMNR messages: what a resolver, or somebody on the link, writes.
//!
//! An input is a byte that chooses the protocol, a length of two bytes, a query of that length, and an
//! answer.
#![no_main]

use std::net::{Ipv4Addr, SocketAddr};

use egress_baseline::{
    model::Timestamp,
    names::{Asker, Channel, Direction, Learned, Names},
};
use harness::{Bytes, assert_is_name};
use libfuzzer_sys::fuzz_target;

const PORTS: [u16; 3] = [53, 5353, 5355];
const NOW: Timestamp = Timestamp::from_unix_ns(1_795_348_800_000_000_000);

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let port = PORTS[usize::from(bytes.byte()) % PORTS.len()];
    let channel = Channel {
        asker: Asker(1),
        socket: 2,
        port: 40_000,
        server: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), port)),
    };
    let length = bytes.short();
    let query = bytes.take(length.into());
    let answer = bytes.0;

    let mut names = Names::default();
    let asked = names.dns_message(&channel, Direction::Sent, query, NOW);
    assert_eq!(asked, []);
    let learned = names.dns_message(&channel, Direction::Received, answer, NOW);
    for learned in &learned {
        assert_is_name(learned.name.as_str());
        assert_eq!(learned.address, learned.address.to_canonical());
        assert!(learned.valid_until > NOW);
    }
    // A second one to the same query proves nothing.
    let again = names.dns_message(&channel, Direction::Received, answer, NOW);
    assert!(!again.iter().any(|learned| learned.is_proven));
    if let Ok(length) = u16::try_from(answer.len()) {
        assert_eq!(
            in_pieces(&channel, query, &length.to_be_bytes(), answer),
            learned
        );
    }
});

/// What the same answer teaches over TCP.
fn in_pieces(channel: &Channel, query: &[u8], length: &[u8], answer: &[u8]) -> Vec<Learned> {
    let mut names = Names::default();
    drop(names.dns_message(channel, Direction::Sent, query, NOW));
    let stream = [length, answer].concat();
    let size = 1 + stream.len() / 7;
    stream
        .chunks(size)
        .flat_map(|piece| names.dns_stream(channel, Direction::Received, piece, NOW))
        .collect()
}
