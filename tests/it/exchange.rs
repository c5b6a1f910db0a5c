//! Lines of NDJSON: what they mean, and that what makes no sense is refused by name.

use egress_baseline::{
    exchange::{LineError, MAX_LINE_BYTES, parse_line, render_flow},
    model::{Application, Context, NameSource, Outcome, RawIdentity, Record, RecordedFlow},
};
use proptest::{
    prelude::{any, proptest},
    sample::select,
};

/// The flow that a line holds.
fn flow_of(line: &str) -> RecordedFlow {
    match parse_line(line.as_bytes()) {
        Ok(Some(Record::Flow(recorded))) => *recorded,
        other => panic!("{line}: {other:?}"),
    }
}

fn error_of(line: &str) -> String {
    match parse_line(line.as_bytes()) {
        Err(error) => error.to_string(),
        Ok(record) => panic!("{line}: {record:?}"),
    }
}

fn with(field: &str) -> String {
    format!(r#"{{"ts":"2026-11-22T12:00:00Z",{field}}}"#)
}

proptest! {
    #[test]
    fn no_line_makes_the_parser_panic(line in any::<Vec<u8>>()) {
        drop(parse_line(&line));
    }

    #[test]
    fn no_value_of_any_field_makes_the_parser_panic(
        kind in select(vec!["flow", "watch_period", "loss", "process", "identity", "rollup"]),
        field in select(vec![
            "ts", "state", "dst_ip", "dst_name", "proto", "attempts", "bytes_out", "uid", "exe",
            "key", "argv", "ancestors", "settings", "hour", "cause", "origin", "blind_spots",
        ]),
        value in select(vec![
            "null", "true", "-1", "1e999", "1e300", "0.5", "\"\"", "\"-\"", "\"-0\"", "[]", "{}",
            "[[]]", "\"\\u0000\"", "18446744073709551616", "\"-99999999999\"", "\"é\"", "\"[\"",
        ]),
    ) {
        let line = format!(r#"{{"kind":"{kind}","ts":"2026-11-22T12:00:00Z","{field}":{value}}}"#);
        drop(parse_line(line.as_bytes()));
    }
}

#[test]
fn a_line_opens_with_the_fields_that_every_reader_knows_in_their_order() {
    let mut recorded = flow_of(&with(
        r#""flow_id":"f1","host":"h","exe":"/usr/bin/curl","cmdline":"curl x","user":"alice",
        "uid":1000,"pid":7,"ppid":6,"proto":"tcp","src_port":40000,"dst_ip":"192.0.2.1",
        "dst_port":443,"dst_name":"example.org","name_source":"server_name","attempts":2,
        "bytes_out":10,"bytes_in":20,"state":"refused","errno":111,"identity_id":4"#,
    ));
    recorded.application = Some(Application {
        context: Context::new("unit:x.service"),
        program: "/usr/bin/curl".to_owned(),
        script: Some("/opt/x.py".to_owned()),
    });
    insta::assert_snapshot!(render_flow(&recorded).unwrap(), @r#"{"kind":"flow","flow_id":"f1","ts":"2026-11-22T12:00:00Z","end":null,"host":"h","exe":"/usr/bin/curl","cmdline":"curl x","script":"/opt/x.py","context":"unit:x.service","user":"alice","uid":1000,"pid":7,"ppid":6,"proto":"tcp","src_port":40000,"dst_ip":"192.0.2.1","dst_port":443,"dst_name":"example.org","name_source":"server_name","attempts":2,"bytes_out":10,"bytes_in":20,"state":"refused","errno":111}"#);
}

#[test]
fn a_line_needs_nothing_but_its_time_and_counts_as_one_attempt_that_was_made() {
    let recorded = flow_of(r#"{"ts":"2026-11-22T12:00:00+01:00","label":"ignored"}"#);
    assert_eq!(recorded.flow.start.to_string(), "2026-11-22T11:00:00Z");
    assert_eq!(recorded.flow.attempts, 1);
    assert_eq!(recorded.flow.outcome, Outcome::Unknown);
    assert_eq!(recorded.flow.state, None);
    assert_eq!(recorded.identity, RawIdentity::default());
    assert_eq!(recorded.process, None);
    assert_eq!(parse_line(b"  \r\n"), Ok(None));
}

#[test]
fn states_of_other_programs_stand_for_outcomes_and_keep_their_text() {
    for (state, outcome, errno) in [
        ("REJ", Outcome::Refused, None),
        ("S0", Outcome::TimedOut, None),
        ("SH", Outcome::TimedOut, None),
        ("RSTOS0", Outcome::TimedOut, None),
        ("SF", Outcome::Established, None),
        ("S1", Outcome::Established, None),
        ("RSTR", Outcome::Established, None),
        ("OTH", Outcome::Unknown, None),
        ("SHR", Outcome::Unknown, None),
        ("closed", Outcome::Established, None),
        ("-111", Outcome::Refused, Some(111)),
        ("-101", Outcome::Unreachable, Some(101)),
        ("-110", Outcome::TimedOut, Some(110)),
        ("-1", Outcome::Denied, Some(1)),
        ("-22", Outcome::Failed, Some(22)),
        ("-115", Outcome::Unknown, None),
        ("0", Outcome::Unknown, None),
        ("-", Outcome::Unknown, None),
        ("whatever", Outcome::Unknown, None),
    ] {
        let flow = flow_of(&with(&format!(r#""state":"{state}""#))).flow;
        assert_eq!((flow.outcome, flow.errno), (outcome, errno), "{state}");
        assert_eq!(flow.state.as_deref(), Some(state));
    }
    let flow = flow_of(&with(r#""state":-111"#)).flow;
    assert_eq!(
        (flow.outcome, flow.state.as_deref()),
        (Outcome::Refused, Some("-111"))
    );
}

#[test]
fn our_own_words_are_taken_as_they_are() {
    for outcome in Outcome::ALL {
        let flow = flow_of(&with(&format!(r#""state":"{outcome}""#))).flow;
        assert_eq!((flow.outcome, flow.state), (outcome, None));
    }
}

#[test]
fn destinations_are_put_into_one_form() {
    let flow = flow_of(&with(
        r#""dst_ip":"::ffff:192.0.2.1","dst_name":"WWW.Example.ORG.""#,
    ))
    .flow;
    assert_eq!(flow.address, "192.0.2.1".parse().ok());
    let name = flow.name.unwrap();
    assert_eq!(
        (name.text.as_str(), name.source),
        ("www.example.org", NameSource::Imported)
    );

    for literal in ["192.0.2.9", "[2001:db8::1]", "2001:db8::1", "fe80::1%eth0"] {
        let flow = flow_of(&with(&format!(r#""dst_name":"{literal}""#))).flow;
        assert!(flow.address.is_some() && flow.name.is_none(), "{literal}");
    }
    let flow = flow_of(&with(
        r#""dst_ip":"192.0.2.1","dst_name":"192.0.2.1","proto":"icmp","dst_port":8"#,
    ));
    assert_eq!(flow.flow.name, None);
    assert_eq!(flow.flow.port, None, "ICMP has no ports");
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    assert_eq!(
        flow_of(&with(r#""proto":"tcp","dst_port":443.0"#))
            .flow
            .port,
        Some(443)
    );
}

/// A field that makes no sense, and what is said of it.
const NONSENSE: [(&str, &str); 16] = [
    (
        r#""dst_port":70000"#,
        "`dst_port`: `70000` is no port (0 to 65535)",
    ),
    (
        r#""dst_port":"443""#,
        "`dst_port`: `443` is no port (0 to 65535)",
    ),
    (
        r#""src_port":-1"#,
        "`src_port`: `-1` is no port (0 to 65535)",
    ),
    (
        r#""bytes_in":-5"#,
        "`bytes_in`: `-5` is no count (0 to 9007199254740992)",
    ),
    (
        r#""attempts":1.5"#,
        "`attempts`: `1.5` is no count (0 to 9007199254740992)",
    ),
    (
        r#""dst_ip":"192.0.2.300""#,
        "`dst_ip`: `192.0.2.300` is no IP address",
    ),
    (
        r#""dst_ip":3221225985"#,
        "`dst_ip`: `3221225985` is no IP address",
    ),
    (
        r#""proto":"tpc""#,
        "`proto`: `tpc` is no protocol (`tcp`, `udp`, `icmp`, a number up to 255 or `unknown`)",
    ),
    (
        r#""proto":300"#,
        "`proto`: `300` is no protocol (`tcp`, `udp`, `icmp`, a number up to 255 or `unknown`)",
    ),
    (
        r#""uid":"root""#,
        "`uid`: `root` is no number from 0 to 4294967295",
    ),
    (r#""host":["a"]"#, "`host`: a list is no text"),
    (r#""end":"soon""#, "`end`: `soon` is no RFC 3339 time"),
    (r#""state":{}"#, "`state`: an object is no text or errno"),
    (r#""kind":"verdict""#, "unknown kind of record `verdict`"),
    (
        r#""kind":"loss","watch_period_id":1,"cause":"rust""#,
        "`cause`: `rust` is no cause of a loss",
    ),
    (
        r#""kind":"process","id":1,"host":"h","key":{"pid":-1}"#,
        "`key`: invalid value: integer `-1`, expected u32",
    ),
];

#[test]
fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
    for (field, complaint) in NONSENSE {
        assert_eq!(error_of(&with(field)), complaint);
    }
    assert_eq!(error_of(r#"{"dst_port":443}"#), "`ts` is missing");
    assert_eq!(
        error_of(r#"{"ts":1795348800}"#),
        "`ts`: `1795348800` is no RFC 3339 time"
    );
    assert_eq!(
        error_of(r#"{"ts":"2026-11-22T12:00:00"}"#),
        "`ts`: `2026-11-22T12:00:00` is no RFC 3339 time"
    );
    assert_eq!(error_of("[]"), "not a JSON object");
    assert!(error_of("{").starts_with("not valid JSON: "));
}

#[test]
fn a_complaint_shows_only_the_start_of_what_is_long() {
    let complaint = error_of(&with(&format!(r#""dst_ip":"{}""#, "9".repeat(100_000))));
    assert!(complaint.len() < 200, "{complaint}");
}

#[test]
fn a_line_that_is_no_text_or_too_long_is_refused() {
    assert_eq!(parse_line(b"{\"ts\":\"\xff\"}"), Err(LineError::NotText(8)));
    assert_eq!(
        parse_line(&vec![b' '; MAX_LINE_BYTES + 1]),
        Err(LineError::TooLong)
    );
}
