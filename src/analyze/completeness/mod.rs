//! How much of what an application does has been seen, and how much has not.
//!
//! `docs/learning.md` has the formulas with the papers that they are from, and how often the
//! intervals hold.

pub mod estimators;
mod interval;
mod novelty;
mod state;
mod tally;

use crate::model::{Completeness, Estimate, NewDestinations, Sampling, SamplingUnit, Units};

pub use state::TARGET_NEW_PER_WEEK;

use interval::{count_high, count_low};
use novelty::{Novelty, Stretch};
use tally::Tally;

/// Fewer units than this give no number at all: the intervals would hold, and say nothing.
pub const UNITS_NEEDED: usize = 5;

/// How far ahead is looked, in covered units. Chao et al. (2014) advise against reaching beyond
/// twice to three times of what was sampled: three times is two more.
const LONGEST_OUTLOOK: f64 = 2.0;

const DAYS_OF_WEEK: f64 = 7.0;
const HOURS_OF_WEEK: f64 = 168.0;

/// What is known of the application, or the host, that was sampled so; one set of units for each
/// destination that it reached. The state says whether less than `target` new ones are to be
/// expected a week.
///
/// The order of destinations changes nothing. A unit in which a destination was reached counts as
/// covered, whatever `sampling` says.
pub fn completeness<'a>(
    sampling: &Sampling,
    destinations: impl Iterator<Item = &'a Units> + Clone,
    target: f64,
) -> Completeness {
    let tally = Tally::of(&sampling.covered, destinations);
    let units = tally.units.len();
    let week = units_of_week(sampling, units);
    let mut known = Completeness {
        state: state::state(sampling, &tally, week, None, target),
        is_partial: is_partial(sampling, &tally),
        unit: sampling.unit,
        units: units as u64,
        quiet: tally.quiet as u64,
        idle_days: state::idle_days(sampling),
        destinations: tally.destinations as u64,
        coverage: None,
        next_unit: None,
        next_week: None,
        at_least: None,
        chance_at_most: estimators::chance_at_most(tally.quiet),
    };
    if units < UNITS_NEEDED || tally.destinations == 0 {
        return known;
    }
    let novelty = Novelty::of(&tally, sampling.unit);
    known.coverage = Some(novelty.coverage(&tally));
    let next_unit = novelty.next_unit.as_ref();
    known.next_unit = next_unit.map(|stretch| outlook(&tally, stretch, 1.0));
    if week <= LONGEST_OUTLOOK * units as f64 {
        known.next_week = Some(outlook(&tally, &novelty.longer, week));
    }
    known.at_least = Some(estimators::at_least(&tally.counts()));
    let most_expected = known.next_week.map(|week| week.expected.high);
    known.state = state::state(sampling, &tally, week, most_expected, target);
    known
}

/// The new destinations of `ahead` more units, which is one or a stretch of them.
fn outlook(tally: &Tally, stretch: &Stretch, ahead: f64) -> NewDestinations {
    let counts = tally.counts();
    let high = stretch.high * ahead;
    // Above the upper end only where a long quiet refutes it.
    let value = estimators::expected_new(&counts, ahead).min(high);
    let next = estimators::expected_new(&counts, 1.0);
    // What is new becomes rarer, and the estimate knows by how much: the lower end follows it, the
    // upper end takes no advantage of it.
    let kept = if next > 0.0 { value / next } else { 0.0 };
    let expected = Estimate {
        value,
        low: (stretch.low * kept).min(value),
        high,
    };
    NewDestinations {
        expected,
        fewest: count_low(&expected, stretch.spread),
        most: count_high(&expected, stretch.spread),
    }
}

/// Units that a week has: as many as it had so far, for runs.
fn units_of_week(sampling: &Sampling, units: usize) -> f64 {
    match sampling.unit {
        SamplingUnit::Day => DAYS_OF_WEEK,
        SamplingUnit::Hour => HOURS_OF_WEEK,
        SamplingUnit::Run => {
            let since = sampling.active_days.first().unwrap_or(0);
            let days = sampling.covered_days.since(since).len().max(1);
            units as f64 / days as f64 * DAYS_OF_WEEK
        }
    }
}

/// Whether what happened in some of the time since the application was first seen is not known.
fn is_partial(sampling: &Sampling, tally: &Tally) -> bool {
    let was_covered = tally
        .units
        .iter()
        .all(|unit| sampling.covered.contains(*unit));
    let has_hole = match (sampling.unit, tally.units.first(), tally.units.last()) {
        (SamplingUnit::Day | SamplingUnit::Hour, Some(first), Some(last)) => {
            (last - first) as usize + 1 > tally.units.len()
        }
        // A run that was not watched has no number: days tell.
        (SamplingUnit::Run, _, _) => {
            let since = sampling.active_days.first().unwrap_or(0);
            sampling.covered_days.since(since).has_hole()
        }
        _ => false,
    };
    sampling.has_gaps || has_hole || !was_covered
}
