//! How far the learning has come.

use crate::model::{LearningState, Sampling, SamplingUnit};

use super::tally::Tally;

/// New destinations a week up to which an application is called stable, unless the operator says
/// otherwise: about as many as one person looks at gladly.
pub const TARGET_NEW_PER_WEEK: f64 = 1.0;

/// Two weeks: each weekday has come twice, so that what happens on one of them has had a second
/// chance.
const DAYS_NEEDED: usize = 14;

/// As many runs as days: a job that is run more often settles sooner.
const RUNS_NEEDED: usize = 14;

/// Units without anything new that are called quiet: one week has every weekday.
const QUIET_NEEDED: usize = 7;

/// In how many of the latest units news of what had been quiet is looked for: two weeks.
const RECENT: usize = 14;

/// How many times longer than any pause so far the present one must be before it is taken for the
/// end.
const PAUSES: usize = 3;

/// Days that are never called long: a week has days of rest.
const SHORTEST_DORMANCY: usize = 7;

/// Days after which one that did something on one day only is called dormant: what is done once a
/// month would have come again.
const DORMANT_AFTER_ONE_DAY: usize = 35;

/// The state, where a week has so many units and `most_expected` is the upper end of the new
/// destinations of a week.
pub(super) fn state(
    sampling: &Sampling,
    tally: &Tally,
    week: f64,
    most_expected: Option<f64>,
    target: f64,
) -> LearningState {
    let is_enough = match sampling.unit {
        SamplingUnit::Day => tally.units.len() >= DAYS_NEEDED,
        SamplingUnit::Run => tally.units.len() >= RUNS_NEEDED,
        // Hours are counted where days are too few.
        SamplingUnit::Hour => false,
    };
    if is_dormant(sampling) {
        LearningState::Dormant
    } else if !is_enough {
        LearningState::Learning
    } else if came_back(&tally.first_in) as f64 / RECENT as f64 * week > target {
        LearningState::Unstable
    } else if tally.quiet >= QUIET_NEEDED && most_expected.is_some_and(|most| most <= target) {
        LearningState::Stable
    } else {
        LearningState::Learning
    }
}

/// Covered days since the application last did anything.
pub(super) fn idle_days(sampling: &Sampling) -> u64 {
    let last = sampling.active_days.last();
    let since = last.and_then(|last| last.checked_add(1));
    since.map_or(0, |since| sampling.covered_days.since(since).len() as u64)
}

fn is_dormant(sampling: &Sampling) -> bool {
    let needed = match longest_pause(sampling) {
        Some(pause) => (PAUSES * pause).max(SHORTEST_DORMANCY),
        None => DORMANT_AFTER_ONE_DAY,
    };
    idle_days(sampling) >= needed as u64
}

/// Most covered days that ever lay between two days on which the application did something.
fn longest_pause(sampling: &Sampling) -> Option<usize> {
    let covered: Vec<u32> = sampling.covered_days.iter().collect();
    let before = |day: u32| covered.partition_point(|covered| *covered < day);
    let days = sampling.active_days.iter();
    days.zip(sampling.active_days.iter().skip(1))
        .map(|(day, next)| before(next) - before(day + 1))
        .max()
}

/// What was new among the latest units, after a time in which nothing was.
fn came_back(first_in: &[usize]) -> usize {
    let mut quiet = 0;
    let back = first_in.iter().position(|count| {
        let was_quiet = quiet >= QUIET_NEEDED;
        quiet = if *count == 0 { quiet + 1 } else { 0 };
        was_quiet && *count > 0
    });
    let recent = first_in.len().saturating_sub(RECENT);
    back.map_or(0, |back| first_in[back.max(recent)..].iter().sum())
}
