//! `/etc/hosts`.

use std::path::Path;

use super::{
    files::text_of,
    words::{Taken, address_of},
};
use crate::model::HostsLine;

pub(super) const PATH: &str = "etc/hosts";

/// Lines that are kept. A file that blocks names has more of them, all at no address.
const MOST_LINES: usize = 128;

/// Names of one line.
const MOST_NAMES: usize = 8;

/// The lines that name an address which one can go to, other than those of the host itself.
pub(super) fn lines_below(root: &Path, left_out: &mut u64) -> Vec<HostsLine> {
    let text = text_of(&root.join(PATH), left_out).unwrap_or_default();
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let Some(address) = address_of(first) else {
            *left_out += 1;
            continue;
        };
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            continue;
        }
        if lines.len() >= MOST_LINES {
            *left_out += 1;
            continue;
        }
        let mut names = Taken::at_most(MOST_NAMES);
        names.extend(words);
        lines.push(HostsLine {
            address,
            names: names.into_words(left_out),
        });
    }
    lines
}
