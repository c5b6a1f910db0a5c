//! Records of the ring and entries of the tables, and what the pipeline makes of them.
//!
//! A record is one that the kernel side could have written, with some of its bytes replaced, or
//! plainly bytes: a fuzzer alone seldom finds the layouts. An input is a sequence of records.
#![no_main]

use egress_baseline::{
    capture::{
        carried_bytes, connection, datagram_entry, decode, module, open_sockets, sample,
        unannounced,
    },
    exchange::{parse_line, render_record},
    model::{BootClock, Connect, FlowRecord, KernelEvent, Record, RecordedFlow, Timestamp},
    pipeline::{Pipeline, ProcessFacts, Scope},
};
use harness::Bytes;
use libfuzzer_sys::fuzz_target;

const BOOT: i64 = 1_795_000_000_000_000_000;
const ADDRESS: [u8; 4] = [192, 0, 2, 1];

/// The exchange format has no larger counts; the kernel's stay far below.
const LARGEST_COUNT: u64 = 1 << 53;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let scope = Scope {
        host: "gate".to_owned(),
        boot_id: Some("b00t".to_owned()),
        ..Scope::default()
    };
    let mut pipeline = Pipeline::new(scope, clock(0).now());
    let mut connects: Vec<Connect> = Vec::new();
    let mut seconds = 100;
    while !input.is_empty() {
        let event = match next_event(&mut input, &connects) {
            Next::Event(event) => event,
            Next::Nothing => continue,
            Next::Drained => {
                pipeline.drained();
                continue;
            }
            Next::Flush => {
                seconds += 10;
                assert_readable(&pipeline.flush(clock(seconds), false).flows);
                continue;
            }
        };
        match &event {
            KernelEvent::Connect(connect) => connects.push(connect.clone()),
            KernelEvent::OpenConnection(open) => connects.push(open.connect.clone()),
            _ => {}
        }
        let facts = ProcessFacts::default();
        pipeline.take(event, clock(seconds), facts);
    }
    for connect in connects {
        pipeline.lost_track_of(&connect, clock(seconds));
    }
    assert_readable(&pipeline.flush(clock(seconds + 10), true).flows);
});

enum Next {
    Event(KernelEvent),
    /// It was not decoded.
    Nothing,
    Drained,
    Flush,
}

fn next_event(input: &mut Bytes<'_>, connects: &[Connect]) -> Next {
    let kind = input.byte();
    let pid = u32::from(kind >> 4);
    let socket = u64::from(input.byte() & 3);
    let event = match kind & 15 {
        0 => decode(&changed(sample::process_record(pid), input)),
        1 => decode(&changed(
            sample::connect_record(pid, socket, ADDRESS, 443),
            input,
        )),
        2 => decode(&changed(
            sample::connection_end_record(pid, socket, ADDRESS, 443),
            input,
        )),
        3 => {
            let (key, count) = sample::datagram_entry(pid, ADDRESS, 53);
            datagram_entry(&changed(key, input), &changed(count, input)).map(KernelEvent::Datagrams)
        }
        4 => {
            let value = changed(sample::connection_entry(pid, socket, ADDRESS, 443), input);
            let at = input.long();
            let connect = connects.get(usize::from(input.byte()));
            connect
                .and_then(|connect| connection(connect, &value, at))
                .map(KernelEvent::ConnectionEnd)
        }
        5 => {
            let length = usize::from(input.short());
            decode(input.take(length))
        }
        6 => return Next::Drained,
        7 => return Next::Flush,
        8 => {
            let bytes = changed(sample::open_record(pid, socket, ADDRESS, 443), input);
            open_sockets(&bytes).pop()
        }
        9 => {
            let bytes = changed(sample::carried_record(pid, socket, ADDRESS, 443), input);
            carried_bytes(&bytes).pop()
        }
        10 => {
            let value = changed(sample::connection_entry(pid, socket, ADDRESS, 443), input);
            unannounced(&socket.to_ne_bytes(), &value).map(KernelEvent::Connect)
        }
        11 => {
            if let Some(name) = module(&changed(sample::module_record(), input)) {
                assert!(!name.contains('\0'), "{name:?}");
            }
            None
        }
        12 => {
            let (what, length) = (input.byte(), usize::from(input.short() & 0xfff));
            let bytes = input.take(length).to_vec();
            let is_received = what & 0x80 != 0;
            let record = sample::payload_record(pid, socket, what & 7, is_received, &bytes);
            decode(&changed(record, input))
        }
        _ => decode(&changed(sample::cgroup_record(4_242), input)),
    };
    event.map_or(Next::Nothing, Next::Event)
}

/// The record with some bytes replaced, and perhaps cut off.
fn changed(mut record: Vec<u8>, input: &mut Bytes<'_>) -> Vec<u8> {
    let changes = input.byte();
    for _ in 0..changes & 0x3f {
        let at = usize::from(input.short()) % record.len();
        record[at] = input.byte();
    }
    if changes & 0x40 != 0 {
        let length = usize::from(input.short());
        record.resize(length, 0);
    }
    if changes & 0x80 != 0 {
        // Names in paths and arguments lie at the end.
        let length = usize::from(input.byte()).min(record.len());
        let tail = input.take(length);
        let at = record.len() - tail.len();
        record[at..].copy_from_slice(tail);
    }
    record
}

fn clock(seconds: u64) -> BootClock {
    let boot_ns = seconds * 1_000_000_000;
    let now = i64::try_from(boot_ns).expect("a few minutes");
    BootClock::new(boot_ns, Timestamp::from_unix_ns(BOOT + now))
}

/// What is recorded can be dumped, and the dump can be read.
fn assert_readable(flows: &[FlowRecord]) {
    for record in flows {
        let flow = &record.flow;
        let counts = [Some(flow.attempts), flow.bytes_out, flow.bytes_in];
        if counts
            .into_iter()
            .flatten()
            .any(|count| count > LARGEST_COUNT)
        {
            continue;
        }
        let recorded = RecordedFlow {
            flow: flow.clone(),
            process: record.process.as_deref().cloned(),
            identity: record.identity.raw.clone(),
            application: Some(record.identity.application.clone()),
            run: record.identity.run.clone(),
            watch_period_id: Some(1),
            process_id: Some(1),
            identity_id: Some(1),
        };
        let line = render_record(&Record::Flow(Box::new(recorded))).expect("a line");
        match parse_line(line.as_bytes()) {
            Ok(Some(Record::Flow(read))) => assert_eq!(read.flow, record.flow, "{line}"),
            other => panic!("{line} is read as {other:?}"),
        }
    }
}
