//! Names from DNS messages: what an answer teaches.

use egress_baseline::{
    model::NameSource,
    names::{Asker, Direction, Limits, Lost, Names, Via},
};
use proptest::prelude::*;

use crate::support_names::{
    A, CNAME, HTTPS, RESOLVER, address, address_record, announcement, answer, at, channel, name_of,
    pairs, query, received, record, sent, wire_name,
};

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
}
