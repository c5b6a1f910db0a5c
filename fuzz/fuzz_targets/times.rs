//! Times, durations and windows as people write them.
//!
//! An input is texts with a NUL between each two: a time, and the filters of a report.
#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use clap::Parser;
use egress_baseline::{
    cli::Cli,
    config::parse_flush_every,
    model::{Timestamp, parse_duration, parse_when},
};
use harness::texts_of;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_unix_ns(1_795_348_800_000_000_000);

/// There is no such database: filters are read before it is opened.
static NOWHERE: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from("/proc/self/flows.db"));

fuzz_target!(|input: &[u8]| {
    let texts = texts_of(input);
    let first = texts[0].as_str();
    if let Ok(time) = first.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().expect("a time"), time);
        assert!(time.hour() <= time && time.hour().hour() == time.hour());
        assert!(time.next_hour() >= time.hour());
    }
    match (parse_when(first, NOW), parse_duration(first)) {
        (Ok(time), Ok(age)) => assert_eq!(time, NOW.before(age)),
        (Err(_), Ok(age)) => panic!("{first} is {age:?}, but no age"),
        (Ok(_) | Err(_), Err(_)) => {}
    }
    if let Ok(every) = parse_flush_every(first) {
        assert!((1..=3_600).contains(&every.as_secs()));
    }
    assert_report_refuses(&texts);
});

fn assert_report_refuses(texts: &[String]) {
    const OPTIONS: [&str; 4] = ["--since", "--until", "--except", "--application"];
    let filters = OPTIONS
        .iter()
        .zip(texts)
        .map(|(option, text)| format!("{option}={text}"));
    let arguments = ["egress-baseline", "--db"].map(str::to_owned);
    let arguments = arguments
        .into_iter()
        .chain([NOWHERE.display().to_string(), "report".to_owned()])
        .chain(filters);
    if let Ok(cli) = Cli::try_parse_from(arguments) {
        let error = cli.run().expect_err("there is no such database");
        assert!(!format!("{error:#}").is_empty());
    }
}
