//! How programs of this host find the addresses of names, read from files below a root path.
//!
//! Nothing is looked up by what is read. Files here may be anybody's work: whatever cannot be read is
//! missing, what makes no sense or has no room is counted, and nothing is read without end.

mod files;
mod hosts;
mod resolved;
mod words;

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use files::{link_of, text_of};
use words::Taken;

use crate::model::ResolverConfiguration;

/// The C library asks three at most, others some more.
const MOST_SERVERS: usize = 16;

/// Domains, options and sources, of each so many.
const MOST_WORDS: usize = 32;

const RESOLV_CONF: &str = "etc/resolv.conf";
const NSSWITCH: &str = "etc/nsswitch.conf";

/// Sockets of the name service cache daemon: as it is built, and as the C library looks for it.
const NSCD: [&str; 2] = ["run/nscd/socket", "var/run/nscd/socket"];

/// What the files below `root` say now.
pub fn configuration_of(root: &Path) -> ResolverConfiguration {
    let mut found = ResolverConfiguration {
        resolv_conf: link_of(&root.join(RESOLV_CONF)),
        has_nscd: NSCD.iter().any(|path| root.join(path).exists()),
        ..ResolverConfiguration::default()
    };
    let mut left_out = 0;
    if let Some(text) = text_of(&root.join(RESOLV_CONF), &mut left_out) {
        read_resolv_conf(&text, &mut found, &mut left_out);
    }
    if let Some(text) = text_of(&root.join(NSSWITCH), &mut left_out) {
        found.hosts_sources = hosts_sources_in(&text, &mut left_out);
    }
    found.hosts = hosts::lines_below(root, &mut left_out);
    found.resolved = resolved::configuration_below(root, &mut left_out);
    found.left_out = left_out;
    found
}

/// When each of the files that matter was changed, and how long it is: as long as this stays the same,
/// so does what they say.
pub type Stamp = BTreeMap<String, (Option<SystemTime>, u64)>;

/// The stamp of the files below `root`.
pub fn stamp_of(root: &Path) -> Stamp {
    let plain = [RESOLV_CONF, NSSWITCH, hosts::PATH].map(str::to_owned);
    let sockets = NSCD.map(str::to_owned);
    plain
        .into_iter()
        .chain(sockets)
        .chain(resolved::paths_below(root))
        .filter_map(|path| {
            let known = fs::metadata(root.join(&path)).ok()?;
            Some((path, (known.modified().ok(), known.len())))
        })
        .collect()
}

/// The last `search` or `domain` counts, and each line of servers and options.
fn read_resolv_conf(text: &str, found: &mut ResolverConfiguration, left_out: &mut u64) {
    let mut options = Taken::at_most(MOST_WORDS);
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => match words.next().and_then(words::address_of) {
                Some(server) if found.nameservers.len() < MOST_SERVERS => {
                    found.nameservers.push(server);
                }
                _ => *left_out += 1,
            },
            Some("search" | "domain") => {
                let mut search = Taken::at_most(MOST_WORDS);
                search.extend(words);
                found.search = search.into_words(left_out);
            }
            Some("options") => options.extend(words),
            Some("sortlist") => {}
            _ => *left_out += 1,
        }
    }
    found.options = options.into_words(left_out);
}

fn hosts_sources_in(text: &str, left_out: &mut u64) -> Vec<String> {
    let line = text
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().strip_prefix("hosts"))
        .find_map(|rest| rest.trim_start().strip_prefix(':'));
    let mut sources = Taken::at_most(MOST_WORDS);
    sources.extend(line.unwrap_or_default().split_whitespace());
    sources.into_words(left_out)
}
