//! When an application met its destinations.

use super::{Application, Destination, Units};

/// When an application met its destinations on one host.
///
/// Days and hours are numbers since 1970, UTC; runs are counted from 0 on, in the order in which they
/// were recorded. What failed is in none of the destinations' days and hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// The host that was observed.
    pub host: String,
    /// Who.
    pub application: Application,
    /// Days on which it attempted anything, failed attempts included.
    pub active_days: Units,
    /// Hours in which it did.
    pub active_hours: Units,
    /// Its runs that attempted anything.
    pub runs: u32,
    /// What it met, in order.
    pub met: Vec<Occurrence>,
}

/// When a destination was met, other than by attempts that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Where to.
    pub destination: Destination,
    /// Days on which it was met.
    pub days: Units,
    /// Hours in which it was.
    pub hours: Units,
    /// Runs that attempted it, which may have failed in some of them.
    pub runs: Units,
}
