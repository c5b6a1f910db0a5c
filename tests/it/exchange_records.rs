//! Whatever a store holds beside flows survives as lines of NDJSON.

use std::net::IpAddr;

use egress_baseline::{
    exchange::{parse_line, render_record},
    model::{
        Ancestor, BackendFailure, BlindSpot, CheckedKind, ContainerFacts, Destination, Executable,
        ImportSource, Loss, LossCause, NameAddress, NameSource, Namespaces, Outcome, PodFacts,
        Process, ProcessKey, Protocol, RawIdentity, Record, Rollup, RollupPeriod, SelfCheck, Tally,
        Timestamp, Verdict, WatchKind, WatchPeriod,
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof, proptest},
    sample::select,
};

use crate::exchange_files::{file, file_use, process_files};

// Strategies are boxed: their nested types are too large for the stack of a test's thread.

// Text as hostile as it comes: any character, control characters and quotes often.
pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z/.-]{1,12}",
        any::<String>(),
        "[\\x00-\\x1f\"\\\\\u{202e}\u{7f}a]{1,8}",
    ]
    .boxed()
}

/// Text of a field where nothing and the empty text are the same.
pub(super) fn filled() -> BoxedStrategy<String> {
    text()
        .prop_filter("not empty", |text| !text.is_empty())
        .boxed()
}

pub(super) fn time() -> BoxedStrategy<Timestamp> {
    any::<i64>().prop_map(Timestamp::from_unix_ns).boxed()
}

pub(super) fn address() -> BoxedStrategy<IpAddr> {
    any::<IpAddr>()
        .prop_map(|address| address.to_canonical())
        .boxed()
}

pub(super) fn count() -> BoxedStrategy<u64> {
    prop_oneof![0_u64..1000, 0..=1_u64 << 53].boxed()
}

pub(super) fn outcome() -> BoxedStrategy<Outcome> {
    select(Outcome::ALL.to_vec()).boxed()
}

pub(super) fn name_source() -> BoxedStrategy<NameSource> {
    select(vec![
        NameSource::ServerName,
        NameSource::DnsAnswer,
        NameSource::HostDnsAnswer,
        NameSource::Inferred,
        NameSource::Imported,
    ])
    .boxed()
}

pub(super) fn protocol() -> BoxedStrategy<Protocol> {
    option::of(any::<u8>()).prop_map(Protocol).boxed()
}

fn raw_identity() -> BoxedStrategy<RawIdentity> {
    let interpreter = (option::of(vec(text(), 0..3)), option::of(text()));
    let user = (
        option::of(any::<u32>()),
        option::of(text()),
        option::of(text()),
    );
    let stated = (option::of(text()), option::of(text()), option::of(text()));
    let around = (
        option::of(text()),
        option::of(text()),
        option::of(container()),
    );
    (
        text(),
        option::of(text()),
        any::<[bool; 3]>(),
        interpreter,
        user,
        stated,
        around,
    )
        .prop_map(
            |(host, exe, odd, interpreter, user, stated, around)| RawIdentity {
                host,
                exe,
                is_deleted: odd[0],
                is_memfd: odd[1],
                is_foreign: odd[2],
                interpreter_argv: interpreter.0,
                interpreter_directory: interpreter.1,
                uid: user.0,
                user: user.1,
                slice_user: user.2,
                login_user: around.0,
                job_daemon: around.1,
                container: around.2,
                cgroup_path: stated.0,
                stated_context: stated.1,
                stated_script: stated.2,
            },
        )
        .boxed()
}

fn container() -> BoxedStrategy<ContainerFacts> {
    let pod =
        (text(), text(), option::of(text())).prop_map(|(namespace, name, container)| PodFacts {
            namespace,
            name,
            container,
        });
    (
        option::of(text()),
        option::of(text()),
        option::of(text()),
        option::of(pod),
    )
        .prop_map(|(name, image, service, pod)| ContainerFacts {
            name,
            image,
            service,
            pod,
        })
        .boxed()
}

fn executable() -> BoxedStrategy<Executable> {
    (text(), any::<[bool; 4]>(), any::<[Option<u64>; 2]>())
        .prop_map(|(path, odd, file)| Executable {
            path,
            device: file[0],
            inode: file[1],
            is_deleted: odd[0],
            is_memfd: odd[1],
            is_truncated: odd[2],
            is_foreign: odd[3],
        })
        .boxed()
}

fn process_key() -> BoxedStrategy<ProcessKey> {
    any::<(u32, u64, u64)>()
        .prop_map(|(pid, started_boot_ns, exec_id)| ProcessKey {
            pid,
            started_boot_ns,
            exec_id,
        })
        .boxed()
}

fn namespaces() -> BoxedStrategy<Namespaces> {
    any::<[u32; 4]>()
        .prop_map(|[net, mnt, user, pid]| Namespaces {
            net,
            mnt,
            user,
            pid,
        })
        .boxed()
}

fn process() -> BoxedStrategy<Process> {
    let ancestor =
        (any::<(u32, u64)>(), text()).prop_map(|((pid, started_boot_ns), comm)| Ancestor {
            pid,
            started_boot_ns,
            comm,
        });
    let argv = (
        option::of(vec(text(), 0..3)),
        option::of(text()),
        any::<bool>(),
    );
    let texts = [(); 5].map(|()| option::of(text()));
    let numbers = any::<([Option<u32>; 6], Option<u64>)>();
    let kin = (
        vec(ancestor, 0..3),
        option::of(namespaces()),
        option::of(time()),
    );
    (
        text(),
        option::of(process_key()),
        option::of(executable()),
        argv,
        texts,
        numbers,
        kin,
    )
        .prop_map(|(host, key, exe, argv, texts, (numbers, cgroup_id), kin)| {
            let [boot_id, comm, working_directory, tty, cgroup_path] = texts;
            let [pid, ppid, uid, euid, login_uid, audit_session] = numbers;
            Process {
                host,
                key,
                boot_id,
                pid,
                ppid,
                started: kin.2,
                exe,
                comm,
                argv: argv.0,
                cmdline: argv.1,
                argv_truncated: argv.2,
                working_directory,
                ancestors: kin.0,
                uid,
                euid,
                login_uid,
                audit_session,
                tty,
                cgroup_id,
                cgroup_path,
                namespaces: kin.1,
            }
        })
        .boxed()
}

fn watch_period() -> BoxedStrategy<WatchPeriod> {
    let failures = vec((text(), text()), 0..3).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(backend, reason)| BackendFailure { backend, reason })
            .collect()
    });
    let spots = vec((text(), text()), 0..3).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(code, text)| BlindSpot { code, text })
            .collect()
    });
    let settings = (text(), any::<i64>(), any::<bool>())
        .prop_map(|(text, number, claim)| serde_json::json!({"a": [text, number], "b": claim}));
    let source = (text(), "[0-9a-f]{64}").prop_map(|(file, sha256)| ImportSource { file, sha256 });
    let kind = select(vec![WatchKind::Observe, WatchKind::Import]);
    let texts = (text(), option::of(text()), text(), option::of(text()));
    let times = (time(), time(), option::of(time()));
    let settings = prop_oneof![settings, Just(serde_json::Value::Null)];
    (
        kind,
        texts,
        failures,
        spots,
        settings,
        option::of(source),
        times,
    )
        .prop_map(
            |(kind, texts, backend_failures, blind_spots, settings, source, times)| WatchPeriod {
                kind,
                host: texts.0,
                boot_id: texts.1,
                program_version: texts.2,
                backend: texts.3,
                backend_failures,
                blind_spots,
                settings,
                source,
                started: times.0,
                covered_until: times.1,
                ended: times.2,
            },
        )
        .boxed()
}

fn loss() -> BoxedStrategy<Loss> {
    let cause = select(LossCause::ALL.to_vec());
    (cause, time(), time(), count(), option::of(count()))
        .prop_map(|(cause, since, until, count, bytes)| Loss {
            cause,
            since,
            until,
            count,
            bytes,
        })
        .boxed()
}

fn self_check() -> BoxedStrategy<SelfCheck> {
    let kind = (
        text(),
        select(Verdict::ALL.to_vec()),
        option::of(text()),
        option::of(text()),
    )
        .prop_map(|(kind, verdict, blind_spot, detail)| CheckedKind {
            kind,
            verdict,
            blind_spot,
            detail,
        });
    let facts = (time(), option::of(text()), text(), option::of(text()));
    (facts, vec(kind, 0..4))
        .prop_map(|((at, kernel, backend, obstacle), kinds)| SelfCheck {
            at,
            kernel,
            backend,
            obstacle,
            kinds,
        })
        .boxed()
}

fn rollup() -> BoxedStrategy<Rollup> {
    let period = prop_oneof![
        time().prop_map(RollupPeriod::Hour),
        text().prop_map(RollupPeriod::Run)
    ];
    let place = (
        option::of(text()),
        option::of(address()),
        option::of(any::<u16>()),
        protocol(),
    );
    let sums = (count(), count(), count(), time(), time());
    let name = (text(), option::of(name_source()));
    (period, any::<u64>(), place, name, outcome(), sums)
        .prop_map(|(period, identity_id, place, name, outcome, sums)| Rollup {
            store: name.0,
            period,
            identity_id,
            destination: Destination {
                name: place.0,
                address: place.1,
                port: place.2,
                protocol: place.3,
            },
            name_source: name.1,
            outcome,
            tally: Tally {
                attempts: sums.0,
                bytes_out: sums.1,
                bytes_in: sums.2,
            },
            first: sums.3,
            last: sums.4,
        })
        .boxed()
}

fn name_address() -> BoxedStrategy<NameAddress> {
    ((text(), text(), text()), address(), time(), time(), count())
        .prop_map(
            |((store, host, name), address, first, last, attempts)| NameAddress {
                store,
                host,
                name,
                address,
                first,
                last,
                attempts,
            },
        )
        .boxed()
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (text(), any::<u64>()).prop_map(|(id, last_flow)| Record::Store { id, last_flow }),
        (any::<u64>(), watch_period()).prop_map(|(id, period)| Record::WatchPeriod { id, period }),
        (any::<u64>(), loss()).prop_map(|(watch_period_id, loss)| Record::Loss {
            watch_period_id,
            loss
        }),
        (any::<u64>(), self_check()).prop_map(|(watch_period_id, check)| Record::SelfCheck {
            watch_period_id,
            check
        }),
        (any::<u64>(), process(), process_files()).prop_map(|(id, process, files)| {
            Record::Process {
                id,
                process: Box::new(process),
                files,
            }
        }),
        (any::<u64>(), file()).prop_map(|(id, file)| Record::File {
            id,
            file: Box::new(file)
        }),
        file_use(),
        (any::<u64>(), raw_identity()).prop_map(|(id, raw)| Record::Identity {
            id,
            raw: Box::new(raw)
        }),
        rollup().prop_map(|rollup| Record::Rollup(Box::new(rollup))),
        name_address().prop_map(Record::NameAddress),
    ]
}

/// Every field that is written is in the format's description.
pub(super) fn assert_documented(line: &str) {
    let document = include_str!("../../docs/ndjson.md");
    let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    for field in line.as_object().expect("a line is an object").keys() {
        assert!(
            document.contains(&format!("`{field}`")),
            "`{field}` is not documented"
        );
    }
}

proptest! {
    #[test]
    fn every_record_comes_back_from_its_line_as_it_was(record in record()) {
        let line = render_record(&record).unwrap();
        assert!(!line.contains('\n'));
        assert_documented(&line);
        assert_eq!(parse_line(line.as_bytes()), Ok(Some(record)), "{line}");
    }
}

#[test]
fn a_complaint_about_a_long_word_is_short() {
    let word = "x".repeat(5_000);
    let line = format!(r#"{{"kind":"watch_period","id":1,"origin":"{word}"}}"#);
    let complaint = parse_line(line.as_bytes()).unwrap_err().to_string();
    assert!(
        complaint.starts_with("`origin`: ") && complaint.len() < 300,
        "{complaint}"
    );
}
