//! Who holds a connection before anybody observes.

use std::net::IpAddr;

use egress_baseline::canary::{Kind, OPEN_PORT, PEER_ADDRESS4, PEER_ADDRESS6, kind_named};

use super::held::{BOUND_PORT, mapped_peer, peer6};

/// Where a holder is put, and what must be recorded of it.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// In the laboratory's first network; its destination there.
    Maker(fn() -> (IpAddr, u16)),
    /// At the other end of the cable.
    Peer,
}

/// A connection that is held, and by whom.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) words: fn() -> Vec<String>,
    pub(crate) place: Place,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn open_port4() -> (IpAddr, u16) {
    (PEER_ADDRESS4.into(), OPEN_PORT)
}

fn open_port6() -> (IpAddr, u16) {
    (PEER_ADDRESS6.into(), OPEN_PORT)
}

fn multipath_port() -> (IpAddr, u16) {
    let port = kind_named("mptcp4").map_or(OPEN_PORT, Kind::port);
    (PEER_ADDRESS4.into(), port)
}

/// Those that this host began.
pub(crate) const CLIENTS: [Case; 8] = [
    Case {
        name: "an open connection",
        words: || words(&["client", &PEER_ADDRESS4.to_string()]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "an open IPv6 connection",
        words: || words(&["client", &peer6()]),
        place: Place::Maker(open_port6),
    },
    Case {
        name: "an open connection to a mapped address",
        words: || words(&["client", &mapped_peer()]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "an open Multipath TCP connection",
        words: || words(&["multipath"]),
        place: Place::Maker(multipath_port),
    },
    Case {
        name: "an open connection of a deleted program",
        words: || words(&["deleted"]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "an open connection from an address that was bound",
        words: || words(&["bound", "0"]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "an open connection from a port that was bound",
        words: || words(&["bound", &BOUND_PORT.to_string()]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "an open connection in another network namespace",
        words: || words(&["visitor"]),
        place: Place::Peer,
    },
];

/// Those that somebody else began.
pub(crate) const SERVERS: [Case; 4] = [
    Case {
        name: "a server",
        words: || words(&["server", "128"]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "a server that lets nobody wait",
        words: || words(&["server", "0"]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "a server that listens no more",
        words: || words(&["server", "128", "closed"]),
        place: Place::Maker(open_port4),
    },
    Case {
        name: "a server that let nobody wait and listens no more",
        words: || words(&["server", "0", "closed"]),
        place: Place::Maker(open_port4),
    },
];
