//! The kernel side's reader of messages that are whole frames or packets, beside an independent one.
//!
//! Two bytes pick the sort of message and of memory, a third how many buffers it lies in, and then
//! come their ends; the rest is the message.
#![no_main]

use harness::{
    Bytes,
    reader::{self, Form, IPV4, IPV6, Memory, Message, Seen},
};
use libfuzzer_sys::fuzz_target;

const LINK_HEADER: usize = 14;
const VLAN_TAGS: usize = 2;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (sort, memory, cuts) = (input.byte(), input.byte(), input.byte());
    let cuts = input.take(usize::from(cuts & 7));
    let message = Message {
        data: input.0,
        form: [Form::Frame, Form::CookedFrame, Form::OwnHeader][usize::from(sort % 3)],
        memory: [Memory::Buffers, Memory::KernelBuffers, Memory::OneBuffer]
            [usize::from(memory % 3)],
        is_taken: memory & 0x80 != 0,
        protocol: if sort & 0x80 == 0 { IPV4 } else { IPV6 },
        cuts,
    };
    let seen = reader::message(&message);
    let at_once = reader::message(&Message {
        memory: Memory::OneBuffer,
        is_taken: false,
        ..message
    });
    // A header that lies in two buffers is not read; what is read is the same.
    assert!(seen.is_none() || seen == at_once, "{seen:?} {at_once:?}");
    let is_in_one = message.memory == Memory::OneBuffer || cuts.is_empty();
    assert!(!is_in_one || seen == at_once, "{seen:?} {at_once:?}");
    if let Some(expected) = expected(&message) {
        assert_eq!(at_once, Some(expected));
    }
});

fn expected(message: &Message<'_>) -> Option<Seen> {
    let (ethernet_type, packet) = match message.form {
        Form::Frame => carried(message.data)?,
        Form::CookedFrame => (message.protocol, message.data),
        Form::OwnHeader if message.data.first()? >> 4 == 6 => (IPV6, message.data),
        Form::OwnHeader => (IPV4, message.data),
    };
    let (mut expected, _) = reader::expected(packet, ethernet_type, false)?;
    expected.payload_bytes = 0;
    Some(expected)
}

/// What a frame carries, and its protocol.
fn carried(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = LINK_HEADER - 2;
    for _ in 0..=VLAN_TAGS {
        let protocol = u16::from_be_bytes(*frame.get(at..)?.first_chunk()?);
        if !matches!(protocol, 0x8100 | 0x88a8) {
            return Some((protocol, &frame[at + 2..]));
        }
        at += 4;
    }
    None
}
