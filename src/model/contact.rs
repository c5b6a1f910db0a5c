//! One application's dealings with one destination over time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::Serialize;

use super::{Application, Destination, NameSource, OpeningKind, Outcome, Timestamp};

/// Sums over attempts that ended alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts.
    pub attempts: u64,
    /// Payload bytes sent.
    pub bytes_out: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
}

/// One application's dealings with one destination in a window, on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The host that was observed.
    pub host: String,
    /// Who.
    pub application: Application,
    /// Where to.
    pub destination: Destination,
    /// Best source of the destination's name, if it has one.
    pub name_source: Option<NameSource>,
    /// Users whose processes did it, by name or else by number; sorted.
    pub users: Vec<String>,
    /// Addresses that were reached under the name; sorted.
    pub addresses: Vec<IpAddr>,
    /// Attempts and bytes by outcome.
    pub outcomes: BTreeMap<Outcome, Tally>,
    /// First attempt.
    pub first: Timestamp,
    /// Last attempt.
    pub last: Timestamp,
    /// UTC hours in which it happened.
    pub hours: u64,
    /// UTC days in which it happened.
    pub days: u64,
    /// Runs of the application in which it happened; 0 where runs cannot be told apart.
    pub runs: u64,
}

impl Contact {
    /// Sum over all outcomes.
    pub fn total(&self) -> Tally {
        self.outcomes
            .values()
            .fold(Tally::default(), |sum, tally| Tally {
                attempts: sum.attempts.saturating_add(tally.attempts),
                bytes_out: sum.bytes_out.saturating_add(tally.bytes_out),
                bytes_in: sum.bytes_in.saturating_add(tally.bytes_in),
            })
    }
}

/// Addresses that were reached under several names, by host, with these names.
pub type SharedNames = BTreeMap<(String, IpAddr), BTreeSet<String>>;

/// How some flows of an application to a destination began, where that hides which server is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenOpening {
    /// The host that was observed.
    pub host: String,
    /// Who.
    pub application: Application,
    /// Where to.
    pub destination: Destination,
    /// How.
    pub opening: OpeningKind,
}

/// What a contact's recurrence is counted in: single flows are not independent of one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingUnit {
    /// Runs, for what starts and ends.
    Run,
    /// UTC days, for what runs continuously.
    Day,
    /// UTC hours, while few days were covered.
    Hour,
}

impl SamplingUnit {
    /// The word for `count` of them.
    pub fn word(self, count: u64) -> &'static str {
        match (self, count) {
            (Self::Run, 1) => "run",
            (Self::Run, _) => "runs",
            (Self::Day, 1) => "day",
            (Self::Day, _) => "days",
            (Self::Hour, 1) => "hour",
            (Self::Hour, _) => "hours",
        }
    }

    /// Units in which the contact happened.
    pub fn count_of(self, contact: &Contact) -> u64 {
        match self {
            Self::Run => contact.runs,
            Self::Day => contact.days,
            Self::Hour => contact.hours,
        }
    }
}
