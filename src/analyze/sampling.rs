//! In which unit an application's dealings are counted.

use crate::model::{Contact, SamplingUnit};

/// Days that must have been covered before days are worth counting.
const DAYS_NEEDED: u64 = 5;

/// Runs that must have been seen before runs are worth counting.
const RUNS_NEEDED: u64 = 2;

/// Days to a run, up to which something starts and ends: a run of the night belongs to two. What goes
/// on for longer, and was started anew a few times, is counted in days.
const DAYS_OF_RUN: u64 = 2;

/// The unit for an application whose contacts these are, on a host with that many covered days.
///
/// A contact knows only its own runs and days, so the most that any one of them happened in stand for
/// the application.
pub fn sampling_unit(contacts: &[Contact], covered_days: u64) -> SamplingUnit {
    let most = |count: fn(&Contact) -> u64| contacts.iter().map(count).max().unwrap_or(0);
    let runs = most(|contact| contact.runs);
    let days = most(|contact| contact.days);
    if runs >= RUNS_NEEDED && runs.saturating_mul(DAYS_OF_RUN) >= days {
        SamplingUnit::Run
    } else if covered_days >= DAYS_NEEDED {
        SamplingUnit::Day
    } else {
        SamplingUnit::Hour
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::sampling_unit;
    use crate::model::{Application, Contact, Context, Destination, SamplingUnit, Timestamp};

    fn contact(runs: u64, days: u64) -> Contact {
        Contact {
            host: "host".to_owned(),
            application: Application {
                context: Context::none(),
                program: "/usr/sbin/nginx".to_owned(),
                script: None,
            },
            destination: Destination::default(),
            name_source: None,
            users: Vec::new(),
            addresses: Vec::new(),
            outcomes: BTreeMap::new(),
            first: Timestamp::from_unix_ns(0),
            last: Timestamp::from_unix_ns(0),
            hours: days,
            days,
            runs,
        }
    }

    #[test]
    fn what_starts_and_ends_is_counted_in_runs() {
        let unit = |runs, days| sampling_unit(&[contact(runs, days), contact(0, 1)], 41);
        assert_eq!(unit(41, 41), SamplingUnit::Run);
        assert_eq!(unit(6, 6), SamplingUnit::Run);
        assert_eq!(unit(40, 80), SamplingUnit::Run);
        assert_eq!(unit(500, 3), SamplingUnit::Run);
    }

    #[test]
    fn a_service_that_was_restarted_a_few_times_is_counted_in_days() {
        let contacts = [contact(3, 41), contact(3, 3)];
        assert_eq!(sampling_unit(&contacts, 41), SamplingUnit::Day);
    }

    #[test]
    fn hours_are_counted_until_five_days_were_covered() {
        assert_eq!(sampling_unit(&[contact(1, 4)], 4), SamplingUnit::Hour);
        assert_eq!(sampling_unit(&[contact(1, 5)], 5), SamplingUnit::Day);
        assert_eq!(sampling_unit(&[], 0), SamplingUnit::Hour);
    }
}
