//! `status` and `prune`: the health of the observer and of its database.

use std::path::Path;

use egress_baseline::{
    capture,
    config::{Config, LimitsConfig},
    daemon::WaitingLimits,
    identity::facts::ExamineLimits,
    model::{BackendFailure, BlindSpot, Loss, LossCause, Timestamp, WatchKind, WatchPeriod},
    report::{
        Layout,
        coverage::Watched,
        status::{DatabaseStatus, Learned, status_report},
        status_text::write_text,
    },
};
use serde_json::Value;

use crate::support_cli::{OBSERVED, Place};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn watched(id: i64, started: &str, covered_until: &str, ended: Option<&str>) -> Watched {
    Watched {
        id,
        period: WatchPeriod {
            kind: WatchKind::Observe,
            host: "web1".to_owned(),
            boot_id: None,
            program_version: "0.1.0".to_owned(),
            backend: Some("cgroup".to_owned()),
            backend_failures: vec![BackendFailure {
                backend: "kprobe".to_owned(),
                reason: "attach `tcp_v4_connect`: no kprobes in this kernel".to_owned(),
            }],
            blind_spots: vec![BlindSpot {
                code: "raw-sockets".to_owned(),
                text: "raw and packet sockets are not seen".to_owned(),
            }],
            settings: serde_json::json!({"kernel_bytes": 47_100_000}),
            source: None,
            started: at(started),
            covered_until: at(covered_until),
            ended: ended.map(at),
        },
        losses: Vec::new(),
        flows: 10,
        self_check: None,
        is_running: false,
    }
}

fn status_text(pid: Option<u32>, watched: &[Watched]) -> String {
    let database = DatabaseStatus {
        path: "/var/lib/egress-baseline/flows.db".to_owned(),
        bytes: 12_300_000,
        bytes_per_day: Some(1_100_000),
        flows: 12_345,
        flows_last_day: 800,
        ..DatabaseStatus::default()
    };
    let learned = Learned {
        hosts: 1,
        applications: 14,
        destinations: 132,
    };
    let now = at("2026-11-22T12:00:05Z");
    let report = status_report(now, pid, watched, database, learned);
    let mut text = Vec::new();
    let mut out = anstream::StripStream::new(&mut text);
    write_text(&report, Layout::default(), &mut out).expect("memory takes it");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn a_running_observer_is_told_with_gaps_losses_and_what_it_does_not_see() {
    let mut crashed = watched(1, "2026-11-20T06:00:00Z", "2026-11-20T18:00:00Z", None);
    crashed.losses.push(Loss {
        cause: LossCause::RingFull,
        since: at("2026-11-20T07:00:00Z"),
        until: at("2026-11-20T07:00:10Z"),
        count: 1_234,
        bytes: Some(5_000),
    });
    let mut running = watched(2, "2026-11-21T05:20:00Z", "2026-11-22T12:00:00Z", None);
    running.is_running = true;
    insta::assert_snapshot!(status_text(Some(4711), &[crashed, running]), @r"
    Observer  running, pid 4711, since 2026-11-21 05:20 (1 d 6 h)
    Backend   cgroup
              not kprobe: attach `tcp_v4_connect`: no kprobes in this kernel
    Host      web1
    Tables    47 MB of the kernel's memory
    Database  /var/lib/egress-baseline/flows.db, 12 MB, grows 1.1 MB a day
    Rows      12,345 flows (800 in the last day), 0 process images, 0 rollups
    Learned   14 applications with 132 destinations on 1 host
    Coverage  1 d 18 h watched of the last 7 d
      gap  2026-11-20 18:00 to 2026-11-21 05:20  (11 h 20 min, the observer broke off)
      PARTIAL  2026-11-20 06:00 to 2026-11-20 18:00
        1,234 attempts that did not fit into the ring buffer (ring_full, 5.0 kB)
    Not seen by this backend on this kernel
      raw and packet sockets are not seen (raw-sockets)
    All times are UTC.
    ");
}

#[test]
fn what_a_running_observer_has_not_written_yet_is_no_gap() {
    let mut running = watched(1, "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z", None);
    running.is_running = true;
    let text = status_text(Some(4711), &[running]);
    assert!(!text.contains("gap"), "{text}");
}

#[test]
fn an_observer_that_cannot_write_is_told_as_such() {
    let mut running = watched(1, "2026-11-22T11:00:00Z", "2026-11-22T11:59:45Z", None);
    running.is_running = true;
    running.period.settings = serde_json::json!({"flush_every_ns": 10_000_000_000_u64});
    let text = status_text(Some(4711), &[running.clone()]);
    assert!(!text.contains("nothing was written"), "{text}");
    running.period.covered_until = at("2026-11-22T11:50:05Z");
    let text = status_text(Some(4711), &[running]);
    assert!(text.contains("nothing was written for 10 min"), "{text}");
}

#[test]
fn an_observer_that_was_stopped_leaves_a_gap_until_now() {
    let ended = Some("2026-11-22T11:00:00Z");
    let text = status_text(
        None,
        &[watched(
            1,
            "2026-11-15T00:00:00Z",
            "2026-11-22T11:00:00Z",
            ended,
        )],
    );
    assert!(
        text.starts_with("Observer  not running, stopped at 2026-11-22 11:00\n"),
        "{text}"
    );
    assert!(
        text.contains("gap  2026-11-22 11:00 to now  (1 h, the observer was stopped)"),
        "{text}"
    );
}

#[test]
fn a_dead_observer_is_told_from_one_that_stopped_in_good_order() {
    let place = Place::with(OBSERVED);
    let text = place.run(&["status", "--format", "json"]).told();
    let status: Value = serde_json::from_str(&text).expect("the document is JSON");
    assert_eq!(status["version"], 1);
    assert_eq!(status["observer_pid"], Value::Null);
    assert_eq!(status["latest"]["ending"], "orderly");
    assert_eq!(status["latest"]["backend"], "cgroup");
    assert_eq!(status["latest"]["backend_failures"][0]["backend"], "kprobe");
    assert_eq!(status["latest"]["blind_spots"][0]["code"], "raw-sockets");
    assert_eq!(status["database"]["flows"], 4);
    assert_eq!(status["learned"]["applications"], 2);
    assert_eq!(status["learned"]["destinations"], 3);
}

#[test]
fn without_a_database_every_reader_says_how_to_get_one() {
    for arguments in [
        &["status"] as &[&str],
        &["report"],
        &["explain", "x"],
        &["dump"],
        &["prune"],
    ] {
        let place = Place::new();
        insta::allow_duplicates! {
            insta::assert_snapshot!(place.run(arguments).complaint(), @r"
            error: no database at `flows.db`
            hint: record one with `egress-baseline observe`, or name another with `--db`
            ");
        }
        assert!(!place.path().join("flows.db").exists());
    }
}

#[test]
fn prune_drops_flows_tells_how_many_and_leaves_the_report() {
    let place = Place::with(
        "{\"ts\":\"2020-01-01T00:00:00Z\",\"host\":\"a\",\"pid\":1,\"proto\":\"tcp\",\"dst_port\":443}\n",
    );
    let report = place.run(&["report"]).told();
    let kept = place.run(&["prune", "--detail-days", "0"]).told();
    assert!(kept.starts_with("dropped nothing; "), "{kept}");
    let told = place.run(&["prune", "--detail-days", "30"]).told();
    assert!(
        told.starts_with("dropped 1 flow, 1 process image and 0 rollups; "),
        "{told}"
    );
    assert_eq!(place.run(&["dump"]).told(), "");
    assert_eq!(place.run(&["report"]).told(), report);
    let told = place.run(&["prune", "--rollup-days", "30"]).told();
    assert!(told.contains(" and 1 rollup;"), "{told}");
    assert!(
        place
            .run(&["report"])
            .told()
            .starts_with("No flows match.\n")
    );
}

#[test]
fn prune_takes_its_limits_from_the_configuration() {
    let place = Place::with("{\"ts\":\"2020-01-01T00:00:00Z\",\"host\":\"a\"}\n");
    place.file(
        "keep.toml",
        b"[retention]\ndetail_days = 0\nmax_megabytes = 0\n",
    );
    let told = place.run(&["--config", "keep.toml", "prune"]).told();
    assert!(told.starts_with("dropped nothing; "), "{told}");
    place.file("drop.toml", b"[retention]\ndetail_days = 7\n");
    let told = place.run(&["--config", "drop.toml", "prune"]).told();
    assert!(told.starts_with("dropped 1 flow, "), "{told}");
}

#[test]
fn the_documented_configuration_is_accepted() {
    let document = include_str!("../../docs/configuration.md");
    let (_, rest) = document.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let place = Place::with(OBSERVED);
    place.file("c.toml", example.as_bytes());
    place.run(&["--config", "c.toml", "prune"]).told();
}

#[test]
fn the_documented_limits_are_those_that_hold_if_nothing_is_said() {
    let document = include_str!("../../docs/configuration.md");
    let (_, rest) = document.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let said = Config::parse(example, Path::new("c.toml"))
        .expect("the example")
        .limits;
    let (kernel, waiting) = (capture::Limits::default(), WaitingLimits::default());
    let examining = ExamineLimits::default();
    let megabytes = |bytes: u64| u32::try_from(bytes / 1_000_000).ok();
    let held = LimitsConfig {
        ring_bytes: Some(kernel.ring_bytes),
        connections: Some(kernel.connections),
        connecting: Some(kernel.connecting),
        datagram_contacts: Some(kernel.datagram_contacts),
        conversations: Some(kernel.conversations),
        known_processes: Some(kernel.known_processes),
        known_cgroups: Some(kernel.known_cgroups),
        own_addresses: Some(kernel.own_addresses),
        identifying: Some(kernel.identifying),
        contacts: Some(waiting.contacts),
        waiting_files: u32::try_from(examining.waiting).ok(),
        largest_hashed_megabytes: megabytes(examining.largest_file),
        hashed_megabytes_per_second: megabytes(examining.bytes_per_second),
        waiting_flows: Some(waiting.flows),
    };
    assert_eq!(said, held);
}

#[test]
fn a_mistake_in_the_configuration_is_told_by_file_line_and_key() {
    let place = Place::with(OBSERVED);
    for (content, complaint) in [
        (
            "[retention]\ndetail_day = 3\n",
            "error: c.toml:2: `detail_day`: unknown field `detail_day`, expected one of \
             `detail_days`, `max_megabytes`, `rollup_days`\n",
        ),
        (
            "[retention]\n\nmax_megabytes = -1\n",
            "error: c.toml:3: `max_megabytes`: invalid value: integer `-1`, expected u32\n",
        ),
        (
            "[observe]\nflush_every = \"0s\"\n",
            "error: c.toml:2: `flush_every`: `0s` is not between `1s` and `1h`\n",
        ),
        (
            "[limits]\nring_bytes = 100000\n",
            "error: c.toml:2: `ring_bytes`: 100000 is no power of two between 65536 and \
             1073741824\n",
        ),
        (
            "[limits]\nown_addresses = 0\n",
            "error: c.toml:2: `own_addresses`: 0 is not between 1 and 16777216\n",
        ),
        (
            "[limits]\nidentifying = 5000\n",
            "error: c.toml:2: `identifying`: 5000 is not between 1 and 4096\n",
        ),
        (
            "[observe\n",
            "error: c.toml:1: unclosed table, expected `]`\n",
        ),
    ] {
        place.file("c.toml", content.as_bytes());
        let told = place.run(&["--config", "c.toml", "prune"]).complaint();
        let (first, hint) = told.split_at(told.find("hint: ").expect("a hint"));
        assert_eq!(first, complaint);
        assert!(hint.contains("docs/configuration.md"), "{hint}");
    }
    insta::assert_snapshot!(place.run(&["--config", "nowhere.toml", "prune"]).complaint(), @r"
    error: read configuration `nowhere.toml`: No such file or directory (os error 2)
    hint: name a file that can be read with `--config`, or leave the option out
    ");
}

#[test]
fn the_time_from_the_start_of_the_host_to_the_observers_is_told_once_a_boot() {
    let booted = |mut one: Watched, boot: &str, since_boot_ns: u64| {
        one.period.boot_id = Some(boot.to_owned());
        one.period.settings = serde_json::json!({ "since_boot_ns": since_boot_ns });
        one
    };
    let first = watched(
        1,
        "2026-11-20T06:00:10Z",
        "2026-11-20T18:00:00Z",
        Some("2026-11-20T18:00:00Z"),
    );
    let again = watched(
        2,
        "2026-11-20T18:00:00.25Z",
        "2026-11-20T19:00:00Z",
        Some("2026-11-20T19:00:00Z"),
    );
    let other = watched(3, "2026-11-21T05:20:00Z", "2026-11-22T12:00:00Z", None);
    let mut periods = [
        booted(first, "one", 4_200_000_000),
        booted(again, "one", 43_204_200_000_000),
        booted(other, "other", 90_000_000_000),
    ];
    periods[2].is_running = true;
    let text = status_text(Some(4711), &periods);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("  boot") || line.starts_with("  gap"))
        .collect();
    assert_eq!(
        lines,
        [
            "  gap  2026-11-20 18:00 to 2026-11-20 18:00  (250 ms, the observer was stopped)",
            "  gap  2026-11-20 19:00 to 2026-11-21 05:20  (10 h 20 min, the observer was stopped)",
            "  boot 2026-11-20 06:00  (watched from 4.2 s after it)",
            "  boot 2026-11-21 05:18  (watched from 1 min 30 s after it)",
        ]
    );
}
