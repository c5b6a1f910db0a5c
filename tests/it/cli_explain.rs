//! `explain`: the observations behind a flow or an application.

use serde_json::Value;

use crate::support_cli::{OBSERVED, Place};

#[test]
fn a_flow_is_explained_down_to_the_blind_spots_of_what_recorded_it() {
    let place = Place::with(OBSERVED);
    insta::assert_snapshot!(place.run(&["explain", "0123456789abcdef-3"]).told(), @r"
    Flow         0123456789abcdef-3
    Application  unit:apt-daily.service /usr/lib/apt/methods/http
    Run          cgroup:78@b1
    Host         web1
    Destination  192.0.2.81 tcp/443
    When         2026-11-21 06:03:13
    Outcome      refused: Connection refused (os error 111)
    Attempts     5
    Bytes        0 B out, 0 B in
    Called so by
      context  unit by its cgroup: cgroup /system.slice/apt-daily.service
      program  path of the executable
    Process
      pid          1234
      started      2026-11-20 06:03:00
      executable   /usr/lib/apt/methods/http
                   device 8:1, inode 4711
      command      http
      arguments    /usr/lib/apt/methods/http
      directory    /
      parents      apt-get (1200) ← systemd (1)
      users        uid 42, euid 42
      cgroup       /system.slice/apt-daily.service
      namespaces   net 4026531840, mnt 4026531841, pid 4026531836, user 4026531837
      interactive  no: no terminal
    Identity at the attempt
      executable  /usr/lib/apt/methods/http
      cgroup      /system.slice/apt-daily.service
      user        _apt (42)
    Recorded by cgroup from 2026-11-21 05:20 to 2026-11-22 10:00, ended in good order (watch period 3)
      PARTIAL 34 attempts that did not fit into the ring buffer (ring_full)
      1 blind spot
        raw and packet sockets are not seen (raw-sockets)
    All times are UTC.
    ");
}

#[test]
fn an_application_is_explained_by_any_part_of_its_name() {
    let place = Place::with(OBSERVED);
    let explained = place.run(&["explain", "apt-daily"]).told();
    insta::assert_snapshot!(explained, @r"
    unit:apt-daily.service /usr/lib/apt/methods/http  as _apt
      DESTINATION                 ATTEMPTS  FAILED        OUT     IN  RUNS  FIRST (UTC)       LAST (UTC)
      os.example.org tcp/80  4 established             1.6 kB  88 MB     2  2026-11-20 06:03  2026-11-21 06:03
      192.0.2.81 tcp/443                    5 refused       -      -     1  2026-11-21 06:03  2026-11-21 06:03
    Names from
      a DNS answer to this process, which asked for it: os.example.org tcp/80
    Called so by
      context  unit by its cgroup: cgroup /system.slice/apt-daily.service
      program  path of the executable
    Told from
      executable  /usr/lib/apt/methods/http
      cgroup      /system.slice/apt-daily.service
      user        _apt (42)
    Process image
      pid         1234
      started     2026-11-20 06:03:00
      executable  /usr/lib/apt/methods/http
                  device 8:1, inode 4711
      command     http
      arguments   /usr/lib/apt/methods/http
      directory   /
      parents     apt-get (1200) ← systemd (1)
      users       uid 42, euid 42
      cgroup      /system.slice/apt-daily.service
      namespaces  net 4026531840, mnt 4026531841, pid 4026531836, user 4026531837
    Lost on this host between the first and the last attempt
      ring_full  34 attempts that did not fit into the ring buffer
    Latest flows
      START (UTC)          DESTINATION                 ATTEMPTS  FAILED     FLOW ID
      2026-11-21 06:03:13  192.0.2.81 tcp/443                    5 refused  0123456789abcdef-3
      2026-11-21 06:03:12  os.example.org tcp/80  1 established             0123456789abcdef-2
      2026-11-20 06:03:12  os.example.org tcp/80  3 established             0123456789abcdef-1
    ");
    for name in [
        "unit:apt-daily.service",
        "/usr/lib/apt/methods/http",
        "unit:apt-daily.service /usr/lib/apt/methods/http",
        "unit:apt-daily.service*",
    ] {
        assert_eq!(place.run(&["explain", name]).told(), explained, "{name}");
    }
}

#[test]
fn an_application_of_several_hosts_is_explained_host_by_host() {
    let place = Place::with(
        r#"{"ts":"2026-11-22T12:00:00Z","host":"a","exe":"/usr/bin/curl","proto":"tcp","dst_name":"example.org","dst_port":443}
           {"ts":"2026-11-22T12:00:00Z","host":"b","exe":"/usr/bin/curl","proto":"tcp","dst_name":"example.net","dst_port":443}"#,
    );
    let explained = place.run(&["explain", "curl"]).told();
    let (one, other) = explained.split_once("host b\n").expect("a heading for b");
    assert!(
        one.starts_with("host a\n") && one.contains("example.org"),
        "{one}"
    );
    assert!(
        other.contains("example.net") && !other.contains("example.org"),
        "{other}"
    );
}

#[test]
fn an_imported_flow_tells_its_file_and_the_outcome_in_its_own_words() {
    let place = Place::with(
        r#"{"flow_id":"z1","ts":"2026-11-22T12:00:00Z","host":"a","proto":"tcp","dst_name":"example.org","dst_port":443,"state":"REJ"}"#,
    );
    insta::assert_snapshot!(place.run(&["explain", "z1"]).told(), @r"
    Flow         z1
    Application  none (no process)
    Host         a
    Destination  example.org tcp/443
    Name from    the file that was imported
    When         2026-11-22 12:00:00
    Outcome      refused (imported as `REJ`)
    Attempts     1
    Bytes        not known
    Called so by
      context  no unit, session, job or container: nothing tells more
      program  no process is known
    Process  not known
    Identity at the attempt
      executable  (not known)
    Imported from flows.ndjson
    All times are UTC.
    ");
}

#[test]
fn json_explains_the_same() {
    let place = Place::with(OBSERVED);
    let json = |what: &str| -> Value {
        let text = place.run(&["explain", what, "--format", "json"]).told();
        serde_json::from_str(&text).expect("the document is JSON")
    };
    let flow = json("0123456789abcdef-1");
    assert_eq!(flow["version"], 1);
    assert_eq!(flow["flow"]["duration_ns"], 2_500_000_000_u64);
    assert_eq!(flow["process"]["ancestors"][0]["comm"], "apt-get");
    assert_eq!(flow["process"]["exe"]["inode"], 4711);
    assert_eq!(flow["watch_period"]["backend"], "kprobe");
    assert_eq!(flow["watch_period"]["ending"], "broken");
    let application = &json("*apt*")["applications"][0];
    assert_eq!(application["context"], "unit:apt-daily.service");
    assert_eq!(
        application["latest_flows"][0]["flow_id"],
        "0123456789abcdef-3"
    );
    assert_eq!(application["processes"][0]["pid"], 1234);
}

#[test]
fn what_nobody_knows_is_an_error_with_a_hint() {
    let place = Place::with(OBSERVED);
    insta::assert_snapshot!(place.run(&["explain", "nobody"]).complaint(), @r"
    error: no flow and no application is `nobody`
    hint: `egress-baseline report` lists applications; flow ids are in `egress-baseline explain APPLICATION` and in `egress-baseline dump`
    ");
    place.run(&["explain", ""]).complaint();
}
