//! Datagrams that a client of QUIC begins with: as they are, and with frames that are encrypted as a
//! client would, since no mutation gets through a seal.
//!
//! An input is a byte whose lowest bit says version 2, and datagrams, each after a byte that says if it
//! is frames and a length of two bytes.
#![no_main]

use egress_baseline::{
    model::Timestamp,
    names::{FlowId, Names, Opening},
};
use harness::{Bytes, assert_is_name};
use libfuzzer_sys::fuzz_target;
use rustls::{Side, crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256, quic::Version};

const FLOW: FlowId = FlowId(1);
const NOW: Timestamp = Timestamp::from_unix_ns(1_795_348_800_000_000_000);
const IDENTIFIER: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let is_version_2 = bytes.byte() & 1 != 0;
    let mut names = Names::default();
    let mut number = 0;
    while !bytes.is_empty() {
        let is_frames = bytes.byte() & 1 != 0;
        let length = bytes.short();
        let part = bytes.take(length.into());
        let datagram = if is_frames {
            number += 1;
            sealed(is_version_2, number, part)
        } else {
            part.to_vec()
        };
        let opening = names.quic_datagram(FLOW, &datagram, NOW);
        if let Some(name) = opening.as_ref().and_then(Opening::server_name) {
            assert_is_name(name.as_str().split(':').next().expect("a part"));
        }
        if opening.is_some() {
            assert!(names.is_done(FLOW, NOW));
            assert_eq!(names.quic_datagram(FLOW, &datagram, NOW), None);
            return;
        }
    }
});

/// An Initial packet with these frames.
fn sealed(is_version_2: bool, number: u32, frames: &[u8]) -> Vec<u8> {
    const TAG: usize = 16;
    let (version, first, known) = if is_version_2 {
        (0x6b33_43cf_u32, 0xd3, Version::V2)
    } else {
        (1, 0xc3, Version::V1)
    };
    let suite = TLS13_AES_128_GCM_SHA256
        .tls13()
        .expect("a suite of TLS 1.3");
    let suite = suite.quic_suite().expect("a suite of QUIC");
    let keys = suite.keys(&IDENTIFIER, Side::Client, known).local;
    let mut packet = vec![first];
    packet.extend(version.to_be_bytes());
    packet.push(8);
    packet.extend(IDENTIFIER);
    packet.extend([0, 0]);
    let length = u32::try_from(4 + frames.len() + TAG).expect("a short input");
    packet.extend((0x8000_0000 | length).to_be_bytes());
    let number_at = packet.len();
    packet.extend(number.to_be_bytes());
    let mut payload = frames.to_vec();
    let tag = keys
        .packet
        .encrypt_in_place(number.into(), &packet, &mut payload)
        .expect("a key");
    packet.extend(payload);
    packet.extend(tag.as_ref());
    let sample = packet[number_at + 4..number_at + 20].to_vec();
    let (first, rest) = packet.split_first_mut().expect("a packet");
    let number = &mut rest[number_at - 1..number_at + 3];
    keys.header
        .encrypt_in_place(&sample, first, number)
        .expect("a sample");
    packet
}
