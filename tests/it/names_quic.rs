//! Server names in the first datagrams of flows.
#![expect(
    clippy::unwrap_used,
    reason = "what tests write themselves is well-formed"
)]

use egress_baseline::names::{FlowId, Lost, Names, Opening, Plain};

use crate::support_names::{
    IDENTIFIER, QUIC_1, QUIC_2, at, crypto, initial, quic_hello, server_name,
};

const FLOW: FlowId = FlowId(1);

fn quic_opening<'a>(datagrams: impl IntoIterator<Item = &'a [u8]>) -> Option<Opening> {
    let mut names = Names::default();
    datagrams
        .into_iter()
        .find_map(|datagram| names.quic_datagram(FLOW, datagram, at(0)))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn quic_is_read_in_any_order_and_cut() {
    let hello = quic_hello("www.example.org");
    let (first, second) = hello.split_at(150);
    for version in [QUIC_1, QUIC_2] {
        let packet =
            |number, frames: &[u8]| initial(version, IDENTIFIER, IDENTIFIER, number, frames);
        let early = packet(0, &[crypto(150, second), vec![0; 900]].concat());
        let late = packet(1, &[vec![1, 0], crypto(0, first), vec![0; 900]].concat());
        // A packet of another kind before it, in the same datagram.
        let mut other = late[..14].to_vec();
        other[0] = if version.0 == 1 { 0xd0 } else { 0xe0 };
        other.extend([0, 5, 1, 2, 3, 4, 5]);
        let coalesced = [other, late.clone()].concat();
        for datagrams in [
            vec![early.as_slice(), &late],
            vec![&late, &early],
            vec![&early, &early, &coalesced],
            vec![&[early.clone(), late.clone()].concat()],
        ] {
            let opening = quic_opening(datagrams);
            assert_eq!(
                server_name(opening.as_ref()).as_deref(),
                Some("www.example.org")
            );
        }
        assert_eq!(quic_opening([early.as_slice()]), None);
    }
}

#[test]
fn quic_keeps_its_key_until_a_retry_brings_another() {
    let hello = quic_hello("www.example.org");
    let (first, second) = hello.split_at(100);
    let chosen = [9; 12];
    let start = initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &crypto(0, first));
    let answered = initial(QUIC_1, IDENTIFIER, &chosen, 1, &crypto(100, second));
    let opening = quic_opening([start.as_slice(), &answered]);
    assert_eq!(
        server_name(opening.as_ref()).as_deref(),
        Some("www.example.org")
    );
    // After a Retry everything is sent again, under the key of the new identifier.
    let again = initial(QUIC_1, &chosen, &chosen, 1, &crypto(100, second));
    let again_first = initial(QUIC_1, &chosen, &chosen, 2, &crypto(0, first));
    let opening = quic_opening([start.as_slice(), &again, &again_first]);
    assert_eq!(
        server_name(opening.as_ref()).as_deref(),
        Some("www.example.org")
    );
    assert_eq!(quic_opening([start.as_slice(), &again]), None);
}

/// RFC 9287: the second bit of a packet may be clear where the server is known not to mind.
#[test]
fn quic_is_read_without_its_bit() {
    let (number, version, first) = QUIC_1;
    let greased = (number, version, first & !0x40);
    let frames = crypto(0, &quic_hello("www.example.org"));
    let packet = initial(greased, IDENTIFIER, IDENTIFIER, 0, &frames);
    assert_eq!(packet[0] & 0xc0, 0x80);
    let opening = quic_opening([packet.as_slice()]);
    assert_eq!(
        server_name(opening.as_ref()).as_deref(),
        Some("www.example.org")
    );
}

/// RFC 9001, appendix A.2, and RFC 9369, appendix A.2: the same ClientHello in both versions.
#[test]
fn the_packets_of_the_specifications_are_read() {
    let frame = hex(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004\
         13011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018\
         00100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba75\
         3de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305030603020308040805080600\
         2d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075\
         300901100f088394c8f03e51570806048000ffff",
    );
    let identifier = hex("8394c8f03e515708");
    let frames = [frame.as_slice(), &[0; 1_162 - 245]].concat();
    for (version, begins, ends) in [
        (
            QUIC_1,
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
            "e221af44860018ab0856972e194cd934",
        ),
        (
            QUIC_2,
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
            "a18b2faa745b6fe189cf772a9f84cbfc",
        ),
    ] {
        let packet = initial(version, &identifier, &identifier, 2, &frames);
        assert_eq!(packet.len(), 1_200);
        assert!(packet.starts_with(&hex(begins)));
        assert!(packet.ends_with(&hex(ends)));
        let opening = quic_opening([packet.as_slice()]);
        assert_eq!(
            server_name(opening.as_ref()).as_deref(),
            Some("example.com")
        );
    }
}

#[test]
fn datagrams_that_are_no_quic_or_never_whole_name_nothing() {
    let hello = quic_hello("www.example.org");
    assert_eq!(
        quic_opening([b"\x12\x34\x01\x00\x00\x01".as_slice()]),
        Some(Opening::Plain(Plain::Other))
    );
    let mut damaged = initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &crypto(0, &hello));
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut names = Names::default();
    let endless = std::iter::repeat_n(&damaged, 1_000);
    let opening = endless
        .zip(1..)
        .find_map(|(datagram, count)| Some((names.quic_datagram(FLOW, datagram, at(0))?, count)));
    assert_eq!(opening, Some((Opening::Unreadable, 32)));
    assert_eq!(names.take_lost(), [(Lost::OpeningUnreadable, 1)]);
    // RTP, which begins with the bit of QUIC's long headers.
    let mut names = Names::default();
    let stream = std::iter::repeat_n([0x80, 0, 0x3a, 1, 0, 0, 1, 0x40, 9, 9, 9, 9], 1_000);
    let opening = stream
        .into_iter()
        .find_map(|packet| names.quic_datagram(FLOW, &packet, at(0)));
    assert_eq!(opening, Some(Opening::Plain(Plain::Other)));
    assert_eq!(names.take_lost(), []);
    // A frame far beyond what a ClientHello takes.
    let far = initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &crypto(0x3fff, &[0; 64]));
    assert_eq!(quic_opening([far.as_slice()]), Some(Opening::Unreadable));
}
