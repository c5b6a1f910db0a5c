//! `report`: what each application talks to.

use serde_json::Value;

use crate::support_cli::{OBSERVED, Place};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the document is JSON")
}

#[test]
fn an_observed_host_is_reported_with_its_coverage_and_failed_attempts_apart() {
    let report = Place::with(OBSERVED).run(&["report"]).told();
    insta::assert_snapshot!(report, @r"
    2026-11-20 06:00 to 2026-11-22 10:00 UTC, watched 1 d 16 h of 2 d 4 h
    PARTIAL 1 gap, 11 h 20 min in all, when nothing watched
    PARTIAL 34 attempts that did not fit into the ring buffer (ring_full)
    2 blind spots: `--verbose` names them
    2 applications: 2 learning

    session:alice /tmp/\u{1b}[2Jevil\u{202e}gpj  as alice
      DESTINATION                                                                         ATTEMPTS    OUT      IN  HOURS  FIRST (UTC)       LAST (UTC)
      a-very-long-name.with-many-labels.in-it-so-that-it-does-not-fit.example.org udp/53   12 sent  700 B  1.4 kB      1  2026-11-22 09:00  2026-11-22 09:00
      \u{1b}[2Jevil\u{202e}gpj: 1 hour; too few to say what is missing

    unit:apt-daily.service /usr/lib/apt/methods/http  as _apt
      DESTINATION                 ATTEMPTS  FAILED        OUT     IN  RUNS  FIRST (UTC)       LAST (UTC)
      os.example.org tcp/80  4 established             1.6 kB  88 MB     2  2026-11-20 06:03  2026-11-21 06:03
      192.0.2.81 tcp/443                    5 refused       -      -     1  2026-11-21 06:03  2026-11-21 06:03
      http: 2 runs, nothing new for 1; too few to say what is missing; PARTIAL: some of that time was not watched
    ");
}

#[test]
fn json_tells_the_same_and_carries_text_as_it_is() {
    let place = Place::with(OBSERVED);
    let report = json(&place.run(&["report", "--format", "json"]).told());
    assert_eq!(report["version"], 1);
    let host = &report["hosts"][0];
    assert_eq!(host["host"], "web1");
    assert_eq!(host["coverage"]["is_partial"], true);
    assert_eq!(host["coverage"]["covered_seconds"], 40 * 3600 + 40 * 60);
    assert_eq!(host["coverage"]["gaps"][0]["after"], "broken");
    assert_eq!(host["coverage"]["losses"][0]["cause"], "ring_full");
    assert_eq!(host["coverage"]["losses"][0]["count"], 34);
    assert_eq!(
        host["applications"][0]["program"],
        "/tmp/\u{1b}[2Jevil\u{202e}gpj"
    );
    let apt = &host["applications"][1];
    assert_eq!(apt["context"], "unit:apt-daily.service");
    assert_eq!(apt["unit"], "run");
    assert_eq!(apt["destinations"][0]["name"], "os.example.org");
    assert_eq!(apt["destinations"][0]["units"], 2);
    assert_eq!(apt["destinations"][0]["bytes_in"], 88_004_000);
    assert_eq!(apt["destinations"][0]["addresses"][0], "192.0.2.80");
    assert_eq!(apt["destinations"][1]["outcomes"]["refused"], 5);
    assert_eq!(apt["destinations"][1]["attempts"], 0);
    assert_eq!(apt["destinations"][1]["failed_attempts"], 5);
}

#[test]
fn filters_leave_what_they_name() {
    let place = Place::with(OBSERVED);
    let applications = |arguments: &[&str]| {
        let mut all = vec!["report", "--format", "json"];
        all.extend(arguments);
        let report = json(&place.run(&all).told());
        let hosts = report["hosts"].as_array().cloned().unwrap_or_default();
        hosts
            .iter()
            .flat_map(|host| host["applications"].as_array().cloned().unwrap_or_default())
            .flat_map(|application| {
                application["destinations"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
            })
            .map(|destination| {
                let place = if destination["name"].is_null() {
                    &destination["address"]
                } else {
                    &destination["name"]
                };
                place.as_str().unwrap_or_default().to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        applications(&["--application", "*apt*"]),
        ["os.example.org", "192.0.2.81"]
    );
    assert_eq!(
        applications(&["--application", "unit:*", "--to", "*.org"]),
        ["os.example.org"]
    );
    assert_eq!(applications(&["--to", "192.0.2.81"]), ["192.0.2.81"]);
    assert_eq!(applications(&["--until", "2026-11-21"]), ["os.example.org"]);
    let except = [
        "--except",
        "..2026-11-22",
        "--except",
        "2026-11-22T09:00:00Z..",
    ];
    assert!(applications(&except).is_empty());
    assert!(applications(&["--host", "web2"]).is_empty());
}

#[test]
fn a_window_that_is_left_out_is_neither_covered_nor_a_gap() {
    let place = Place::with(OBSERVED);
    let except = [
        "report",
        "--except",
        "2026-11-20T18:00:00Z..2026-11-21T07:00:00Z",
    ];
    let report = place.run(&except).told();
    let header: Vec<&str> = report.lines().take_while(|line| !line.is_empty()).collect();
    insta::assert_snapshot!(header.join("\n"), @r"
    2026-11-20 06:00 to 2026-11-22 10:00 UTC, watched 1 d 15 h of 2 d 4 h
    left out: 2026-11-20 18:00 .. 2026-11-21 07:00
    2 blind spots: `--verbose` names them
    2 applications: 2 learning
    ");
}

#[test]
fn every_host_has_a_heading_where_there_are_several() {
    let place = Place::with(
        r#"{"ts":"2026-11-22T12:00:00Z","host":"b","exe":"/usr/bin/curl","proto":"tcp","dst_name":"example.org","dst_port":443,"state":"closed","bytes_out":10}
           {"ts":"2026-11-22T13:00:00Z","host":"a","proto":"udp","dst_ip":"192.0.2.53","dst_port":53,"state":"S0"}
           {"ts":"2026-11-22T14:00:00Z","host":"a","proto":"udp","dst_ip":"192.0.2.53","dst_port":53,"state":"SF"}"#,
    );
    insta::assert_snapshot!(place.run(&["report"]).told(), @r"
    host a
    2026-11-22 13:00 to 2026-11-22 14:00 UTC, imported from 1 file, not watched
    1 application: 1 learning

    none (no process)
      DESTINATION             ATTEMPTS  FAILED       OUT  IN  HOURS  FIRST (UTC)       LAST (UTC)
      192.0.2.53 udp/53  1 established  1 timed_out    -   -      2  2026-11-22 13:00  2026-11-22 14:00
      (no process): 1 hour; too few to say what is missing

    host b
    2026-11-22 12:00 to 2026-11-22 12:00 UTC, imported from 1 file, not watched
    1 application: 1 learning

    none /usr/bin/curl
      DESTINATION               ATTEMPTS   OUT  IN  HOURS  FIRST (UTC)       LAST (UTC)
      example.org tcp/443  1 established  10 B   -      1  2026-11-22 12:00  2026-11-22 12:00
      curl: 1 hour; too few to say what is missing
    ");
}

#[test]
fn no_text_of_other_programs_reaches_the_terminal_as_it_is() {
    let hostile = "a\u{1b}]0;x\u{7}\r\n\u{202e}b\u{200b}";
    let line = serde_json::json!({
        "ts": "2026-11-22T12:00:00Z", "host": hostile, "exe": hostile, "user": hostile,
        "context": hostile, "script": hostile, "dst_name": hostile, "cmdline": hostile, "pid": 3,
        "proto": "tcp", "dst_port": 443, "state": hostile, "flow_id": hostile,
    });
    let place = Place::with(&format!(
        "{line}\n{{\"ts\":\"2026-11-22T12:00:00Z\",\"host\":\"b\"}}"
    ));
    for arguments in [
        &["report", "--verbose"] as &[&str],
        &["status"],
        &["explain", hostile],
        &["explain", "?*"],
        &["explain", "no\u{1b}such"],
    ] {
        let run = place.run(arguments);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(!text.is_empty());
        let left = text.chars().find(|character| {
            (character.is_control() && *character != '\n')
                || matches!(character, '\u{202e}' | '\u{200b}')
        });
        assert_eq!(left, None, "{arguments:?}: {text}");
    }
    let dumped = place.run(&["dump", "--host", hostile]).told();
    assert_eq!(json(dumped.lines().next().expect("a line"))["exe"], hostile);
}

#[test]
fn colour_comes_only_where_it_is_asked_for() {
    let place = Place::with(OBSERVED);
    assert!(!place.run(&["report"]).told().contains('\u{1b}'));
    assert!(
        place
            .run(&["--color", "always", "report"])
            .told()
            .contains("\u{1b}[31m5 refused")
    );
    let mut command = place.command(&["report"]);
    let output = command
        .env("NO_COLOR", "1")
        .output()
        .expect("the program runs");
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn nothing_to_report_is_said_with_what_to_do() {
    let run = Place::with(OBSERVED).run(&["report", "--to", "nowhere"]);
    insta::assert_snapshot!(run.told(), @r"
    No flows match.
    Record some with `egress-baseline observe`, read some with `egress-baseline import`, or ask for more: a longer window, fewer filters.
    ");
}

#[test]
fn times_and_windows_that_are_none_are_refused() {
    let place = Place::with(OBSERVED);
    insta::assert_snapshot!(place.run(&["report", "--since", "yesterday"]).complaint(), @r"
    error: --since: `yesterday` is neither an RFC 3339 time, a date, nor an age such as `24h` or `7d`
    hint: for instance `7d`, `2026-11-20` or `2026-11-20T06:00:00Z`
    ");
    insta::assert_snapshot!(place.run(&["report", "--except", "7d"]).complaint(), @r"
    error: `7d` is no window
    hint: write two times with two dots between, such as `2026-11-20..2026-11-21` or `7d..6d`
    ");
    let reversed = ["report", "--since", "2026-11-22", "--until", "2026-11-21"];
    insta::assert_snapshot!(place.run(&reversed).complaint(), @r"
    error: the window ends at 2026-11-21T00:00:00Z, before it begins at 2026-11-22T00:00:00Z
    hint: swap the two times, or leave one out
    ");
}

/// So many days of one service that reaches the same place each day, and a second one on the third.
fn weeks_of_days(days: u32) -> String {
    let flow = |day: u32, name: &str| {
        format!(
            r#"{{"ts":"2026-10-{day:02}T06:00:00Z","host":"web1","exe":"/usr/sbin/nginx","context":"unit:nginx.service","proto":"tcp","dst_ip":"192.0.2.80","dst_port":443,"dst_name":"{name}","state":"established"}}"#
        )
    };
    let mut lines: Vec<String> = (1..=days).map(|day| flow(day, "a.example.org")).collect();
    lines.push(flow(3, "b.example.org"));
    lines.join("\n") + "\n"
}

#[test]
fn how_much_is_known_of_an_application_is_one_sentence_and_in_json_the_numbers_behind_it() {
    let place = Place::with(&weeks_of_days(28));
    let text = place.run(&["report"]).told();
    assert!(text.contains("1 application: 1 "), "{text}");
    assert!(
        text.contains("  nginx: 28 days, nothing new for 25"),
        "{text}"
    );
    let json = place.run(&["report", "--format", "json"]).told();
    let json: Value = serde_json::from_str(&json).expect("the document is JSON");
    let learning = &json["hosts"][0]["applications"][0]["learning"];
    assert_eq!(learning["units"], 28);
    assert_eq!(learning["quiet"], 25);
    assert_eq!(learning["unit"], "day");
    assert_eq!(learning["destinations"], 2);
    assert_eq!(learning["is_partial"], false);
    // 1 − 0.05^(1/25)
    let chance = learning["chance_at_most"].as_f64().unwrap_or_default();
    assert!((chance - 0.112_9).abs() < 0.000_1, "{chance}");
    // Of some of its destinations nothing can be concluded.
    let part = place
        .run(&["report", "--to", "a.*", "--format", "json"])
        .told();
    let part: Value = serde_json::from_str(&part).expect("the document is JSON");
    assert_eq!(part["hosts"][0]["applications"][0]["learning"], Value::Null);
}
