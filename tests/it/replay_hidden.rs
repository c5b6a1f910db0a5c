//! Flows that begin in a way that hides the server that is meant: that is said, and nothing is guessed.

use egress_baseline::model::{
    ConnectionEnd, DatagramCount, KernelEvent, NameSource, OpeningKind, Payload, PayloadKind,
};

use crate::{
    support_names::{
        IDENTIFIER, QUIC_1, client_hello, crypto, initial, quic_hello, with_extension,
    },
    support_naming::{
        OTHER, PLACE, dns, give, name, opening, pipeline, quic_place, resolve, unread,
    },
    support_replay::{SECOND, SHELL, clock, connect, datagrams, look, take},
};

/// The extension of an encrypted ClientHello (RFC 9849).
const ENCRYPTED: u16 = 0xfe0d;

fn encrypted_hello() -> Vec<u8> {
    with_extension(&client_hello("front.example.net"), ENCRYPTED, &[0; 64])
}

#[test]
fn the_name_beside_an_encrypted_one_gives_way_to_the_answer_that_the_process_got() {
    let told = ("real.example.org", NameSource::DnsAnswer);
    let outer = ("front.example.net", NameSource::OuterServerName);
    for (asker, expected) in [(Some(SHELL), told), (Some(OTHER), outer), (None, outer)] {
        let mut pipeline = pipeline();
        if let Some(asker) = asker {
            resolve(&mut pipeline, asker, "real.example.org", PLACE);
        }
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        give(&mut pipeline, opening(1, 1_000, &encrypted_hello()));
        let batch = pipeline.flush(clock(100), true);
        assert_eq!(name(&batch), Some(expected), "{asker:?}");
        assert_eq!(
            batch.flows[0].flow.opening,
            Some(OpeningKind::EncryptedClientHello)
        );
    }
}

#[test]
fn an_encrypted_client_hello_of_quic_is_said_as_well() {
    let mut pipeline = pipeline();
    // The same message as in a record, without the record's header.
    let record = [&[0; 5], quic_hello("front.example.net").as_slice()].concat();
    let hello = with_extension(&record, ENCRYPTED, &[0; 64]);
    let frames = [crypto(0, &hello[5..]), vec![0; 800]].concat();
    give(
        &mut pipeline,
        Payload {
            kind: PayloadKind::Quic,
            remote: quic_place(),
            ..dns(
                SHELL,
                false,
                initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &frames),
            )
        },
    );
    take(
        &mut pipeline,
        KernelEvent::Datagrams(DatagramCount {
            remote: quic_place(),
            ..datagrams(10, 10)
        }),
    );
    let batch = pipeline.flush(clock(200), true);
    assert_eq!(
        name(&batch),
        Some(("front.example.net", NameSource::OuterServerName))
    );
    assert_eq!(
        batch.flows[0].flow.opening,
        Some(OpeningKind::EncryptedClientHello)
    );
}

#[test]
fn what_is_asked_of_a_proxy_or_comes_before_tls_is_said_and_names_nothing() {
    let beginnings: [(&[u8], Option<OpeningKind>); 4] = [
        (
            b"CONNECT www.example.org:443 HTTP/1.1\r\n",
            Some(OpeningKind::Proxy),
        ),
        (&[5, 1, 0], Some(OpeningKind::Proxy)),
        (b"EHLO mail.example.org\r\n", Some(OpeningKind::MayStartTls)),
        (b"GET / HTTP/1.1\r\n", None),
    ];
    for (bytes, expected) in beginnings {
        let mut pipeline = pipeline();
        resolve(&mut pipeline, SHELL, "proxy.example.net", PLACE);
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        give(&mut pipeline, opening(1, 1_000, bytes));
        let batch = pipeline.flush(clock(100), true);
        assert_eq!(batch.flows[0].flow.opening, expected);
        let told = Some(("proxy.example.net", NameSource::DnsAnswer));
        assert_eq!(name(&batch), told);
        assert_eq!(unread(&batch), 0);
    }
}

#[test]
fn another_connection_of_the_same_socket_begins_anew() {
    let mut pipeline = pipeline();
    for (second, bytes, expected) in [
        (10, b"CONNECT a:443".as_slice(), Some(OpeningKind::Proxy)),
        (20, b"GET / HTTP/1.1".as_slice(), None),
    ] {
        let connect = connect(1, second);
        take(&mut pipeline, KernelEvent::Connect(connect.clone()));
        give(&mut pipeline, opening(1, 1_000, bytes));
        let over = ConnectionEnd {
            is_established: true,
            is_over: true,
            at_boot_ns: (second + 1) * SECOND,
            ..look(&connect, second + 1)
        };
        take(&mut pipeline, KernelEvent::ConnectionEnd(over));
        let batch = pipeline.flush(clock(100), false);
        assert_eq!(batch.flows[0].flow.opening, expected);
    }
}
