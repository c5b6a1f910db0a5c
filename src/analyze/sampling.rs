//! In which unit an application's dealings are counted.

use crate::model::{Contact, SamplingUnit};

/// Days that must have been covered before days are worth counting.
const DAYS_NEEDED: u64 = 5;

/// Runs that must have been seen before runs are worth counting.
const RUNS_NEEDED: u64 = 2;

/// The unit for an application whose contacts these are, on a host with that many covered days.
///
/// A contact knows only its own runs, so the most that any one of them happened in stands for the
/// application: two are enough to tell that it starts and ends.
pub fn sampling_unit(contacts: &[Contact], covered_days: u64) -> SamplingUnit {
    let runs = contacts.iter().map(|contact| contact.runs).max();
    if runs.is_some_and(|runs| runs >= RUNS_NEEDED) {
        SamplingUnit::Run
    } else if covered_days >= DAYS_NEEDED {
        SamplingUnit::Day
    } else {
        SamplingUnit::Hour
    }
}
