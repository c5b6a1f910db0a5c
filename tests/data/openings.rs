//! Server names in the beginnings of flows, beside tshark's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::SocketAddr,
};

use egress_baseline::names::{Opening, Plain};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::{
    names::{RECALL, text, verdict},
    support_captures::Seen,
};

/// How a ClientHello that tshark found compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Equal,
    Different,
    /// It comes after a word to a proxy, or in a protocol that goes over to TLS.
    Later,
}

pub(crate) fn compare(all: &BTreeMap<String, Seen>, rows: &[Value]) -> Result<(), Failed> {
    let mut report = String::new();
    let mut is_good = true;
    for (protocol, is_quic) in [("TCP", false), ("QUIC", true)] {
        let mut counts = [0; 3];
        for row in rows.iter().filter(|row| row["quic"] == is_quic) {
            let (compared, openings) = compared(row, &all[text(row, "pcap")]);
            counts[compared as usize] += 1;
            if compared != Compared::Equal {
                let place = (text(row, "pcap"), &row["frame"], &row["sni"]);
                writeln!(report, "{compared:?} {place:?} {openings:?}").unwrap();
            }
        }
        let [equal, different, later] = counts;
        is_good &= equal > 0 && f64::from(equal) >= RECALL * f64::from(equal + different);
        writeln!(
            report,
            "{protocol}: ClientHellos {}, equal {equal}, different {different}, that do not open \
             their stream {later}",
            counts.iter().sum::<u32>()
        )
        .unwrap();
    }
    for invented in invented(all, rows) {
        is_good = false;
        writeln!(report, "invented {invented}").unwrap();
    }
    verdict(is_good, report)
}

fn ends(row: &Value) -> (SocketAddr, SocketAddr) {
    let end = |address: &str, port: &str| {
        let address = text(row, address).parse().unwrap();
        SocketAddr::new(address, text(row, port).parse().unwrap())
    };
    (end("src", "sport"), end("dst", "dport"))
}

fn compared<'a>(row: &Value, seen: &'a Seen) -> (Compared, Vec<&'a Opening>) {
    let openings: Vec<_> = seen
        .openings
        .iter()
        .filter(|seen| (seen.source, seen.destination) == ends(row))
        .map(|seen| &seen.opening)
        .collect();
    let name = row["sni"].as_str().map(str::to_ascii_lowercase);
    let is_equal = |opening: &&Opening| {
        matches!(
            opening,
            Opening::ClientHello(_) | Opening::Plain(Plain::OldTls)
        ) && opening.server_name().map(ToString::to_string) == name
    };
    let is_later =
        |opening: &&Opening| matches!(opening, Opening::Plain(Plain::Proxy | Plain::MayStartTls));
    let compared = if openings.iter().any(is_equal) {
        Compared::Equal
    } else if openings.iter().any(is_later) {
        Compared::Later
    } else {
        Compared::Different
    };
    (compared, openings)
}

/// Names of flows in which tshark sees no ClientHello.
fn invented(all: &BTreeMap<String, Seen>, rows: &[Value]) -> Vec<String> {
    let known: BTreeSet<_> = rows
        .iter()
        .map(|row| (text(row, "pcap"), ends(row)))
        .collect();
    let mut invented = Vec::new();
    for (file, seen) in all {
        for seen in &seen.openings {
            if let Some(name) = seen.opening.server_name()
                && !known.contains(&(file.as_str(), (seen.source, seen.destination)))
            {
                invented.push(format!("{file} {name} {seen:?}"));
            }
        }
    }
    invented
}
