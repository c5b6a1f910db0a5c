//! How a host resolves names, in one line.

use std::fmt::Display;

use crate::model::ResolverConfiguration;

/// Servers and sources of one list that are shown.
const SHOWN: usize = 6;

/// The servers that are asked, where hosts are looked for, and whether that is seen.
pub(super) fn resolver_text(read: &ResolverConfiguration) -> String {
    let mut text = match read.nameservers.as_slice() {
        [] => "no server".to_owned(),
        servers => list(servers),
    };
    let asked_in_turn = read.resolved.as_ref().map(|resolved| &resolved.asks);
    if let Some(asked) = asked_in_turn.filter(|asked| !asked.is_empty()) {
        text.push_str(&format!(" (systemd-resolved asks {})", list(asked)));
    }
    if !read.hosts_sources.is_empty() {
        text.push_str(&format!(", hosts from {}", list(&read.hosts_sources)));
    }
    let unseen = read.unseen_sources();
    if !unseen.is_empty() {
        text.push_str(&format!(
            ": names through {} are known of the host only",
            list(&unseen)
        ));
    }
    text
}

fn list<T: Display>(items: &[T]) -> String {
    let shown: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}
