//! What flows are called, by recorded streams of packets and connects.

use egress_baseline::model::{
    ConnectionEnd, KernelEvent, NameSource, Payload, PayloadKind, ProcessKey,
};

use crate::{
    support_names::{A, client_hello, query},
    support_naming::{
        ASKING, OTHER, PLACE, SIBLING, answered, connect_of, dns, give, name, names, opening,
        pipeline, resolve, take_at, unread,
    },
    support_replay::{SECOND, SHELL, clock, connect, look, remote, take},
};

const NOBODY: ProcessKey = ProcessKey {
    pid: 0,
    started_boot_ns: 0,
    exec_id: 0,
};

#[test]
fn a_connect_is_called_what_its_process_asked_for() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "deb.example.org", PLACE);
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        name(&batch),
        Some(("deb.example.org", NameSource::DnsAnswer))
    );
    assert_eq!(unread(&batch), 0);
}

#[test]
fn processes_that_ask_for_one_address_by_two_names_keep_their_own() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "left.example.org", PLACE);
    resolve(&mut pipeline, OTHER, "right.example.org", PLACE);
    for (process, socket) in [(SHELL, 1), (OTHER, 2)] {
        let connect = connect_of(process, socket, 10);
        take(&mut pipeline, KernelEvent::Connect(connect));
    }
    let batch = pipeline.flush(clock(100), true);
    let mut found = names(&batch);
    found.sort();
    assert_eq!(
        found,
        [
            (42, Some(("left.example.org", NameSource::DnsAnswer))),
            (43, Some(("right.example.org", NameSource::DnsAnswer))),
        ]
    );
}

#[test]
fn who_did_not_ask_has_what_somebody_on_the_host_was_told() {
    // Also where nobody knows who had asked: the answer was not delivered to whoever connects then.
    for asker in [SHELL, NOBODY] {
        let mut pipeline = pipeline();
        resolve(&mut pipeline, asker, "deb.example.org", PLACE);
        let connect = connect_of(OTHER, 1, 10);
        take(&mut pipeline, KernelEvent::Connect(connect));
        let batch = pipeline.flush(clock(100), true);
        let expected = Some(("deb.example.org", NameSource::HostDnsAnswer));
        assert_eq!(name(&batch), expected, "{asker:?}");
    }
}

#[test]
fn an_application_that_called_an_address_by_a_name_still_does_when_the_answer_is_old() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "deb.example.org", PLACE);
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    pipeline.flush(clock(110), false);
    // 300 seconds to live, 600 of grace.
    pipeline.flush(clock(1_490), false);
    for (process, socket) in [(SIBLING, 2), (OTHER, 3)] {
        let connect = connect_of(process, socket, 1_500);
        take_at(&mut pipeline, KernelEvent::Connect(connect), 1_500);
    }
    let batch = pipeline.flush(clock(1_500), true);
    let mut found = names(&batch);
    found.retain(|(pid, _)| *pid != SHELL.pid);
    found.sort();
    assert_eq!(
        found,
        [
            (43, None),
            (44, Some(("deb.example.org", NameSource::Inferred)))
        ]
    );
}

#[test]
fn a_forged_answer_names_nothing() {
    let forged = |id, server: &str| Payload {
        remote: remote(server, 53, 17),
        ..dns(SHELL, true, answered(id, "deb.example.org", PLACE))
    };
    for answer in [
        // Another identification, and another server than the one that was asked.
        forged(8, "192.0.2.53"),
        forged(7, "192.0.2.66"),
        // Another port of the asker, and another socket.
        Payload {
            local_port: 40_001,
            ..forged(7, "192.0.2.53")
        },
        Payload {
            socket: ASKING,
            ..forged(7, "192.0.2.53")
        },
    ] {
        let mut pipeline = pipeline();
        give(
            &mut pipeline,
            dns(SHELL, false, query(7, "deb.example.org", A)),
        );
        give(&mut pipeline, answer.clone());
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        let batch = pipeline.flush(clock(100), true);
        assert_eq!(name(&batch), None, "{answer:?}");
    }
}

#[test]
fn a_server_name_is_better_than_an_answer() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "edge.example.net", PLACE);
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    let hello = client_hello("www.example.org");
    give(&mut pipeline, opening(1, 1_000, &hello));
    // What follows the opening is not read as if it were one.
    let end = 1_000 + u32::try_from(hello.len()).unwrap_or_default();
    give(
        &mut pipeline,
        opening(1, end, &client_hello("inner.example.org")),
    );
    let batch = pipeline.flush(clock(100), true);
    let expected = Some(("www.example.org", NameSource::ServerName));
    assert_eq!(name(&batch), expected);
    assert_eq!(unread(&batch), 0);
}

#[test]
fn a_server_name_is_read_from_pieces_as_long_as_none_is_missing() {
    let hello = client_hello("www.example.org");
    let (first, rest) = hello.split_at(60);
    let (second, third) = rest.split_at(60);
    // Numbers of bytes wrap around.
    let begin = u32::MAX - 50;
    let pieces = [
        opening(1, begin, first),
        opening(1, begin.wrapping_add(60), second),
        opening(1, begin.wrapping_add(120), third),
    ];
    for missing in [None, Some(1)] {
        let mut pipeline = pipeline();
        resolve(&mut pipeline, SHELL, "edge.example.net", PLACE);
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        for (number, piece) in pieces.iter().enumerate() {
            if missing != Some(number) {
                give(&mut pipeline, piece.clone());
            }
        }
        // The beginning of something else, behind the gap.
        give(
            &mut pipeline,
            opening(
                1,
                begin.wrapping_add(9_000),
                &client_hello("inner.example.org"),
            ),
        );
        let batch = pipeline.flush(clock(100), true);
        let (expected, lost) = match missing {
            None => (("www.example.org", NameSource::ServerName), 0),
            Some(_) => (("edge.example.net", NameSource::DnsAnswer), 1),
        };
        assert_eq!(name(&batch), Some(expected));
        assert_eq!(unread(&batch), lost);
    }
}

#[test]
fn what_follows_a_late_server_name_goes_under_it() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "edge.example.net", PLACE);
    let connect = connect(1, 10);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let established = ConnectionEnd {
        is_established: true,
        ..look(&connect, 11)
    };
    take(
        &mut pipeline,
        KernelEvent::ConnectionEnd(established.clone()),
    );
    let first = pipeline.flush(clock(100), false);
    let expected = Some(("edge.example.net", NameSource::DnsAnswer));
    assert_eq!(name(&first), expected);
    assert_eq!(first.flows[0].flow.attempts, 1);
    let hello = client_hello("www.example.org");
    give(&mut pipeline, opening(1, 1_000, &hello));
    let over = ConnectionEnd {
        is_over: true,
        bytes_out: 700,
        at_boot_ns: 105 * SECOND,
        ..established
    };
    take_at(&mut pipeline, KernelEvent::ConnectionEnd(over), 105);
    let batch = pipeline.flush(clock(110), true);
    let expected = Some(("www.example.org", NameSource::ServerName));
    assert_eq!(name(&batch), expected);
    let rest = &batch.flows[0].flow;
    assert_eq!((rest.attempts, rest.bytes_out), (0, Some(700)));
}

#[test]
fn a_pending_connection_is_settled_under_the_name_that_it_says_itself() {
    let mut pipeline = pipeline();
    resolve(&mut pipeline, SHELL, "edge.example.net", PLACE);
    let connect = connect(1, 99);
    take(&mut pipeline, KernelEvent::Connect(connect.clone()));
    let pending = pipeline.flush(clock(100), false);
    assert!(pending.flows[0].ticket.is_some());
    let hello = client_hello("www.example.org");
    give(&mut pipeline, opening(1, 1_000, &hello));
    let established = ConnectionEnd {
        is_established: true,
        ..look(&connect, 101)
    };
    take_at(&mut pipeline, KernelEvent::ConnectionEnd(established), 101);
    let settled = pipeline.flush(clock(110), true);
    assert_eq!(settled.flows[0].settles, pending.flows[0].ticket);
    let expected = Some(("www.example.org", NameSource::ServerName));
    assert_eq!(name(&settled), expected);
}

#[test]
fn a_socket_number_that_is_used_again_begins_with_an_opening_of_its_own() {
    let mut pipeline = pipeline();
    for (second, server) in [(10, "one.example.org"), (20, "two.example.org")] {
        let connect = connect(1, second);
        take(&mut pipeline, KernelEvent::Connect(connect.clone()));
        give(&mut pipeline, opening(1, 5_000, &client_hello(server)));
        let over = ConnectionEnd {
            is_established: true,
            is_over: true,
            ..look(&connect, second + 1)
        };
        take(&mut pipeline, KernelEvent::ConnectionEnd(over));
        let batch = pipeline.flush(clock(100), false);
        assert_eq!(name(&batch), Some((server, NameSource::ServerName)));
    }
}

/// A message as DNS over TCP has it.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or_default();
    [length.to_be_bytes().as_slice(), message].concat()
}

fn streamed(is_received: bool, sequence: u32, bytes: &[u8]) -> Payload {
    Payload {
        kind: PayloadKind::DnsStream,
        remote: remote("192.0.2.53", 53, 6),
        sequence,
        ..dns(SHELL, is_received, bytes.to_vec())
    }
}

#[test]
fn answers_over_tcp_are_read_from_pieces_and_told_once() {
    let question = framed(&query(7, "deb.example.org", A));
    let reply = framed(&answered(7, "deb.example.org", PLACE));
    let (first, second) = reply.split_at(20);
    for (pieces, expected, lost) in [
        // As it was sent; and with a piece again, alone and with more behind it.
        (vec![(500, first), (520, second)], true, 0),
        (
            vec![(500, first), (500, first), (500, reply.as_slice())],
            true,
            0,
        ),
        // The second half alone, after something that was lost.
        (vec![(500, &first[..10]), (520, second)], false, 1),
    ] {
        let mut pipeline = pipeline();
        give(&mut pipeline, streamed(false, 9, &question));
        for (sequence, piece) in pieces {
            give(&mut pipeline, streamed(true, sequence, piece));
        }
        take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
        let batch = pipeline.flush(clock(100), true);
        let name = name(&batch);
        assert_eq!(name.is_some(), expected, "{name:?}");
        assert_eq!(unread(&batch) > 0, lost > 0);
    }
}

#[test]
fn another_connection_of_the_same_socket_number_is_no_gap() {
    let mut pipeline = pipeline();
    for (port, id) in [(40_000, 7), (40_002, 8)] {
        for (is_received, message) in [
            (false, query(id, "deb.example.org", A)),
            (true, answered(id, "deb.example.org", PLACE)),
        ] {
            give(
                &mut pipeline,
                Payload {
                    local_port: port,
                    ..streamed(is_received, u32::from(port), &framed(&message))
                },
            );
        }
    }
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    let batch = pipeline.flush(clock(100), true);
    assert!(name(&batch).is_some());
    assert_eq!(unread(&batch), 0);
}

#[test]
fn messages_that_are_cut_or_make_no_sense_are_counted() {
    let mut pipeline = pipeline();
    let whole = dns(SHELL, true, answered(7, "deb.example.org", PLACE));
    give(
        &mut pipeline,
        Payload {
            is_cut: true,
            ..whole.clone()
        },
    );
    give(
        &mut pipeline,
        Payload {
            bytes: b"what?".to_vec(),
            ..whole
        },
    );
    take(&mut pipeline, KernelEvent::Connect(connect(1, 10)));
    let batch = pipeline.flush(clock(100), false);
    assert_eq!(name(&batch), None);
    assert_eq!(unread(&batch), 2);
    assert_eq!(unread(&pipeline.flush(clock(110), true)), 0);
}
