//! Network namespaces and the addresses that are their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use super::{content_of, network_namespace_of, pids_of};

/// The network namespaces that processes are in, each with one of these processes: that with the
/// lowest id, which tends to live longest.
///
/// A namespace that only a thread other than the first is in, or that nobody is in, is not found.
pub fn network_namespaces(root: &Path) -> BTreeMap<u32, u32> {
    let mut namespaces = BTreeMap::new();
    for pid in pids_of(root) {
        if let Some(inode) = network_namespace_of(root, pid) {
            namespaces.entry(inode).or_insert(pid);
        }
    }
    namespaces
}

/// The addresses of the network namespace that a process is in: traffic to them does not leave it.
///
/// Single addresses only; a network that is routed to the host itself is not spelled out.
pub fn own_addresses(root: &Path, pid: u32) -> Option<BTreeSet<IpAddr>> {
    let directory = root.join(format!("proc/{pid}/net"));
    let of_version_4 = content_of(&directory.join("fib_trie"));
    // There is no such file where IPv6 is turned off.
    let of_version_6 = content_of(&directory.join("if_inet6"));
    if of_version_4.is_none() && of_version_6.is_none() {
        return None;
    }
    let mut addresses = BTreeSet::new();
    addresses.extend(local_in_trie(&of_version_4.unwrap_or_default()).map(IpAddr::V4));
    addresses.extend(in_interface_list(&of_version_6.unwrap_or_default()).map(IpAddr::V6));
    Some(addresses)
}

/// Leaves of the routing trie stand on two lines: `|-- 192.0.2.7`, then `/32 host LOCAL` for each
/// of their routes.
fn local_in_trie(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        if first == "|--" {
            leaf = words.next()?.parse().ok();
            return None;
        }
        let is_own = first == "/32" && words.any(|word| word == "LOCAL");
        leaf.filter(|_| is_own)
    })
}

/// `20010db8000000000000000000000001 02 40 00 80 eth0`.
fn in_interface_list(list: &str) -> impl Iterator<Item = Ipv6Addr> {
    const DIGITS: usize = 32;
    list.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        (digits.len() == DIGITS).then(|| Ipv6Addr::from_bits(bits))
    })
}
