//! What `doctor` concludes and prints; that hooks really see is for the tests with a kernel.

use egress_baseline::{
    canary::{Kind, Made, kind_named},
    model::{BackendFailure, BlindSpot, CheckedKind, FlowRecord, Outcome, Ticket, Verdict},
    proof::{Ledger, Maker, MakerReport, Observed, Proved, Trial, prove},
    report::{
        doctor::{
            BackendReport, Condition, DoctorReport, Grade, KindReport, RecordedCanary, write_text,
        },
        write_json,
    },
};
use serde_json::Value;

use crate::{
    support_cli::Place,
    support_store::{NOON, at, flow, made_by},
};

const EXE: &str = "/usr/bin/egress-baseline";
const PID: u32 = 4711;
const NAMESPACE: u32 = 4_026_532_000;

fn kind(name: &str) -> &'static Kind {
    kind_named(name).expect("a kind")
}

/// A kind that was made in one attempt of twelve bytes.
fn trial(name: &str) -> Trial {
    let report = MakerReport::Made(Made {
        attempts: 1,
        packets: 1,
        bytes_out: 12,
        source_port: Some(40_000),
        errno: (name == "tcp4-no-route").then_some(101),
        ..Made::default()
    });
    Trial {
        kind: kind(name),
        maker: Some(Maker {
            pid: Some(PID),
            ppid: Some(1),
            exe: EXE.to_owned(),
            argv: vec![EXE.to_owned(), "--all".to_owned()],
            uid: 33,
        }),
        report,
    }
}

/// What a faultless observer records of it.
fn recorded(name: &str) -> FlowRecord {
    let expected = kind(name).expected().expect("egress");
    let mut record = made_by(flow(NOON, "192.0.2.1"), EXE, PID, None);
    record.flow.network_namespace = Some(NAMESPACE);
    record.flow.address = expected.address;
    record.flow.port = expected.port;
    record.flow.protocol = expected.protocol;
    record.flow.outcome = expected.outcome;
    record.flow.errno = (name == "tcp4-no-route").then_some(101);
    record.flow.bytes_out = Some(12);
    record.flow.bytes_in = None;
    record
}

fn proved(name: &str, blind_spots: &[&str], flows: Vec<FlowRecord>) -> Proved {
    let observed = Observed {
        backend: "cgroup".to_owned(),
        blind_spots: blind_spots
            .iter()
            .map(|code| BlindSpot {
                code: (*code).to_owned(),
                text: String::new(),
            })
            .collect(),
        network_namespace: NAMESPACE,
    };
    let mut ledger = Ledger::default();
    ledger.take(flows, &[]);
    prove(&[trial(name)], &observed, &ledger).remove(0)
}

#[test]
fn a_flow_that_was_recorded_as_it_was_made_is_seen() {
    let proved = proved("udp4-sendto", &[], vec![recorded("udp4-sendto")]);
    assert_eq!(proved.checked.verdict, Verdict::Seen);
    assert_eq!(proved.seen_as.len(), 1);
}

#[test]
fn a_flow_that_was_not_recorded_is_missed() {
    let proved = proved("udp4-sendto", &[], Vec::new());
    assert_eq!(proved.checked.verdict, Verdict::Missed);
    assert_eq!(proved.checked.detail.as_deref(), Some("not recorded"));
}

#[test]
fn a_flow_that_was_recorded_wrongly_is_missed_and_it_is_said_what_is_wrong() {
    type Change = fn(&mut FlowRecord);
    let changes: [(&str, Change); 5] = [
        ("outcome", |record| record.flow.outcome = Outcome::Failed),
        ("number of bytes sent", |record| {
            record.flow.bytes_out = Some(13);
        }),
        ("port", |record| record.flow.port = Some(1)),
        ("user of the socket", |record| record.flow.socket_uid = None),
        ("errno", |record| record.flow.errno = Some(1)),
    ];
    for (what, change) in changes {
        let mut record = recorded("udp4-sendto");
        change(&mut record);
        let proved = proved("udp4-sendto", &[], vec![record]);
        assert_eq!(proved.checked.verdict, Verdict::Missed, "{what}");
        let detail = proved.checked.detail.expect("a detail");
        assert_eq!(detail, format!("recorded with a wrong {what}"));
    }
}

#[test]
fn another_process_does_not_stand_in_for_the_maker() {
    let mut strangers = recorded("udp4-sendto");
    strangers.process = made_by(flow(NOON, "192.0.2.1"), EXE, PID + 1, None).process;
    let mut nobodys = recorded("udp4-sendto");
    nobodys.process = None;
    let missed = proved("udp4-sendto", &[], vec![strangers]);
    assert_eq!(missed.checked.detail.as_deref(), Some("not recorded"));
    let missed = proved("udp4-sendto", &[], vec![nobodys]);
    let detail = missed.checked.detail.as_deref();
    assert_eq!(detail, Some("recorded without its process"));
}

#[test]
fn less_than_everything_is_enough_only_where_the_blind_spot_was_declared() {
    let mut without_errno = recorded("tcp4-no-route");
    without_errno.flow.outcome = Outcome::Failed;
    without_errno.flow.errno = None;
    without_errno.flow.bytes_out = Some(12);
    let flows = vec![without_errno];
    let declared = proved("tcp4-no-route", &["connect-errno"], flows.clone());
    assert_eq!(declared.checked.verdict, Verdict::InPart);
    assert_eq!(
        declared.checked.blind_spot.as_deref(),
        Some("connect-errno")
    );
    let undeclared = proved("tcp4-no-route", &[], flows);
    assert_eq!(undeclared.checked.verdict, Verdict::Missed);
}

#[test]
fn more_than_a_blind_spot_leaves_is_seen() {
    let whole = proved(
        "tcp4-no-route",
        &["connect-errno"],
        vec![recorded("tcp4-no-route")],
    );
    assert_eq!(whole.checked.verdict, Verdict::Seen);
}

#[test]
fn what_is_no_flow_must_not_be_recorded() {
    let proved_of = |flows| proved("udp4-connect-only", &[], flows).checked.verdict;
    assert_eq!(proved_of(Vec::new()), Verdict::Seen);
    assert_eq!(proved_of(vec![recorded("udp4-sendto")]), Verdict::Missed);
}

#[test]
fn a_pending_connect_gives_way_to_its_outcome_and_a_retracted_one_to_nothing() {
    let pending = FlowRecord {
        ticket: Some(Ticket(1)),
        ..recorded("tcp4-refused")
    };
    let settled = FlowRecord {
        settles: Some(Ticket(1)),
        ..recorded("tcp4-refused")
    };
    let trial = trial("tcp4-refused");
    let maker = trial.maker.as_ref().expect("a maker");
    let mut ledger = Ledger::default();
    ledger.take(vec![pending.clone()], &[]);
    ledger.take(vec![settled], &[]);
    let [one] = ledger.of(maker).try_into().expect("one contact");
    assert_eq!(one.attempts, 1);
    let mut ledger = Ledger::default();
    ledger.take(vec![pending], &[]);
    ledger.take(Vec::new(), &[Ticket(1)]);
    assert_eq!(ledger.of(maker), []);
}

fn of_kind(
    name: &str,
    verdict: Verdict,
    blind_spot: Option<&str>,
    detail: Option<&str>,
) -> KindReport {
    let recorded = RecordedCanary {
        pid: Some(PID),
        exe: Some("/tmp/a\u{1b}[2Jb".to_owned()),
        proto: "udp".to_owned(),
        dst_ip: Some("10.77.0.2".parse().expect("an address")),
        dst_port: Some(21_031),
        outcome: Outcome::Sent,
        errno: None,
    };
    KindReport {
        checked: CheckedKind {
            kind: name.to_owned(),
            verdict,
            blind_spot: blind_spot.map(str::to_owned),
            detail: detail.map(str::to_owned),
        },
        is_egress: true,
        recorded: match verdict {
            Verdict::Seen | Verdict::InPart | Verdict::Missed => vec![recorded],
            Verdict::Blind | Verdict::NotMade => Vec::new(),
        },
    }
}

fn report() -> DoctorReport {
    let condition = |grade, finding: &str, advice| Condition {
        topic: "kprobes",
        grade,
        finding: finding.to_owned(),
        advice,
    };
    let long = "this kernel has none (CONFIG_KPROBE_EVENTS is off), and so much is to be said of \
                it that it takes a second line";
    let conditions = vec![
        condition(Grade::Good, "this kernel has them", None),
        condition(Grade::Bad, long, Some("boot another")),
    ];
    let mut report = DoctorReport::of_host(at(NOON), "6.1.0".to_owned(), conditions);
    report.exe = Some(EXE.to_owned());
    report.backend = Some(BackendReport {
        name: "cgroup".to_owned(),
        failures: vec![BackendFailure {
            backend: "kprobe".to_owned(),
            reason: "this kernel has no kprobes".to_owned(),
        }],
        blind_spots: [
            (
                "more-data",
                "several calls that fill one datagram count as one attempt",
            ),
            ("frames", "frames are not seen"),
        ]
        .map(|(code, text)| BlindSpot {
            code: code.to_owned(),
            text: text.to_owned(),
        })
        .to_vec(),
    });
    report.kinds = vec![
        of_kind("udp4-sendto", Verdict::Seen, None, None),
        of_kind("udp4-msg-more", Verdict::InPart, Some("more-data"), None),
        of_kind("packet-frame", Verdict::Blind, Some("frames"), None),
        of_kind(
            "sctp4-send",
            Verdict::NotMade,
            None,
            Some("`SCTP` is not loaded"),
        ),
        of_kind(
            "udp6-sendto",
            Verdict::Missed,
            None,
            Some("recorded with a wrong outcome"),
        ),
    ];
    report
}

fn text_of(report: &DoctorReport) -> String {
    let mut text = Vec::new();
    let mut out = anstream::StripStream::new(&mut text);
    write_text(report, &mut out).expect("memory takes it");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn the_text_tells_each_kind_and_ends_with_what_was_missed() {
    let text = text_of(&report());
    insta::assert_snapshot!(text, @r"
    Host  Linux 6.1.0
      ok    kprobes: this kernel has them
      bad   kprobes: this kernel has none (CONFIG_KPROBE_EVENTS is off), and so much
            is to be said of it that it takes a second line
            boot another
    Backend  cgroup
             not kprobe: this kernel has no kprobes

    Seen  1 kind
      KIND         DESTINATION          OUTCOME   PID
      udp4-sendto  10.77.0.2 udp/21031  sent     4711

    Seen in part  1 kind
      blind spot more-data: several calls that fill one datagram count as one
      attempt
      KIND           DESTINATION          OUTCOME   PID
      udp4-msg-more  10.77.0.2 udp/21031  sent     4711

    Not seen  1 kind
      blind spot frames: frames are not seen
      packet-frame

    Not made here  1 kind
      sctp4-send  `SCTP` is not loaded

    MISSED  1 kind
      udp6-sendto  recorded with a wrong outcome; 10.77.0.2 udp/21031 sent by
                   /tmp/a\u{1b}[2Jb

    Each was made by a process of its own from /usr/bin/egress-baseline
    1 of 4 kinds MISSED
    ");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn the_text_of_a_host_where_nothing_was_missed_ends_well() {
    let mut report = report();
    report.kinds.pop();
    assert!(!report.has_missed());
    let text = text_of(&report);
    assert!(
        text.ends_with("3 kinds made, all recorded as backend cgroup claims\n"),
        "{text}"
    );
}

#[test]
fn the_text_says_why_nothing_was_proved() {
    let mut report = DoctorReport::of_host(at(NOON), "6.1.0".to_owned(), Vec::new());
    report.obstacle = Some("no backend works \u{1b}[2J".to_owned());
    assert!(text_of(&report).contains("Nothing was proved  no backend works \\u{1b}[2J\n"));
}

#[test]
fn the_json_has_a_version_and_each_kind() {
    let mut json = Vec::new();
    write_json(&report(), &mut json).expect("memory takes it");
    let document: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(document["version"], 1);
    assert_eq!(document["conditions"][1]["grade"], "bad");
    assert_eq!(document["backend"]["failures"][0]["backend"], "kprobe");
    let missed = &document["kinds"][4];
    assert_eq!(missed["kind"], "udp6-sendto");
    assert_eq!(missed["verdict"], "missed");
    assert_eq!(missed["recorded"][0]["pid"], PID);
    assert_eq!(missed["recorded"][0]["proto"], "udp");
}

#[test]
fn a_maker_sends_nothing_from_the_network_of_the_machine() {
    let run = Place::new().run(&["make-canary", "tcp4-connected"]);
    assert_eq!(run.status, Some(2));
    let report: MakerReport = serde_json::from_str(&run.stdout).expect("a report");
    let MakerReport::Broken(why) = report else {
        panic!("{report:?}");
    };
    assert!(why.contains("nothing is sent from here"), "{why}");
}
