//! Server names in the beginnings of flows.
#![expect(
    clippy::unwrap_used,
    reason = "what tests write themselves is well-formed"
)]

use egress_baseline::names::{ClientHello, FlowId, Limits, Lost, Names, Opening, Plain};
use proptest::prelude::*;
use rustls::server::Acceptor;

use crate::support_names::{
    QUIC_1, QUIC_2, at, client_hello, crypto, in_records, initial, quic_hello, with_extension,
};

const FLOW: FlowId = FlowId(1);
const IDENTIFIER: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// What a stream begins with that comes in these pieces, and how many of them it took.
fn opening_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(Opening, usize)> {
    let mut names = Names::default();
    for (count, piece) in (1..).zip(pieces) {
        assert!(!names.is_done(FLOW, at(0)));
        if let Some(opening) = names.stream_start(FLOW, piece, at(0)) {
            assert!(names.is_done(FLOW, at(0)));
            assert_eq!(names.opening_of(FLOW, at(0)), Some(&opening));
            return Some((opening, count));
        }
    }
    None
}

fn quic_opening<'a>(datagrams: impl IntoIterator<Item = &'a [u8]>) -> Option<Opening> {
    let mut names = Names::default();
    datagrams
        .into_iter()
        .find_map(|datagram| names.quic_datagram(FLOW, datagram, at(0)))
}

fn server_name(opening: Option<&Opening>) -> Option<String> {
    opening?.server_name().map(ToString::to_string)
}

#[test]
fn a_client_hello_is_read_however_it_is_cut() {
    let hello = client_hello("www.example.org");
    for record in [hello.len(), 300, 64, 7, 1] {
        let stream = in_records(&hello, record);
        for size in [stream.len(), 1_000, 100, 6, 5, 4, 3, 2, 1] {
            let (opening, _) = opening_of(stream.chunks(size)).unwrap();
            let expected = Opening::ClientHello(ClientHello {
                server_name: opening.server_name().cloned(),
                is_encrypted: false,
                has_unusable_name: false,
            });
            assert_eq!(opening, expected);
            let name = server_name(Some(&opening));
            assert_eq!(name.as_deref(), Some("www.example.org"), "{record} {size}");
        }
    }
}

#[test]
fn what_follows_the_client_hello_changes_nothing() {
    let mut stream = client_hello("www.example.org");
    stream.extend(client_hello("evil.example"));
    let (opening, pieces) = opening_of([stream.as_slice()]).unwrap();
    assert_eq!(
        (server_name(Some(&opening)).as_deref(), pieces),
        (Some("www.example.org"), 1)
    );
}

#[test]
fn no_name_is_made_up_where_none_is_sent() {
    let (opening, _) = opening_of([client_hello("192.0.2.1").as_slice()]).unwrap();
    let nothing = ClientHello {
        server_name: None,
        is_encrypted: false,
        has_unusable_name: false,
    };
    assert_eq!(opening, Opening::ClientHello(nothing.clone()));
    let named = |name: &[u8]| {
        let length = u16::try_from(name.len()).unwrap();
        let list = [
            &(length + 3).to_be_bytes(),
            [0].as_slice(),
            &length.to_be_bytes(),
            name,
        ];
        with_extension(&client_hello("192.0.2.1"), 0, &list.concat())
    };
    for (name, is_unusable) in [
        (b"203.0.113.9".as_slice(), false),
        (b"2001:db8::1", false),
        (b"", true),
        (b"a\nb.example", true),
        (b"\xff\xfe.example", true),
    ] {
        let (opening, _) = opening_of([named(name).as_slice()]).unwrap();
        let expected = ClientHello {
            has_unusable_name: is_unusable,
            ..nothing.clone()
        };
        assert_eq!(opening, Opening::ClientHello(expected), "{name:?}");
    }
    let (opening, _) = opening_of([named(b"Good.example").as_slice()]).unwrap();
    assert_eq!(server_name(Some(&opening)).as_deref(), Some("good.example"));
}

#[test]
fn two_server_names_are_none() {
    let name = [0, 10, 0, 0, 7, b'e', b'v', b'i', b'l', b'.', b'd', b'e'];
    let hello = with_extension(&client_hello("www.example.org"), 0, &name);
    assert_eq!(
        opening_of([hello.as_slice()]).unwrap().0,
        Opening::Unreadable
    );
}

#[test]
fn an_encrypted_client_hello_is_said_and_not_guessed() {
    let hello = with_extension(&client_hello("front.example"), 0xfe0d, &[0; 64]);
    let (Opening::ClientHello(hello), _) = opening_of([hello.as_slice()]).unwrap() else {
        panic!("no ClientHello");
    };
    assert!(hello.is_encrypted);
    assert_eq!(hello.server_name.unwrap().as_str(), "front.example");
}

#[test]
fn nothing_is_read_of_what_comes_through_a_proxy_or_after_another_protocol() {
    let beginnings: [(&[u8], Plain); 19] = [
        (b"CONNECT www.example.org:443 HTTP/1.1\r\n", Plain::Proxy),
        (&[5, 1, 0], Plain::Proxy),
        (&[5, 2, 0, 2], Plain::Proxy),
        (&[4, 1, 1, 187, 192, 0, 2, 1, 0], Plain::Proxy),
        (b"EHLO client.example\r\n", Plain::MayStartTls),
        (b"a001 STARTTLS\r\n", Plain::MayStartTls),
        (b"a001 CAPABILITY\r\n", Plain::MayStartTls),
        (b"CAPA\r\n", Plain::MayStartTls),
        (b"AUTH TLS\r\n", Plain::MayStartTls),
        (b"<?xml version='1.0'?>", Plain::MayStartTls),
        (&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], Plain::MayStartTls),
        (&[32, 0, 0, 1, 0x85, 0xae, 0, 0], Plain::MayStartTls),
        (
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
            Plain::MayStartTls,
        ),
        (b"GET / HTTP/1.1\r\nHost: www.example.org\r\n", Plain::Other),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Plain::Other),
        (&[0x80, 46, 1, 3, 1, 0, 21], Plain::OldTls),
        (&[0x80, 46, 1, 0, 2, 0, 21], Plain::OldTls),
        // A server's answer: the handshake message is another one.
        (&[22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3], Plain::Other),
        (&[0xff], Plain::Other),
    ];
    let hello = client_hello("www.example.org");
    for (beginning, plain) in beginnings {
        let mut names = Names::default();
        let opening = names.stream_start(FLOW, beginning, at(0));
        assert_eq!(opening, Some(Opening::Plain(plain)), "{beginning:?}");
        assert_eq!(names.stream_start(FLOW, &hello, at(0)), None);
        assert_eq!(names.take_lost(), []);
    }
}

#[test]
fn records_that_make_no_sense_are_counted() {
    for beginning in [
        [22, 3, 1, 0, 0, 22].as_slice(),
        &[22, 3, 1, 0x7f, 0xff, 1],
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
        &[22, 3, 1, 0, 1, 1, 21, 3, 1, 0, 2],
    ] {
        let mut names = Names::default();
        let opening = names.stream_start(FLOW, beginning, at(0));
        assert_eq!(opening, Some(Opening::Unreadable), "{beginning:?}");
        assert_eq!(names.take_lost(), [(Lost::OpeningUnreadable, 1)]);
    }
}

#[test]
fn what_is_too_long_or_never_whole_is_given_up_and_counted() {
    let mut names = Names::new(&Limits {
        openings: 2,
        flows: 5,
        ..Limits::default()
    });
    let long = [22, 3, 1, 0x40, 0, 1, 0, 0x40, 1];
    assert_eq!(
        names.stream_start(FlowId(0), &long, at(0)),
        Some(Opening::TooLong)
    );
    assert_eq!(names.take_lost(), [(Lost::OpeningTooLong, 1)]);
    let hello = client_hello("www.example.org");
    let (first, rest) = hello.split_at(100);
    for (flow, seconds) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(names.stream_start(FlowId(flow), first, at(seconds)), None);
    }
    assert_eq!(names.take_lost(), [(Lost::OpeningsFull, 1)]);
    // The rest of what was given up is no beginning.
    assert_eq!(names.stream_start(FlowId(1), &hello, at(3)), None);
    assert_eq!(names.opening_of(FlowId(1), at(3)), Some(&Opening::GivenUp));
    assert!(names.stream_start(FlowId(2), rest, at(3)).is_some());
    assert_eq!(names.stream_start(FlowId(3), rest, at(100)), None);
    assert_eq!(names.take_lost(), [(Lost::OpeningUnfinished, 1)]);
    assert_eq!(names.stream_start(FlowId(4), first, at(100)), None);
    names.forget(FlowId(4), at(100));
    assert_eq!(names.take_lost(), [(Lost::OpeningUnfinished, 1)]);
    for flow in 5..8 {
        names.stream_start(FlowId(flow), &hello, at(100));
    }
    assert_eq!(names.take_lost(), [(Lost::OpeningForgotten, 2)]);
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
    // A frame far beyond what a ClientHello takes.
    let far = initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &crypto(0x3fff, &[0; 64]));
    assert_eq!(quic_opening([far.as_slice()]), Some(Opening::Unreadable));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

proptest! {
    #[test]
    fn no_bytes_bring_the_readers_down(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..8),
        is_tls: bool,
    ) {
        let mut names = Names::default();
        for (index, piece) in pieces.iter().enumerate() {
            let begin: &[u8] = if is_tls && index == 0 { &[22, 3, 1, 0, 200, 1, 0, 0, 150, 3, 3] } else { &[] };
            names.stream_start(FlowId(1), &[begin, piece].concat(), at(0));
            let begin: &[u8] = if is_tls { &[0xc3, 0, 0, 0, 1] } else { &[] };
            names.quic_datagram(FlowId(2), &[begin, piece].concat(), at(0));
            let frames = initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &[piece.as_slice(), &[0; 8]].concat());
            names.quic_datagram(FlowId(3), &frames, at(0));
        }
    }

    /// Where a TLS library takes a changed ClientHello, both read the same name.
    #[test]
    fn a_changed_client_hello_is_read_as_a_library_reads_it(position in 5usize..600, value: u8) {
        let mut hello = client_hello("www.example.org");
        if let Some(byte) = hello.get_mut(position) {
            *byte = value;
        }
        let mut acceptor = Acceptor::default();
        prop_assert!(acceptor.read_tls(&mut hello.as_slice()).is_ok());
        if let Ok(Some(accepted)) = acceptor.accept() {
            let expected = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
            let opening = opening_of([hello.as_slice()]);
            let name = server_name(opening.as_ref().map(|(opening, _)| opening));
            prop_assert_eq!(name, expected);
        }
    }
}
