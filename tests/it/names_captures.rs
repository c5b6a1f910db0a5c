//! Names from whole captures: fragments, and segments in any order.
#![expect(
    clippy::unwrap_used,
    reason = "what tests write themselves is well-formed"
)]

use egress_baseline::names::Names;
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder};

use crate::{
    support_captures::{Body, packets_of, pass},
    support_names::{A, address_record, answer, client_hello, query},
};

const CLIENT: [u8; 4] = [198, 51, 100, 7];
const SERVER: [u8; 4] = [192, 0, 2, 53];

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from.0, to.0, 64)
        .udp(from.1, to.1)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

fn tcp(sequence: u32, is_opening: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(CLIENT, SERVER, 64).tcp(40_000, 443, sequence, 1_000);
    let builder = if is_opening { builder.syn() } else { builder };
    builder.write(&mut packet, payload).unwrap();
    packet
}

/// The same packet in fragments of 64 bytes, the last one first.
fn fragments(packet: &[u8]) -> Vec<Vec<u8>> {
    let payload = &packet[20..];
    let mut fragments: Vec<_> = payload
        .chunks(64)
        .zip(0u16..)
        .map(|(part, index)| {
            let length = u16::try_from(part.len()).unwrap();
            let mut header = Ipv4Header::new(length, 64, IpNumber::UDP, SERVER, CLIENT).unwrap();
            header.identification = 77;
            header.dont_fragment = false;
            header.fragment_offset = IpFragOffset::try_new(index * 8).unwrap();
            header.more_fragments = usize::from(index) * 64 + part.len() < payload.len();
            let mut bytes = Vec::new();
            header.write(&mut bytes).unwrap();
            bytes.extend_from_slice(part);
            bytes
        })
        .collect();
    fragments.reverse();
    fragments
}

/// A file in the old format, of raw IP packets.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    const RAW: u32 = 101;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap();
        for word in [1_795_000_000, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

#[test]
fn an_answer_in_fragments_is_put_together() {
    let records: Vec<_> = (1..=20)
        .map(|last| address_record("example.org", &format!("203.0.113.{last}")))
        .collect();
    let mut packets = vec![udp(
        (CLIENT, 40_000),
        (SERVER, 53),
        &query(7, "example.org", A),
    )];
    let reply = answer(7, "example.org", A, &records);
    packets.extend(fragments(&udp((SERVER, 53), (CLIENT, 40_000), &reply)));
    let seen = pass(&packets_of(&capture(&packets)), &mut Names::default());
    assert_eq!(seen.learned.len(), 20);
    assert!(
        seen.learned
            .iter()
            .all(|(client, learned)| { client.to_string() == "198.51.100.7" && learned.is_proven })
    );
}

#[test]
fn a_client_hello_is_found_in_segments_that_come_late_twice_and_overlap() {
    let hello = client_hello("www.example.org");
    // Sequence numbers go round in the middle of it.
    let start = u32::MAX - 50;
    let segment = |from: usize, to: usize| {
        let sequence = start.wrapping_add(1 + u32::try_from(from).unwrap());
        tcp(sequence, false, &hello[from..to.min(hello.len())])
    };
    let packets = [
        tcp(start, true, &[]),
        segment(120, 200),
        segment(0, 60),
        segment(0, 60),
        segment(200, hello.len()),
        segment(40, 130),
    ];
    let packets = packets_of(&capture(&packets));
    assert!(
        packets
            .iter()
            .all(|packet| matches!(packet.body, Body::Segment { .. }))
    );
    let seen = pass(&packets, &mut Names::default());
    let [opening] = seen.openings.as_slice() else {
        panic!("{:?}", seen.openings);
    };
    assert_eq!(opening.source.to_string(), "198.51.100.7:40000");
    assert_eq!(opening.destination.port(), 443);
    assert_eq!(
        opening.opening.server_name().unwrap().as_str(),
        "www.example.org"
    );
}
