//! When an application met its destinations.

use super::{Application, Destination, SamplingUnit, Units};

/// When an application met its destinations on one host, in units of one kind.
///
/// Days and hours are numbers since 1970, UTC; runs are counted from 0 on, in the order in which they
/// were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// The host that was observed.
    pub host: String,
    /// Who.
    pub application: Application,
    /// What is counted in.
    pub unit: SamplingUnit,
    /// Days on which it attempted anything, failed attempts included.
    pub active_days: Units,
    /// Its runs that attempted anything; 0 where runs are not what is counted in.
    pub runs: u32,
    /// What it met, in order; a destination that it never reached is not there.
    pub met: Vec<Occurrence>,
}

/// When a destination was met, other than by attempts that failed; of runs it is not known how each went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Where to.
    pub destination: Destination,
    /// In which units.
    pub units: Units,
}
