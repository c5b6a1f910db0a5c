//! Whole files through `import` into a store, and what the other commands make of them.
//!
//! The first byte says whether bad lines are skipped; the rest is the file: plain, gzip or zstd.
#![no_main]

use std::{fs, path::Path};

use clap::Parser;
use egress_baseline::{
    analyze::sampling::sampling_unit,
    cli::Cli,
    exchange::{parse_line, render_record},
    model::{Record, Window},
    report::{
        Detail, Layout, applications::applications_report, applications_text, coverage::Watched,
    },
    store::{ContactQuery, Reader},
};
use harness::{Bytes, assert_harmless, scratch, silence_stdout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: silence_stdout(), |input: &[u8]| {
    let mut input = Bytes(input);
    let skip_bad = input.byte() & 1 == 1;
    let directory = scratch();
    let file = directory.path().join("flows.ndjson");
    fs::write(&file, input.0).expect("a file in memory");
    let first = directory.path().join("first.db");
    if !import(&first, &file, skip_bad) {
        return;
    }
    // The same content adds nothing, and says so.
    let before = records_of(&first);
    assert!(import(&first, &file, skip_bad));
    assert_eq!(records_of(&first), before);
    assert_report_is_harmless(&first);

    let dump = directory.path().join("dump.ndjson");
    fs::write(&dump, lines_of(&before)).expect("a file in memory");
    let second = directory.path().join("second.db");
    assert!(import(&second, &dump, false), "a dump is not read");
    let query = ContactQuery::default();
    assert_eq!(
        reader(&first).contacts(&query).expect("contacts"),
        reader(&second).contacts(&query).expect("contacts of the dump"),
    );
});

/// Whether the file was taken. A refusal must leave a message that can be shown.
fn import(database: &Path, file: &Path, skip_bad: bool) -> bool {
    let mut arguments = vec![
        "egress-baseline".as_ref(),
        "--quiet".as_ref(),
        "--db".as_ref(),
        database.as_os_str(),
        "import".as_ref(),
        file.as_os_str(),
    ];
    if skip_bad {
        arguments.push("--skip-bad".as_ref());
    }
    let cli = Cli::try_parse_from(arguments).expect("a command line");
    match cli.run() {
        Ok(_) => true,
        Err(error) => {
            assert!(!format!("{error:#}").is_empty());
            false
        }
    }
}

fn reader(database: &Path) -> Reader {
    Reader::open(database).expect("a database that was just written")
}

fn records_of(database: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    reader(database)
        .each_record::<egress_baseline::store::StoreError>(|record| {
            records.push(record.clone());
            Ok(())
        })
        .expect("records");
    records
}

fn lines_of(records: &[Record]) -> String {
    records
        .iter()
        .map(|record| {
            let line = render_record(record).expect("a line");
            assert!(matches!(parse_line(line.as_bytes()), Ok(Some(_))), "{line}");
            line + "\n"
        })
        .collect()
}

fn assert_report_is_harmless(database: &Path) {
    let reader = reader(database);
    let watched: Vec<Watched> = reader
        .watch_periods(&Window::default())
        .expect("watch periods")
        .into_iter()
        .map(|stored| Watched {
            id: stored.id.0,
            period: stored.period,
            losses: stored.losses,
            flows: stored.flows,
            self_check: None,
            is_running: false,
        })
        .collect();
    let contacts = reader.contacts(&ContactQuery::default()).expect("contacts");
    let report = applications_report(contacts, &watched, &Window::default(), &[], sampling_unit);
    for width in [None, Some(80)] {
        let layout = Layout {
            width,
            detail: Detail::Full,
        };
        let mut text = Vec::new();
        applications_text::write_text(&report, layout, &mut text).expect("a report in memory");
        assert_harmless(&without_colour(&String::from_utf8(text).expect("text")));
    }
}

/// The report's own marks; whatever else is escaped was written by somebody else.
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, mark) = rest.split_at(at);
        plain.push_str(before);
        let parameters = mark[2..]
            .find(|character: char| !(character.is_ascii_digit() || character == ';'))
            .map(|end| end + 2);
        match parameters {
            Some(end) if mark[end..].starts_with('m') => rest = &mark[end + 1..],
            _ => {
                plain.push('\u{1b}');
                rest = &mark[1..];
            }
        }
    }
    plain + rest
}
