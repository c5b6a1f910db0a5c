//! The kernel side's reader of packets beside an independent one.
//!
//! Two bits of the first byte pick IPv6 and the direction; the rest is the packet. What etherparse
//! takes for a packet, both must read alike; of anything else only what lies within it may be read.
#![no_main]

use harness::{
    Bytes,
    reader::{self, IPV4, IPV6},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let choice = input.byte();
    let is_incoming = choice & 2 != 0;
    let (ethernet_type, shortest) = if choice & 1 != 0 {
        (IPV6, 40)
    } else {
        (IPV4, 20)
    };
    let packet = input.0;
    let Some(mut seen) = reader::packet(packet, ethernet_type, is_incoming) else {
        assert!(packet.len() < shortest);
        return;
    };
    assert!(seen.has_address);
    let Some((expected, is_whole)) = reader::expected(packet, ethernet_type, is_incoming) else {
        return;
    };
    if !is_whole {
        seen.payload_bytes = expected.payload_bytes;
    }
    assert_eq!(seen, expected);
});
