//! `import` and `dump`: flows in and out.

use std::io::{BufRead, BufReader, Read, Write};

use flate2::{Compression, write::GzEncoder};

use crate::support_cli::{OBSERVED, Place};

const TWO: &str = "{\"ts\":\"2026-11-22T12:00:00Z\",\"host\":\"a\",\"proto\":\"tcp\",\
    \"dst_ip\":\"192.0.2.1\",\"dst_port\":443}\n\
    {\"ts\":\"2026-11-22T12:00:00Z\",\"host\":\"a\",\"proto\":\"tcp\",\
    \"dst_ip\":\"192.0.2.1\",\"dst_port\":443}\n";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("memory takes it")
}

#[test]
fn plain_gzip_and_zstd_are_told_by_content_and_are_the_same_file() {
    let packed = [
        TWO.as_bytes().to_vec(),
        gzip(TWO.as_bytes()),
        zstd(TWO.as_bytes()),
    ];
    for first in &packed {
        let place = Place::new();
        place.file("misnamed.txt", first);
        let told = place.run(&["import", "misnamed.txt"]).told();
        assert_eq!(told, "imported 2 flows (0 known) from misnamed.txt\n");
        for again in &packed {
            place.file("again", again);
            let told = place.run(&["import", "again"]).told();
            assert_eq!(
                told,
                "imported 0 flows from again: its content was imported before\n"
            );
            let told = place.run_with_input(&["import", "-"], again).told();
            assert!(
                told.starts_with("imported 0 flows from standard input"),
                "{told}"
            );
        }
        assert_eq!(place.run(&["dump"]).told().lines().count(), 2);
    }
}

#[test]
fn a_file_of_several_packed_parts_is_read_to_its_end() {
    for pack in [gzip, zstd] {
        let (one, other) = TWO.split_at(TWO.len() / 2);
        let place = Place::new();
        place.file(
            "parts",
            &[pack(one.as_bytes()), pack(other.as_bytes())].concat(),
        );
        let told = place.run(&["import", "parts"]).told();
        assert_eq!(told, "imported 2 flows (0 known) from parts\n");
    }
}

#[test]
fn standard_input_is_read_as_a_file_is() {
    let place = Place::new();
    let told = place
        .run_with_input(&["import", "-"], &gzip(TWO.as_bytes()))
        .told();
    assert_eq!(told, "imported 2 flows (0 known) from standard input\n");
}

#[test]
fn a_flow_whose_id_is_known_adds_nothing() {
    let place = Place::with("{\"ts\":\"2026-11-22T12:00:00Z\",\"flow_id\":\"f1\"}\n");
    place.file(
        "more",
        b"{\"ts\":\"2026-11-22T12:00:00Z\",\"flow_id\":\"f1\"}\n\
          {\"ts\":\"2026-11-22T13:00:00Z\",\"flow_id\":\"f2\"}\n",
    );
    let told = place.run(&["import", "more"]).told();
    assert_eq!(told, "imported 1 flow (1 known) from more\n");
}

#[test]
fn a_bad_line_stops_the_import_and_nothing_of_the_file_is_kept() {
    let place = Place::with(TWO);
    let before = place.run(&["dump"]).told();
    place.file(
        "bad",
        b"{\"ts\":\"2026-11-22T12:00:00Z\"}\n\n{\"ts\":\"2026-11-22T12:00:00Z\",\"dst_port\":70000}\n",
    );
    insta::assert_snapshot!(place.run(&["import", "bad"]).complaint(), @r"
    error: bad:3: `dst_port`: `70000` is no port (0 to 65535)
    hint: nothing was imported; correct the line, or import the others with `--skip-bad`; `docs/ndjson.md` describes the format
    ");
    assert_eq!(place.run(&["dump"]).told(), before);
}

#[test]
fn bad_lines_are_left_out_on_request_and_counted_for_ever() {
    let place = Place::new();
    place.file(
        "bad",
        b"\xff\n{\"ts\":\"2026-11-22T12:00:00Z\",\"proto\":\"tcp\"}\nnot JSON\n{}\n[1]\n",
    );
    let told = place.run(&["import", "--skip-bad", "bad"]).told();
    assert_eq!(
        told,
        "imported 1 flow (0 known) from bad; left out 4 lines that could not be read\n"
    );
    let status = place.run(&["status"]).told();
    assert!(status.contains("1 flow, 4 lines left out"), "{status}");
}

#[test]
fn a_record_that_refers_to_nothing_is_a_bad_line() {
    let place = Place::new();
    let lines = "{\"ts\":\"2026-11-22T12:00:00Z\"}\n\
        {\"kind\":\"loss\",\"watch_period_id\":9,\"cause\":\"ring_full\",\
        \"since\":\"2026-11-22T12:00:00Z\",\"until\":\"2026-11-22T12:00:00Z\",\"count\":1}\n";
    place.file("torn", lines.as_bytes());
    let complaint = place.run(&["import", "torn"]).complaint();
    assert!(complaint.starts_with("error: torn:2: "), "{complaint}");
    assert_eq!(place.run(&["dump"]).told(), "");
    let told = place.run(&["import", "--skip-bad", "torn"]).told();
    assert_eq!(
        told,
        "imported 1 flow (0 known) from torn; left out 1 line that could not be read\n"
    );
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let place = Place::new();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let block = vec![b' '; 1 << 20];
    for _ in 0..17 {
        bomb.write_all(&block).expect("memory takes it");
    }
    bomb.write_all(b"\n{\"ts\":\"2026-11-22T12:00:00Z\"}")
        .expect("memory takes it");
    place.file("bomb", &bomb.finish().expect("memory takes it"));
    let complaint = place.run(&["import", "bomb"]).complaint();
    assert!(
        complaint.starts_with("error: bomb:1: longer than 16 MiB\n"),
        "{complaint}"
    );
    let told = place.run(&["import", "--skip-bad", "bomb"]).told();
    assert_eq!(
        told,
        "imported 1 flow (0 known) from bomb; left out 1 line that could not be read\n"
    );
}

#[test]
fn a_damaged_or_missing_file_is_an_error_that_names_it() {
    let place = Place::new();
    let packed = gzip(TWO.repeat(100).as_bytes());
    place.file("cut", &packed[..packed.len() / 2]);
    let complaint = place.run(&["import", "cut"]).complaint();
    assert!(
        complaint.starts_with("error: read `cut` after line "),
        "{complaint}"
    );
    insta::assert_snapshot!(place.run(&["import", "missing"]).complaint(), @r"
    error: open `missing`: No such file or directory (os error 2)
    hint: check the path
    ");
    insta::assert_snapshot!(place.run(&["import", "."]).complaint(), @r"
    error: open `.`: is a directory
    hint: name a file
    ");
}

#[test]
fn flows_without_a_host_are_this_host_s() {
    let place = Place::with("{\"ts\":\"2026-11-22T12:00:00Z\",\"exe\":\"/usr/bin/curl\"}\n");
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("procfs is mounted");
    let dumped = place.run(&["dump", "--host", name.trim()]).told();
    assert_eq!(dumped.lines().count(), 1);
}

#[test]
fn what_dump_writes_makes_the_same_report_elsewhere() {
    let place = Place::with(OBSERVED);
    let elsewhere = Place::new();
    let dump = place.run(&["dump"]).told();
    elsewhere
        .run_with_input(&["import", "-"], dump.as_bytes())
        .told();
    // Coverage is known only to a whole dump, and so is how much has been learned.
    let applications = |place: &Place| -> Vec<String> {
        let report = place.run(&["report"]).told();
        let (_, applications) = report.split_once("\n\n").expect("a header");
        let lines = applications.lines();
        let lines = lines.filter(|line| !line.contains("too few to say what is missing"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(applications(&elsewhere), applications(&place));
}

#[test]
fn a_whole_dump_restores_reports_and_explanations_elsewhere() {
    let place = Place::with(OBSERVED);
    let elsewhere = Place::new();
    let dump = place.run(&["dump", "--all"]).told();
    elsewhere
        .run_with_input(&["import", "-"], dump.as_bytes())
        .told();
    for arguments in [
        &["report", "--format", "json"] as &[&str],
        &["explain", "*apt*", "--format", "json"],
        &["dump"],
    ] {
        assert_eq!(elsewhere.run(arguments).told(), place.run(arguments).told());
    }
    let again = elsewhere
        .run_with_input(&["import", "-"], dump.as_bytes())
        .told();
    assert!(again.starts_with("imported 0 flows"), "{again}");
}

#[test]
fn a_dump_is_filtered_as_a_report_is() {
    let place = Place::with(OBSERVED);
    let count = |arguments: &[&str]| place.run(arguments).told().lines().count();
    assert_eq!(count(&["dump"]), 4);
    assert_eq!(count(&["dump", "--application", "*apt*"]), 3);
    assert_eq!(
        count(&["dump", "--to", "os.example.org", "--until", "2026-11-21"]),
        1
    );
    assert_eq!(place.run(&["dump", "--all", "--to", "x"]).status, Some(2));
}

#[test]
fn a_reader_that_has_enough_of_a_dump_is_no_failure() {
    let line = "{\"ts\":\"2026-11-22T12:00:00Z\",\"host\":\"a\",\"proto\":\"tcp\"}\n";
    let place = Place::with(&line.repeat(2_000));
    let mut child = place
        .command(&["dump"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = String::new();
    let mut stdout = BufReader::with_capacity(256, child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    let mut complaint = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut complaint).expect("UTF-8");
    let status = child.wait().expect("the program ends");
    assert!(first.starts_with("{\"kind\":\"flow\""), "{first}");
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}
