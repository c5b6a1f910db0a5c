//! What datagrams are called, by recorded streams of packets and counts.

use egress_baseline::model::{DatagramCount, KernelEvent, NameSource, Payload, PayloadKind};

use crate::{
    support_names::{IDENTIFIER, QUIC_1, crypto, initial, quic_hello},
    support_naming::{OTHER, dns, give, name, names, of, pipeline, quic_place, resolve, unread},
    support_replay::{SECOND, SHELL, clock, datagrams, take},
};

/// A first packet of QUIC of the shell, to where its datagrams go.
fn first_packet(second: u64, bytes: Vec<u8>) -> Payload {
    Payload {
        kind: PayloadKind::Quic,
        at_boot_ns: second * SECOND,
        remote: quic_place(),
        ..dns(SHELL, false, bytes)
    }
}

fn hello_of(name: &str) -> Vec<u8> {
    let frames = [crypto(0, &quic_hello(name)), vec![0; 900]].concat();
    initial(QUIC_1, IDENTIFIER, IDENTIFIER, 0, &frames)
}

fn counted() -> DatagramCount {
    DatagramCount {
        remote: quic_place(),
        ..datagrams(10, 10)
    }
}

#[test]
fn datagrams_are_called_by_the_first_packets_of_quic() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "edge.example.net", "198.51.100.9");
    give(
        &mut pipeline,
        first_packet(100, hello_of("www.example.org")),
    );
    // The client goes on under the identifier that the server chose, which nothing can be read from.
    for number in 1..4 {
        let later = initial(QUIC_1, b"unknown", b"unknown", number, &[0; 1_150]);
        give(&mut pipeline, first_packet(101, later));
    }
    take(&mut pipeline, KernelEvent::Datagrams(counted()));
    take(
        &mut pipeline,
        KernelEvent::Datagrams(DatagramCount {
            sender: of(OTHER),
            ..counted()
        }),
    );
    let batch = pipeline.flush(clock(200), true);
    let mut found = names(&batch);
    found.sort();
    assert_eq!(
        found,
        [
            (42, Some(("www.example.org", NameSource::ServerName))),
            (43, Some(("edge.example.net", NameSource::HostDnsAnswer))),
        ]
    );
    assert_eq!(unread(&batch), 0);
}

#[test]
fn another_connection_of_the_same_socket_brings_its_own_name() {
    let mut pipeline = pipeline();
    for (second, server) in [(100, "one.example.org"), (130, "two.example.org")] {
        give(&mut pipeline, first_packet(second, hello_of(server)));
        take(&mut pipeline, KernelEvent::Datagrams(counted()));
        let batch = pipeline.flush(clock(second + 5), false);
        assert_eq!(name(&batch), Some((server, NameSource::ServerName)));
    }
}

#[test]
fn datagrams_are_called_what_their_process_asked_for() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "time.example.org", "198.51.100.9");
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(10, 10)));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        name(&batch),
        Some(("time.example.org", NameSource::DnsAnswer))
    );
}
