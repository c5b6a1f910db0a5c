//! Names from DNS messages: who was told, and what proves it.

use egress_baseline::names::{Asker, Channel, Names, Via};
use proptest::prelude::*;

use crate::support_names::{
    A, AAAA, RESOLVER, address, address_record, answer, at, channel, name_of, pairs, query,
    received, sent,
};

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
fn one_query_to_several_servers_is_answered_by_any_of_them() {
    for answering in 0..3 {
        let mut names = Names::default();
        let channels = [1, 2, 3].map(|last| channel(1, &format!("192.0.2.{last}:53")));
        for channel in &channels {
            sent(&mut names, channel, &query(7, "example.org", A));
        }
        let records = [address_record("example.org", "203.0.113.1")];
        let message = answer(7, "example.org", A, &records);
        let learned = received(&mut names, &channels[answering], &message);
        assert!(learned[0].is_proven, "{answering}");
    }
}

#[test]
fn a_server_that_refuses_leaves_the_question_to_the_others() {
    const FORMAT_ERROR: u8 = 1;
    const SERVER_FAILURE: u8 = 2;
    const NO_SUCH_NAME: u8 = 3;
    const REFUSED: u8 = 5;
    for (code, is_proven) in [
        (FORMAT_ERROR, true),
        (SERVER_FAILURE, true),
        (NO_SUCH_NAME, false),
        (REFUSED, true),
    ] {
        let mut names = Names::default();
        let channels = [1, 2].map(|last| channel(1, &format!("192.0.2.{last}:53")));
        for channel in &channels {
            sent(&mut names, channel, &query(7, "example.org", A));
        }
        let mut refusal = answer(7, "example.org", A, &[]);
        refusal[3] |= code;
        assert_eq!(received(&mut names, &channels[0], &refusal), []);
        let records = [address_record("example.org", "203.0.113.1")];
        let message = answer(7, "example.org", A, &records);
        let learned = received(&mut names, &channels[1], &message);
        assert_eq!(learned[0].is_proven, is_proven, "{code}");
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

proptest! {
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
