//! systemd-resolved: its configuration with drop-ins, and the file that it writes for others.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    MOST_SERVERS, MOST_WORDS,
    files::text_of,
    words::{Taken, address_of},
};
use crate::model::ResolvedConfiguration;

/// The servers that it asks, for programs that do not want to ask it.
const WRITTEN: &str = "run/systemd/resolve/resolv.conf";

/// Where its configuration is looked for, the strongest first; drop-ins are in the directories `.d`.
const PLACES: [&str; 4] = [
    "etc/systemd/resolved.conf",
    "run/systemd/resolved.conf",
    "usr/local/lib/systemd/resolved.conf",
    "usr/lib/systemd/resolved.conf",
];

/// Drop-ins that are read.
const MOST_DROP_INS: usize = 64;

/// Values of one word are no longer.
const LONGEST_VALUE: usize = 256;

/// Every file and directory that is looked at, below the root.
pub(super) fn paths_below(root: &Path) -> Vec<String> {
    let directories = PLACES.map(|place| format!("{place}.d"));
    let below = |path: PathBuf| {
        let relative = path.strip_prefix(root).ok()?;
        Some(relative.to_string_lossy().into_owned())
    };
    PLACES
        .map(str::to_owned)
        .into_iter()
        .chain(directories)
        .chain([WRITTEN.to_owned()])
        .chain(drop_ins(root, &mut 0).into_iter().filter_map(below))
        .collect()
}

/// Its configuration, if there is any trace of it.
pub(super) fn configuration_below(
    root: &Path,
    left_out: &mut u64,
) -> Option<ResolvedConfiguration> {
    let main = PLACES.iter().map(|place| root.join(place));
    let main = main.into_iter().find(|path| path.exists());
    let mut files: Vec<PathBuf> = main.into_iter().collect();
    files.extend(drop_ins(root, left_out));
    let written = text_of(&root.join(WRITTEN), left_out);
    if files.is_empty() && written.is_none() {
        return None;
    }
    let mut read = Read::default();
    for file in files {
        let text = text_of(&file, left_out).unwrap_or_default();
        read.file(&text, left_out);
    }
    let servers = written.as_deref().unwrap_or_default().lines();
    let servers = servers.filter_map(|line| address_of(line.strip_prefix("nameserver")?.trim()));
    Some(ResolvedConfiguration {
        asks: servers.take(MOST_SERVERS).collect(),
        ..read.finish(left_out)
    })
}

/// In order of their names, wherever they lie; the strongest place hides those of the same name.
fn drop_ins(root: &Path, left_out: &mut u64) -> Vec<PathBuf> {
    let mut by_name = BTreeMap::new();
    for place in PLACES {
        let Ok(entries) = fs::read_dir(root.join(format!("{place}.d"))) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "conf")
            {
                by_name.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    *left_out += by_name.len().saturating_sub(MOST_DROP_INS) as u64;
    by_name.into_values().take(MOST_DROP_INS).collect()
}

/// What the files said so far.
#[derive(Debug)]
struct Read {
    servers: Taken,
    fallback_servers: Taken,
    domains: Taken,
    values: BTreeMap<String, String>,
}

impl Default for Read {
    fn default() -> Self {
        Self {
            servers: Taken::at_most(MOST_SERVERS),
            fallback_servers: Taken::at_most(MOST_SERVERS),
            domains: Taken::at_most(MOST_WORDS),
            values: BTreeMap::new(),
        }
    }
}

/// Values that are kept, beside lists.
const VALUES: [&str; 4] = ["DNSOverTLS", "LLMNR", "MulticastDNS", "DNSStubListener"];

impl Read {
    fn file(&mut self, text: &str, left_out: &mut u64) {
        let mut is_ours = false;
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with('[') {
                is_ours = line == "[Resolve]";
            }
            let is_comment = line.starts_with(['#', ';']);
            let Some((key, value)) = line.split_once('=').filter(|_| is_ours && !is_comment) else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match key {
                "DNS" => take_list(&mut self.servers, value),
                "FallbackDNS" => take_list(&mut self.fallback_servers, value),
                "Domains" => take_list(&mut self.domains, value),
                _ if !VALUES.contains(&key) => {}
                _ if value.len() > LONGEST_VALUE => *left_out += 1,
                _ => {
                    self.values.insert(key.to_owned(), value.to_owned());
                }
            }
        }
    }

    fn finish(mut self, left_out: &mut u64) -> ResolvedConfiguration {
        let mut value = |key: &str| self.values.remove(key).filter(|value| !value.is_empty());
        ResolvedConfiguration {
            dns_over_tls: value("DNSOverTLS"),
            llmnr: value("LLMNR"),
            multicast_dns: value("MulticastDNS"),
            stub_listener: value("DNSStubListener"),
            servers: self.servers.into_words(left_out),
            fallback_servers: self.fallback_servers.into_words(left_out),
            domains: self.domains.into_words(left_out),
            asks: Vec::new(),
        }
    }
}

/// Lists grow from file to file; an empty value begins one anew.
fn take_list(list: &mut Taken, value: &str) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(value.split_whitespace());
}
