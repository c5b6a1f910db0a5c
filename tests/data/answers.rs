//! What DNS answers taught, beside tshark's fields for addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::IpAddr,
};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::{
    names::{RECALL, text, texts, verdict},
    support_captures::Seen,
    wire::{Record, records_of},
};

/// Capture, client, address and name.
type Pair = (String, IpAddr, IpAddr, String);

#[derive(Default)]
struct Truth {
    answers: BTreeSet<Pair>,
    /// Addresses in other sections, of hosts that were not asked for.
    elsewhere: BTreeSet<Pair>,
    /// Addresses in a message that stands inside of another packet.
    quoted: usize,
}

#[derive(Default)]
struct Found {
    pairs: BTreeSet<Pair>,
    proven: BTreeSet<Pair>,
    /// tshark's fields do not have them.
    hints: usize,
}

pub(crate) fn compare(all: &BTreeMap<String, Seen>, rows: &[Value]) -> Result<(), Failed> {
    let mut truth = Truth::default();
    for row in rows {
        truth.add(row, &all[text(row, "pcap")]);
    }
    let found = found_in(all);
    let missing: Vec<_> = truth.answers.difference(&found.pairs).collect();
    let invented: Vec<_> = found.pairs.difference(&truth.answers).collect();
    let hit = truth.answers.intersection(&found.pairs).count();
    let mut report = format!(
        "pairs in answers {}, found {hit}, of these proven {}; missing {}, invented {}; not counted: \
         in other sections {}, quoted inside another packet {}, hints {}\n",
        truth.answers.len(),
        truth.answers.intersection(&found.proven).count(),
        missing.len(),
        invented.len(),
        truth.elsewhere.difference(&truth.answers).count(),
        truth.quoted,
        found.hints,
    );
    for (what, pairs) in [("missing", &missing), ("invented", &invented)] {
        for pair in pairs {
            writeln!(report, "{what} {pair:?}").unwrap();
        }
    }
    let is_enough = hit as f64 >= RECALL * truth.answers.len() as f64;
    verdict(is_enough && hit > 0 && invented.is_empty(), report)
}

impl Truth {
    fn add(&mut self, row: &Value, seen: &Seen) {
        let addresses = texts(row, "a")
            .chain(texts(row, "aaaa"))
            .map(|address| address.parse::<IpAddr>().unwrap());
        // Of a message inside of another packet, tshark gives the addresses of both.
        if text(row, "src").contains('|') {
            self.quoted += addresses.count();
            return;
        }
        let client: IpAddr = text(row, "dst").parse().unwrap();
        let records = records_in(row, seen);
        let asked = texts(row, "qname").next().unwrap_or_default();
        for address in addresses {
            let record = records.iter().find(|record| record.address == address);
            // Multicast DNS gives addresses in any section, and to nobody's question.
            let name = match record {
                Some(record) if asked.is_empty() => record.owner.clone(),
                Some(_) | None => asked.to_ascii_lowercase(),
            };
            let pair = (text(row, "pcap").to_owned(), client, address, name);
            let is_elsewhere = !asked.is_empty() && record.is_some_and(|record| !record.is_answer);
            let _is_new = if is_elsewhere {
                self.elsewhere.insert(pair)
            } else {
                self.answers.insert(pair)
            };
        }
    }
}

/// The address records of a row's packet; answers first, where an address stands twice.
fn records_in(row: &Value, seen: &Seen) -> Vec<Record> {
    let mut records: Vec<_> = seen
        .messages
        .iter()
        .filter(|(frame, _)| Some(*frame) == row["frame"].as_u64())
        .flat_map(|(_, message)| records_of(message))
        .collect();
    records.sort_by_key(|record| !record.is_answer);
    records
}

fn found_in(all: &BTreeMap<String, Seen>) -> Found {
    let mut found = Found::default();
    for (file, seen) in all {
        for (client, learned) in &seen.learned {
            if learned.is_hint {
                found.hints += 1;
                continue;
            }
            let name = learned.name.to_string();
            let pair = (file.clone(), *client, learned.address, name);
            if learned.is_proven {
                found.proven.insert(pair.clone());
            }
            found.pairs.insert(pair);
        }
    }
    found
}
