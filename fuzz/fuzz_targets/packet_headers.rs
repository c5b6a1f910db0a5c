//! The kernel side's reader of outgoing packets beside an independent one.
//!
//! The first byte's lowest bit picks IPv6; the rest is the packet. What etherparse takes for a whole
//! packet, both must read alike; of anything else only what lies within it may be read.
#![no_main]

use harness::{Bytes, reader};
use libfuzzer_sys::fuzz_target;

/// Counted by their chunks and packets, not by their bytes.
const ASSOCIATIONS: [u8; 2] = [33, 132];

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let is_version_6 = input.byte() & 1 == 1;
    let packet = input.0;
    let Some(mut seen) = reader::outgoing(packet, is_version_6) else {
        assert!(packet.len() < if is_version_6 { 40 } else { 20 });
        return;
    };
    assert!(seen.has_address);
    let Some(expected) = reader::expected(packet, is_version_6) else {
        return;
    };
    if ASSOCIATIONS.contains(&seen.protocol) {
        seen.payload_bytes = expected.payload_bytes;
    }
    assert_eq!(seen, expected);
});
