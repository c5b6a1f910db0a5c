//! Attempts that are alike, summed over one flush interval.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;

use super::naming::{NameNumber, Said};
use crate::model::{Endpoint, Flow, Name, OpeningKind, Outcome, Protocol, Sender, Timestamp};

/// Most sums that are kept between two flushes unless told otherwise; what is more is counted as
/// lost.
const MOST_SUMS: usize = 200_000;

/// Some attempts of one sender to one destination with one outcome.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) sender: Sender,
    pub(super) remote: Endpoint,
    pub(super) outcome: Outcome,
    pub(super) errno: Option<i32>,
    pub(super) name: Option<NameNumber>,
    pub(super) opening: Option<OpeningKind>,
    pub(super) totals: Totals,
}

/// What a part adds up.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) attempts: u64,
    pub(super) bytes_out: Option<u64>,
    pub(super) bytes_in: Option<u64>,
    pub(super) duration: Option<Duration>,
    pub(super) source_port: SourcePort,
}

/// The source port of several attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourcePort {
    Unknown,
    One(u16),
    Several,
}

impl SourcePort {
    pub(super) fn of(port: u16) -> Self {
        if port == 0 {
            Self::Unknown
        } else {
            Self::One(port)
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, port) | (port, Self::Unknown) => port,
            (Self::One(one), Self::One(another)) if one == another => self,
            _ => Self::Several,
        }
    }
}

fn sum(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (None, value) | (value, None) => value,
        (Some(left), Some(right)) => Some(left.saturating_add(right)),
    }
}

impl Part {
    /// The same, of a flow that says this of itself.
    pub(super) fn said(self, said: Said) -> Self {
        Self {
            name: said.name,
            opening: said.opening,
            ..self
        }
    }

    /// Where to, without what a protocol without ports has in the port's place.
    pub(super) fn destination(&self) -> Endpoint {
        Endpoint {
            port: port_of(&self.remote).unwrap_or(0),
            ..self.remote
        }
    }

    pub(super) fn flow(&self, socket_cgroup: Option<String>, name: Option<Name>) -> Flow {
        let totals = &self.totals;
        Flow {
            flow_id: None,
            start: totals.first,
            end: Some(totals.last),
            socket_uid: Some(self.sender.socket_uid),
            socket_cgroup,
            network_namespace: Some(self.sender.network_namespace),
            source_port: match totals.source_port {
                SourcePort::One(port) => Some(port),
                SourcePort::Unknown | SourcePort::Several => None,
            },
            address: self.remote.address,
            port: port_of(&self.remote),
            protocol: Protocol(self.remote.protocol),
            name,
            opening: self.opening,
            outcome: self.outcome,
            errno: self.errno,
            state: None,
            attempts: totals.attempts,
            bytes_out: totals.bytes_out,
            bytes_in: totals.bytes_in,
            duration: totals.duration,
        }
    }

    fn key(&self) -> Key {
        (
            self.sender,
            self.remote,
            self.outcome,
            self.errno,
            self.name,
            self.opening,
        )
    }
}

impl Totals {
    /// Nothing yet, in a stretch of time.
    pub(super) fn between(first: Timestamp, last: Timestamp) -> Self {
        Self {
            first,
            last,
            attempts: 0,
            bytes_out: None,
            bytes_in: None,
            duration: None,
            source_port: SourcePort::Unknown,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.bytes_out = sum(self.bytes_out, other.bytes_out);
        self.bytes_in = sum(self.bytes_in, other.bytes_in);
        self.duration = match (self.duration, other.duration) {
            (None, duration) | (duration, None) => duration,
            (Some(left), Some(right)) => Some(left.saturating_add(right)),
        };
        self.source_port = self.source_port.and(other.source_port);
    }
}

fn port_of(remote: &Endpoint) -> Option<u16> {
    Protocol(remote.protocol).has_ports().then_some(remote.port)
}

type Key = (
    Sender,
    Endpoint,
    Outcome,
    Option<i32>,
    Option<NameNumber>,
    Option<OpeningKind>,
);

/// Sums by sender, destination, outcome and name.
#[derive(Debug)]
pub(super) struct Sums {
    parts: HashMap<Key, Totals, RandomState>,
    most: usize,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            parts: HashMap::default(),
            most: MOST_SUMS,
        }
    }
}

impl Sums {
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Adds to the sum of what is alike; false if there is no room for one more sum.
    pub(super) fn add(&mut self, part: Part) -> bool {
        let key = part.key();
        if let Some(sum) = self.parts.get_mut(&key) {
            sum.merge(&part.totals);
            return true;
        }
        if self.parts.len() >= self.most {
            return false;
        }
        self.parts.insert(key, part.totals);
        true
    }

    /// Whether there is a sum already that this part would be added to.
    pub(super) fn has(&self, part: &Part) -> bool {
        self.parts.contains_key(&part.key())
    }

    /// Takes refused attempts from those that are like them and were summed as sent. Returns how many
    /// there were: one that went into a flush before its refusal was known stays as it was written.
    pub(super) fn take_sent(&mut self, refused: &Part, bytes: u64) -> u64 {
        let counted_as = |outcome: Outcome| {
            (
                refused.sender,
                refused.remote,
                outcome,
                None::<i32>,
                refused.name,
                refused.opening,
            )
        };
        let key = [Outcome::Sent, Outcome::MaybeReply]
            .map(counted_as)
            .into_iter()
            .find(|key| self.parts.contains_key(key));
        let Some((key, sent)) = key.and_then(|key| Some((key, self.parts.get_mut(&key)?))) else {
            return 0;
        };
        let taken = refused.totals.attempts.min(sent.attempts);
        sent.attempts -= taken;
        if taken == refused.totals.attempts {
            sent.bytes_out = sent.bytes_out.map(|sum| sum.saturating_sub(bytes));
        }
        if sent.attempts == 0 {
            self.parts.remove(&key);
        }
        taken
    }

    /// All sums; the next interval begins at nothing. In order, so that a replay writes the same rows,
    /// and those of one maker one after another.
    pub(super) fn take(&mut self) -> Vec<Part> {
        let mut parts: Vec<_> = std::mem::take(&mut self.parts).into_iter().collect();
        parts.sort_unstable_by_key(|(key, _)| *key);
        parts
            .into_iter()
            .map(
                |((sender, remote, outcome, errno, name, opening), totals)| Part {
                    sender,
                    remote,
                    outcome,
                    errno,
                    name,
                    opening,
                    totals,
                },
            )
            .collect()
    }
}
