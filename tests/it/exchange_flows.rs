//! Flows survive as lines of NDJSON.

use std::{net::IpAddr, time::Duration};

use egress_baseline::{
    exchange::{parse_line, render_record},
    model::{
        Executable, Flow, Name, OpeningKind, Process, Protocol, RawIdentity, Record, RecordedFlow,
    },
};
use proptest::{
    option,
    prelude::{BoxedStrategy, Strategy, any, proptest},
    sample::select,
};

use crate::exchange_records::{
    address, assert_documented, count, filled, name_source, outcome, protocol, text, time,
};

/// A name that a flow may have: what is an address literal is none.
fn name() -> BoxedStrategy<Name> {
    (filled(), name_source())
        .prop_filter("no address", |(text, _)| {
            let bare = text.trim_matches(['[', ']']);
            let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
            bare.parse::<IpAddr>().is_err()
        })
        .prop_map(|(text, source)| Name { text, source })
        .boxed()
}

fn flow() -> BoxedStrategy<Flow> {
    let place = (
        option::of(address()),
        option::of(any::<u16>()),
        protocol(),
        option::of(name()),
        option::of(select(OpeningKind::ALL.as_slice())),
    );
    let ending = (outcome(), option::of(any::<i32>()), option::of(text()));
    let times = (time(), option::of(time()), option::of(any::<u64>()));
    let socket = (
        option::of(any::<u32>()),
        option::of(text()),
        option::of(any::<u32>()),
    );
    let sums = (count(), option::of(count()), option::of(count()));
    (
        option::of(text()),
        option::of(any::<u16>()),
        place,
        ending,
        times,
        socket,
        sums,
    )
        .prop_map(
            |(flow_id, source_port, place, ending, times, socket, sums)| {
                let (address, port, protocol, name, opening) = place;
                Flow {
                    flow_id,
                    start: times.0,
                    end: times.1,
                    socket_uid: socket.0,
                    socket_cgroup: socket.1,
                    network_namespace: socket.2,
                    source_port,
                    address,
                    port: port.filter(|_| protocol.has_ports() || protocol == Protocol::UNKNOWN),
                    protocol,
                    name,
                    opening,
                    outcome: ending.0,
                    errno: ending.1,
                    state: ending.2,
                    attempts: sums.0,
                    bytes_out: sums.1,
                    bytes_in: sums.2,
                    duration: times.2.map(Duration::from_nanos),
                }
            },
        )
        .boxed()
}

/// A flow whose maker is known as far as a line without records can tell.
fn recorded_flow() -> BoxedStrategy<RecordedFlow> {
    let identity = (
        text(),
        option::of(filled()),
        any::<[bool; 3]>(),
        option::of(any::<u32>()),
        option::of(text()),
        option::of("unit:[a-z]{1,8}"),
        option::of(filled()),
    )
        .prop_map(
            |(host, exe, odd, uid, user, stated_context, stated_script)| RawIdentity {
                host,
                exe,
                is_deleted: odd[0],
                is_memfd: odd[1],
                is_foreign: odd[2],
                uid,
                user,
                stated_context,
                stated_script,
                ..RawIdentity::default()
            },
        );
    let ids = any::<[Option<u64>; 3]>();
    (
        flow(),
        identity,
        option::of(any::<u32>()),
        option::of(text()),
        option::of(text()),
        ids,
    )
        .prop_map(|(flow, identity, pid, cmdline, run, ids)| {
            let process = (pid.is_some() || cmdline.is_some()).then(|| Process {
                host: identity.host.clone(),
                pid,
                cmdline,
                exe: identity.exe.as_ref().map(|path| Executable {
                    path: path.clone(),
                    is_deleted: identity.is_deleted,
                    is_memfd: identity.is_memfd,
                    is_foreign: identity.is_foreign,
                    ..Executable::default()
                }),
                uid: identity.uid,
                ..Process::default()
            });
            RecordedFlow {
                flow,
                identity,
                application: None,
                run,
                process,
                watch_period_id: ids[0],
                process_id: ids[1],
                identity_id: ids[2],
            }
        })
        .boxed()
}

proptest! {
    #[test]
    fn a_flow_comes_back_from_its_line_as_it_was(flow in recorded_flow()) {
        let record = Record::Flow(Box::new(flow));
        let line = render_record(&record).unwrap();
        assert!(!line.contains('\n'));
        assert_documented(&line);
        assert_eq!(parse_line(line.as_bytes()), Ok(Some(record)), "{line}");
    }
}
