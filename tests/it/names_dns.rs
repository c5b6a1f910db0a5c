//! Names from DNS messages: who was told what, and what proves it.

use std::net::IpAddr;

use egress_baseline::{
    model::NameSource,
    names::{Asker, Channel, Direction, Learned, Limits, Lost, Names, Via},
};
use proptest::prelude::*;

use crate::support_names::{
    A, AAAA, CNAME, HTTPS, address, address_record, announcement, answer, at, channel, query,
    record, wire_name,
};

const RESOLVER: &str = "192.0.2.53:53";

fn sent(names: &mut Names, channel: &Channel, message: &[u8]) {
    let learned = names.dns_message(channel, Direction::Sent, message, at(0));
    assert_eq!(learned, []);
}

fn received(names: &mut Names, channel: &Channel, message: &[u8]) -> Vec<Learned> {
    names.dns_message(channel, Direction::Received, message, at(0))
}

fn pairs(learned: &[Learned]) -> Vec<(IpAddr, &str, bool)> {
    learned
        .iter()
        .map(|learned| (learned.address, learned.name.as_str(), learned.is_proven))
        .collect()
}

fn name_of(names: &Names, asker: u64, text: &str) -> Option<(String, NameSource)> {
    let known = names.name_of(Asker(asker), address(text), at(0))?;
    assert_eq!(known.is_proven, known.name.text != "printer.local");
    Some((known.name.text, known.name.source))
}

#[test]
fn an_answer_names_its_addresses_by_what_was_asked_for() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(&mut names, &channel, &query(7, "WWW.example.org", A));
    let records = [
        record("www.example.org", CNAME, &wire_name("edge.cdn.example")),
        address_record("node.cdn.example", "203.0.113.1"),
        record("Edge.cdn.example", CNAME, &wire_name("node.cdn.example")),
        address_record("node.cdn.example", "2001:db8::1"),
    ];
    let learned = received(
        &mut names,
        &channel,
        &answer(7, "www.Example.org", A, &records),
    );
    let expected =
        ["203.0.113.1", "2001:db8::1"].map(|text| (address(text), "www.example.org", true));
    assert_eq!(pairs(&learned), expected);
    assert_eq!(learned[0].via, Via::Dns);
    let name = |source| Some(("www.example.org".to_owned(), source));
    assert_eq!(
        name_of(&names, 1, "203.0.113.1"),
        name(NameSource::DnsAnswer)
    );
    assert_eq!(
        name_of(&names, 2, "203.0.113.1"),
        name(NameSource::HostDnsAnswer)
    );
    assert_eq!(
        name_of(&names, 1, "::ffff:203.0.113.1"),
        name(NameSource::DnsAnswer)
    );
    assert_eq!(name_of(&names, 1, "203.0.113.2"), None);
    assert_eq!(names.take_lost(), []);
}

#[test]
fn an_answer_that_nobody_asked_for_names_nothing() {
    let asked = channel(1, RESOLVER);
    let good = |id, name: &str| answer(id, name, A, &[address_record(name, "203.0.113.1")]);
    let forgeries = [
        (asked, good(8, "example.org")),
        (asked, good(7, "example.net")),
        (
            asked,
            answer(
                7,
                "example.org",
                AAAA,
                &[address_record("example.org", "203.0.113.1")],
            ),
        ),
        (
            Channel {
                port: 40_001,
                ..asked
            },
            good(7, "example.org"),
        ),
        (Channel { socket: 5, ..asked }, good(7, "example.org")),
        (
            Channel {
                server: "192.0.2.54:53".parse().unwrap(),
                ..asked
            },
            good(7, "example.org"),
        ),
    ];
    for (channel, forgery) in forgeries {
        let mut names = Names::default();
        sent(&mut names, &asked, &query(7, "example.org", A));
        let learned = received(&mut names, &channel, &forgery);
        assert_eq!(pairs(&learned).len(), 1, "{forgery:?}");
        assert!(!learned[0].is_proven, "{channel:?} {forgery:?}");
        assert_eq!(name_of(&names, 1, "203.0.113.1"), None);
        // The query still waits for its answer.
        assert!(received(&mut names, &asked, &good(7, "example.org"))[0].is_proven);
    }
}

#[test]
fn only_the_first_answer_to_a_query_is_proven() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(&mut names, &channel, &query(7, "example.org", A));
    for (address, is_proven) in [("203.0.113.1", true), ("203.0.113.66", false)] {
        let message = answer(
            7,
            "example.org",
            A,
            &[address_record("example.org", address)],
        );
        assert_eq!(
            received(&mut names, &channel, &message)[0].is_proven,
            is_proven
        );
    }
    assert_eq!(name_of(&names, 1, "203.0.113.66"), None);
}

#[test]
fn two_askers_keep_their_own_names_of_a_shared_address() {
    let mut names = Names::default();
    for (asker, name) in [(1, "one.example"), (2, "two.example")] {
        let channel = channel(asker, RESOLVER);
        sent(&mut names, &channel, &query(7, name, A));
        let message = answer(7, name, A, &[address_record(name, "203.0.113.1")]);
        assert!(received(&mut names, &channel, &message)[0].is_proven);
    }
    for (asker, name) in [(1, "one.example"), (2, "two.example"), (3, "two.example")] {
        let known = names
            .name_of(Asker(asker), address("203.0.113.1"), at(0))
            .unwrap();
        assert_eq!(known.name.text, name);
        assert!(known.is_shared);
    }
}

#[test]
fn a_name_holds_for_its_time_to_live_and_the_grace_time() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(&mut names, &channel, &query(7, "example.org", A));
    let message = answer(
        7,
        "example.org",
        A,
        &[address_record("example.org", "203.0.113.1")],
    );
    received(&mut names, &channel, &message);
    let end = 300 + i64::try_from(Limits::default().grace.as_secs()).unwrap();
    let known = |seconds| names.name_of(Asker(1), address("203.0.113.1"), at(seconds));
    assert_eq!(known(end).unwrap().valid_until, at(end));
    assert_eq!(known(end + 1), None);
}

#[test]
fn records_beside_the_chain_of_the_question_name_nothing() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(&mut names, &channel, &query(7, "example.org", A));
    let records = [
        address_record("bank.example", "203.0.113.1"),
        // A chain that bites its own tail.
        record("example.org", CNAME, &wire_name("b.example.org")),
        record("b.example.org", CNAME, &wire_name("example.org")),
        record("example.org", 2, &wire_name("ns.example.org")),
        address_record("ns.example.org", "203.0.113.2"),
    ];
    assert_eq!(
        received(&mut names, &channel, &answer(7, "example.org", A, &records)),
        []
    );
}

#[test]
fn hosts_name_themselves_without_proof_and_only_below_local() {
    let mut names = Names::default();
    let group = channel(1, "198.51.100.9:5353");
    let message = announcement(&[
        address_record("printer.local", "198.51.100.9"),
        address_record("update.example.org", "198.51.100.9"),
    ]);
    let learned = received(&mut names, &group, &message);
    assert_eq!(
        pairs(&learned),
        [(address("198.51.100.9"), "printer.local", false)]
    );
    assert_eq!(learned[0].via, Via::Mdns);
    let expected = ("printer.local".to_owned(), NameSource::HostDnsAnswer);
    assert_eq!(name_of(&names, 2, "198.51.100.9"), Some(expected));
    assert_eq!(names.take_lost(), [(Lost::NameUnusable, 1)]);
}

#[test]
fn a_question_to_a_group_is_answered_by_whoever_has_the_name() {
    let mut names = Names::default();
    sent(
        &mut names,
        &channel(1, "224.0.0.252:5355"),
        &query(7, "fileserver", A),
    );
    let message = answer(
        7,
        "fileserver",
        A,
        &[address_record("fileserver", "198.51.100.9")],
    );
    let learned = received(&mut names, &channel(1, "198.51.100.9:5355"), &message);
    assert_eq!(
        pairs(&learned),
        [(address("198.51.100.9"), "fileserver", true)]
    );
    assert_eq!(learned[0].via, Via::Llmnr);
}

#[test]
fn what_a_server_of_this_host_is_asked_and_answers_is_not_its_own_asking() {
    let mut names = Names::default();
    let client = channel(1, "198.51.100.7:40000");
    let message = answer(
        7,
        "example.org",
        A,
        &[address_record("example.org", "203.0.113.1")],
    );
    assert_eq!(
        received(&mut names, &client, &query(7, "example.org", A)),
        []
    );
    sent(&mut names, &client, &message);
    assert_eq!(name_of(&names, 2, "203.0.113.1"), None);
}

#[test]
fn hints_of_a_service_are_addresses_of_its_host() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(
        &mut names,
        &channel,
        &query(7, "_8443._https.example.org", HTTPS),
    );
    // Priority 1, the name itself, one hint of each family.
    let mut service = vec![0, 1, 0];
    service.extend([0, 4, 0, 4, 203, 0, 113, 1]);
    service.extend([0, 6, 0, 16]);
    service.extend(
        "2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    let records = [record("_8443._https.example.org", HTTPS, &service)];
    let message = answer(7, "_8443._https.example.org", HTTPS, &records);
    let learned = received(&mut names, &channel, &message);
    let expected = ["203.0.113.1", "2001:db8::1"].map(|text| (address(text), "example.org", true));
    assert_eq!(pairs(&learned), expected);
    assert!(learned.iter().all(|learned| learned.is_hint));
}

#[test]
fn damage_costs_only_what_comes_after_it_and_is_counted() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    sent(&mut names, &channel, &query(7, "example.org", A));
    let records: Vec<_> = (1..=9)
        .map(|last| address_record("example.org", &format!("203.0.113.{last}")))
        .collect();
    let mut message = answer(7, "example.org", A, &records);
    message.truncate(message.len() - 3);
    let learned = received(&mut names, &channel, &message);
    assert_eq!(learned.len(), 8);
    assert_eq!(received(&mut names, &channel, &message[..11]), []);
    assert_eq!(names.take_lost(), [(Lost::MessageUnreadable, 2)]);
    assert_eq!(names.take_lost(), []);
}

#[test]
fn names_that_no_host_has_are_counted_and_not_learned() {
    for name in [
        "a b.example",
        "\u{1b}[31m.example",
        "192.0.2.1",
        "b\u{fc}cher.example",
    ] {
        let mut names = Names::default();
        let channel = channel(1, RESOLVER);
        sent(&mut names, &channel, &query(7, name, A));
        let message = answer(7, name, A, &[address_record(name, "203.0.113.1")]);
        assert_eq!(received(&mut names, &channel, &message), []);
        assert_eq!(names.take_lost(), [(Lost::NameUnusable, 1)], "{name:?}");
    }
}

#[test]
fn a_connection_to_a_resolver_is_read_however_it_is_cut() {
    let framed = |message: Vec<u8>| {
        [
            &u16::try_from(message.len()).unwrap().to_be_bytes(),
            message.as_slice(),
        ]
        .concat()
    };
    let names_asked = ["one.example", "two.example"];
    let queries = names_asked.map(|name| framed(query(7, name, A))).concat();
    let answers = names_asked
        .map(|name| framed(answer(7, name, A, &[address_record(name, "203.0.113.1")])))
        .concat();
    for size in 1..=answers.len() {
        let mut names = Names::default();
        let channel = channel(1, RESOLVER);
        let mut learned = Vec::new();
        for (direction, stream) in [(Direction::Sent, &queries), (Direction::Received, &answers)] {
            for piece in stream.chunks(size) {
                learned.extend(names.dns_stream(&channel, direction, piece, at(0)));
            }
        }
        let expected = names_asked.map(|name| (address("203.0.113.1"), name, true));
        assert_eq!(pairs(&learned), expected, "{size}");
    }
}

#[test]
fn what_full_tables_give_up_is_counted() {
    let mut names = Names::new(&Limits {
        queries: 2,
        answers: 2,
        host_answers: 3,
        dns_streams: 1,
        ..Limits::default()
    });
    let resolver = channel(1, RESOLVER);
    for id in 0..3 {
        sent(&mut names, &resolver, &query(id, "example.org", A));
    }
    assert_eq!(names.take_lost(), [(Lost::QueriesFull, 1)]);
    let records: Vec<_> = (1..=4)
        .map(|last| address_record("example.org", &format!("203.0.113.{last}")))
        .collect();
    assert!(
        !received(&mut names, &resolver, &answer(0, "example.org", A, &[]))
            .iter()
            .any(|learned| learned.is_proven)
    );
    received(
        &mut names,
        &resolver,
        &answer(2, "example.org", A, &records),
    );
    let lost = [(Lost::AnswersFull, 2), (Lost::HostAnswersFull, 1)];
    assert_eq!(names.take_lost(), lost);
    for (asker, seconds) in [(1, 0), (2, 0), (3, 3_600)] {
        let channel = channel(asker, RESOLVER);
        names.dns_stream(&channel, Direction::Sent, &[0], at(seconds));
    }
    names.forget_socket(1_003, at(3_600));
    assert_eq!(names.take_lost(), [(Lost::DnsStreamDropped, 3)]);
}

#[test]
fn an_address_of_many_names_keeps_the_newest() {
    let mut names = Names::default();
    let channel = channel(1, RESOLVER);
    for id in 0..100 {
        let name = format!("n{id}.example");
        sent(&mut names, &channel, &query(id, &name, A));
        let message = answer(id, &name, A, &[address_record(&name, "203.0.113.1")]);
        received(&mut names, &channel, &message);
    }
    assert_eq!(name_of(&names, 1, "203.0.113.1").unwrap().0, "n99.example");
    assert!(matches!(
        names.take_lost()[..],
        [(Lost::SharedAddressFull, 1..)]
    ));
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(
        message in proptest::collection::vec(any::<u8>(), 0..600),
        port in prop::sample::select(vec![53, 5353, 5355]),
    ) {
        let mut names = Names::default();
        let mut channel = channel(1, RESOLVER);
        channel.server.set_port(port);
        for direction in [Direction::Sent, Direction::Received] {
            names.dns_message(&channel, direction, &message, at(0));
            names.dns_stream(&channel, direction, &message, at(0));
        }
    }

    #[test]
    fn a_changed_byte_proves_no_other_name(position in 0usize..60, value: u8) {
        let mut names = Names::default();
        let channel = channel(1, RESOLVER);
        sent(&mut names, &channel, &query(7, "example.org", A));
        let mut message = answer(7, "example.org", A, &[address_record("example.org", "203.0.113.1")]);
        if let Some(byte) = message.get_mut(position) {
            *byte = value;
        }
        for learned in received(&mut names, &channel, &message) {
            prop_assert!(!learned.is_proven || learned.name.as_str() == "example.org");
        }
    }
}
