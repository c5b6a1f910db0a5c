//! The published estimators, as their papers have them.

use crate::model::Estimate;

use super::interval::Z;

/// Chances that are called certain below it.
const DOUBT: f64 = 0.05;

/// What the estimators know of a sample: how many destinations were reached in how many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Units, `t`.
    pub units: usize,
    /// Destinations, `S`.
    pub destinations: usize,
    /// Sum over destinations of the units in which each was reached, `U`.
    pub incidences: usize,
    /// Destinations that were reached in exactly one unit, `Q1`.
    pub once: usize,
    /// In exactly two, `Q2`.
    pub twice: usize,
}

impl Counts {
    fn as_numbers(&self) -> (f64, f64, f64) {
        (self.units as f64, self.once as f64, self.twice as f64)
    }
}

/// The share of all incidences that belongs to destinations that were seen: sample coverage of Chao
/// and Jost (2012), for incidences. None where nothing happened.
///
/// One unit alone has a coverage of 1 by it, which means nothing: ask for several.
pub fn sample_coverage(counts: &Counts) -> Option<f64> {
    let (units, once, twice) = counts.as_numbers();
    let incidences = counts.incidences as f64;
    if counts.incidences == 0 {
        return None;
    }
    let seen_before = units - 1.0;
    let missed = match (counts.once, counts.twice) {
        (0, _) => 0.0,
        (_, 0) => seen_before * (once - 1.0) / (seen_before * (once - 1.0) + 2.0),
        _ => seen_before * once / (seen_before * once + 2.0 * twice),
    };
    Some(1.0 - once / incidences * missed)
}

/// Destinations that were not seen, at least: Chao2 (Chao 1987).
pub fn unseen(counts: &Counts) -> f64 {
    let (units, once, twice) = counts.as_numbers();
    if counts.units == 0 || counts.once == 0 {
        return 0.0;
    }
    let share = (units - 1.0) / units;
    match counts.twice {
        0 => share * once * (once - 1.0) / 2.0,
        _ => share * once * once / (2.0 * twice),
    }
}

/// New destinations to be expected of `ahead` more units: the extrapolation of Colwell et al. (2012)
/// and Chao et al. (2014).
pub fn expected_new(counts: &Counts, ahead: f64) -> f64 {
    let (units, once, _) = counts.as_numbers();
    let unseen = unseen(counts);
    if unseen <= 0.0 {
        return 0.0;
    }
    let chance = once / (once + units * unseen);
    -unseen * (ahead * (-chance).ln_1p()).exp_m1()
}

/// Destinations that there are at least: Chao2 with its bias corrected, and the interval of Chao
/// (1987), which does not reach below what was seen.
pub fn at_least(counts: &Counts) -> Estimate {
    let (units, once, twice) = counts.as_numbers();
    let seen = counts.destinations as f64;
    let share = if counts.units == 0 {
        0.0
    } else {
        (units - 1.0) / units
    };
    let unseen = share * once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0));
    let value = seen + unseen;
    if unseen <= 0.0 {
        return at_least_of_settled(counts);
    }
    let variance = match counts.twice {
        0 => {
            let pairs = once * (once - 1.0) / 2.0;
            share * pairs + share * share * once * (2.0 * once - 1.0).powi(2) / 4.0
                - share * share * once.powi(4) / (4.0 * value)
        }
        _ => {
            let twice = twice + 1.0;
            share * once * (once - 1.0) / (2.0 * twice)
                + share * share * once * (2.0 * once - 1.0).powi(2) / (4.0 * twice * twice)
                + share * share * once * once * (twice - 1.0) * (once - 1.0).powi(2)
                    / (4.0 * twice.powi(4))
        }
    };
    let wider = (Z * (variance.max(0.0) / (unseen * unseen)).ln_1p().sqrt()).exp();
    Estimate {
        value,
        low: seen + unseen / wider,
        high: seen + unseen * wider,
    }
}

/// The interval where nothing unseen is estimated, as EstimateS has it (Colwell 2013).
fn at_least_of_settled(counts: &Counts) -> Estimate {
    let seen = counts.destinations as f64;
    if counts.destinations == 0 {
        return Estimate {
            value: 0.0,
            low: 0.0,
            high: 0.0,
        };
    }
    let missed = (-(counts.incidences as f64) / seen).exp();
    let middle = seen / (1.0 - missed);
    let half = Z * (seen * missed * (1.0 - missed)).sqrt() / (1.0 - missed);
    Estimate {
        value: seen,
        low: (middle - half).max(seen).min(seen),
        high: middle + half,
    }
}

/// After `quiet` units on end without anything new, the largest chance of something new in a unit
/// that is not refuted at 95 %: the exact bound of Clopper and Pearson (1934) for no success. None
/// where the last unit brought something new.
pub fn chance_at_most(quiet: usize) -> Option<f64> {
    (quiet > 0).then(|| -(DOUBT.ln() / quiet as f64).exp_m1())
}
