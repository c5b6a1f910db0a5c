//! Server names in the beginnings of flows.

use egress_baseline::names::{ClientHello, FlowId, HostName, Limits, Lost, Names, Opening, Plain};
use proptest::prelude::*;
use rustls::server::Acceptor;

use crate::support_names::{
    IDENTIFIER, QUIC_1, at, client_hello, in_records, initial, server_name, with_extension,
};

const FLOW: FlowId = FlowId(1);

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

/// Servers go on with one of any version, so that it reaches the host that it names.
#[test]
fn a_client_hello_of_an_unknown_version_names_its_server() {
    for (major, minor) in [(3, 0), (3, 9), (4, 0), (0, 0), (255, 255)] {
        let mut hello = client_hello("www.example.org");
        // After the headers of the record and of the handshake message.
        hello[9..11].copy_from_slice(&[major, minor]);
        let opening = opening_of([hello.as_slice()]).map(|(opening, _)| opening);
        let name = server_name(opening.as_ref());
        assert_eq!(name.as_deref(), Some("www.example.org"), "{major} {minor}");
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
fn a_list_of_server_names_has_one_host_at_most() {
    let good = b"\0\0\x04good";
    let evil = b"\0\0\x04evil";
    let other_type = b"\x01\0\x04evil";
    for (entries, expected) in [
        (vec![good.as_slice()], Some(Some("good"))),
        (vec![good, other_type], Some(Some("good"))),
        (vec![other_type, good], Some(None)),
        (vec![], Some(None)),
        (vec![good, evil], None),
        (vec![&good[..5]], None),
    ] {
        let list = entries.concat();
        let length = u16::try_from(list.len()).unwrap().to_be_bytes();
        let list = [length.as_slice(), &list].concat();
        let hello = with_extension(&client_hello("192.0.2.1"), 0, &list);
        let (opening, _) = opening_of([hello.as_slice()]).unwrap();
        let name = match &opening {
            Opening::ClientHello(hello) => Some(hello.server_name.as_ref().map(HostName::as_str)),
            _ => None,
        };
        assert_eq!(name, expected, "{entries:?}");
        assert_eq!(opening == Opening::Unreadable, expected.is_none());
    }
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
            // The library keeps a final dot.
            let expected = accepted
                .client_hello()
                .server_name()
                .map(|name| name.trim_end_matches('.').to_ascii_lowercase());
            let opening = opening_of([hello.as_slice()]);
            let name = server_name(opening.as_ref().map(|(opening, _)| opening));
            prop_assert_eq!(name, expected);
        }
    }
}
