//! Names in real captures, beside what tshark reads in them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

use egress_baseline::names::Names;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{
    answers, openings,
    support_captures::{Seen, packets_of, pass},
};

/// The least part of pairs and of server names that must be found.
pub(crate) const RECALL: f64 = 0.99;

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    let (folder, other) = (folder.to_path_buf(), folder.to_path_buf());
    vec![
        Trial::test("answers_give_the_pairs_that_tshark_reads", move || {
            answers::compare(&all_seen(&folder), &rows(&folder, "truth_dns.ndjson"))
        }),
        Trial::test("openings_give_the_names_that_tshark_reads", move || {
            openings::compare(&all_seen(&other), &rows(&other, "truth_sni.ndjson"))
        }),
    ]
}

/// Shows the figures, also where they are good.
pub(crate) fn verdict(is_good: bool, report: String) -> Result<(), Failed> {
    io::stderr().write_all(report.as_bytes()).unwrap();
    is_good.then_some(()).ok_or_else(|| report.into())
}

pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

pub(crate) fn texts<'a>(row: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    let list = row[field].as_array().unwrap();
    list.iter().map(|text| text.as_str().unwrap())
}

fn rows(folder: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let rows: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!rows.is_empty());
    rows
}

/// Every capture by its name, passed through the parsers.
fn all_seen(folder: &Path) -> BTreeMap<String, Seen> {
    let sets = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = sets
        .filter(|set| set.path().is_dir())
        .flat_map(|set| fs::read_dir(set.path()).unwrap().map(Result::unwrap));
    files
        .map(|file| {
            let packets = packets_of(&fs::read(file.path()).unwrap());
            let name = file.file_name().into_string().unwrap();
            (name, pass(&packets, &mut Names::default()))
        })
        .collect()
}
