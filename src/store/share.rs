//! What one flow adds to the rollups, and takes from them when it is settled or retracted.

use std::net::IpAddr;

use super::value::rank;
use crate::model::{Destination, Flow, Outcome, Tally, Timestamp};

/// Which sums: whose, of whom, where to, how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SumKey {
    /// The hour in nanoseconds, or the number of the run.
    pub(super) period: Period,
    /// Who.
    pub(super) identity: i64,
    /// Where to.
    pub(super) destination: i64,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// The store that the flows were recorded by.
    pub(super) origin: i64,
}

/// What is summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Period {
    /// A UTC hour, by its start.
    Hour(i64),
    /// A run, by its number.
    Run(i64),
}

/// The sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// Counts.
    pub(super) tally: Tally,
    /// First attempt.
    pub(super) first: i64,
    /// Last attempt.
    pub(super) last: i64,
    /// Rank of the best source of the name.
    pub(super) name_source: Option<i64>,
}

impl Sum {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            tally: Tally {
                attempts: self.tally.attempts.saturating_add(other.tally.attempts),
                bytes_out: self.tally.bytes_out.saturating_add(other.tally.bytes_out),
                bytes_in: self.tally.bytes_in.saturating_add(other.tally.bytes_in),
            },
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            name_source: [self.name_source, other.name_source]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

/// An address under a name on a host, as one store saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AddressKey {
    /// The host that was observed.
    pub(super) host: i64,
    /// The name.
    pub(super) name: i64,
    /// The address.
    pub(super) address: IpAddr,
    /// The store that the flows were recorded by.
    pub(super) origin: i64,
}

/// What one flow adds: to its hour, to its run, and to the addresses of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The hour's sum that it is part of.
    pub(super) hour: SumKey,
    /// The run's, if it has one.
    pub(super) run: Option<SumKey>,
    /// What it adds to each.
    pub(super) sum: Sum,
    /// The address under its name.
    pub(super) address: Option<AddressKey>,
}

/// Numbers of the rows that a flow refers to.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowReferences {
    /// The store that recorded it.
    pub(super) origin: i64,
    /// The host that was observed.
    pub(super) host: i64,
    /// Who.
    pub(super) identity: i64,
    /// Which run.
    pub(super) run: Option<i64>,
    /// Where to.
    pub(super) destination: i64,
    /// The destination's name.
    pub(super) name: Option<i64>,
}

impl Share {
    /// What `flow` adds.
    pub(super) fn of(flow: &Flow, to: &FlowReferences) -> Self {
        let sum = Sum {
            tally: Tally {
                attempts: flow.attempts,
                bytes_out: flow.bytes_out.unwrap_or(0),
                bytes_in: flow.bytes_in.unwrap_or(0),
            },
            first: flow.start.unix_ns(),
            last: last_of(flow).unix_ns(),
            name_source: flow.name.as_ref().map(|name| rank(name.source)),
        };
        let key = |period| SumKey {
            period,
            identity: to.identity,
            destination: to.destination,
            outcome: flow.outcome,
            origin: to.origin,
        };
        Self {
            hour: key(Period::Hour(flow.start.hour().unix_ns())),
            run: to.run.map(Period::Run).map(key),
            sum,
            address: to.name.zip(flow.address).map(|(name, address)| AddressKey {
                host: to.host,
                name,
                address,
                origin: to.origin,
            }),
        }
    }

    /// The sums that it is part of.
    pub(super) fn keys(&self) -> impl Iterator<Item = &SumKey> {
        std::iter::once(&self.hour).chain(&self.run)
    }
}

/// The last attempt of a flow, or the end of its connection.
pub(super) fn last_of(flow: &Flow) -> Timestamp {
    flow.end.map_or(flow.start, |end| end.max(flow.start))
}

/// Where a flow goes: its name where it has one, else its address.
pub(super) fn destination_of(flow: &Flow) -> Destination {
    let name = flow.name.as_ref().map(|name| name.text.clone());
    Destination {
        address: flow.address.filter(|_| name.is_none()),
        name,
        port: flow.port,
        protocol: flow.protocol,
    }
}
