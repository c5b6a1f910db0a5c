//! Names from DNS messages: connections in pieces, and tables that are full.

use egress_baseline::names::{Direction, Limits, Lost, Names};

use crate::support_names::{
    A, RESOLVER, address, address_record, answer, at, channel, name_of, pairs, query, received,
    sent,
};

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
fn a_connection_that_was_given_up_is_not_read_from_its_middle() {
    let mut names = Names::new(&Limits {
        dns_streams: 1,
        ..Limits::default()
    });
    let [first, second] = [1, 2].map(|asker| channel(asker, RESOLVER));
    let message = answer(
        7,
        "example.org",
        A,
        &[address_record("example.org", "203.0.113.1")],
    );
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let read = |names: &mut Names, channel, bytes: &[u8]| {
        names.dns_stream(channel, Direction::Received, bytes, at(0))
    };
    sent(&mut names, &first, &query(7, "example.org", A));
    // A message of one zone's records may hold bytes that look like another message.
    for channel in [&first, &second] {
        assert_eq!(read(&mut names, channel, &[0xff, 0xff]), []);
    }
    let inside = [&length, message.as_slice()].concat();
    assert_eq!(read(&mut names, &first, &inside), []);
    assert_eq!(names.take_lost(), [(Lost::DnsStreamDropped, 1)]);
    assert_eq!(name_of(&names, 1, "203.0.113.1"), None);
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
