//! How often something new comes, between which bounds.
//!
//! The published variance holds where units are alike and independent. Traffic comes in bursts,
//! follows the week, and moves on; so several readings of the same units are taken, and the interval
//! reaches over all of them.

use crate::model::{Estimate, SamplingUnit};

use super::{
    estimators,
    interval::{Z, mean_high, mean_low, spread},
    tally::Tally,
};

/// Chi-square with 6 and 23 degrees of freedom stays below with 99.9 %: what is above it is a rhythm.
const RHYTHM_OF_WEEK: f64 = 22.46;
const RHYTHM_OF_DAY: f64 = 49.73;

/// Runs have no rhythm; as many as a week has days are called long.
const UNITS_OF_TURN: usize = 7;

/// How often something new comes in a stretch of time, for each unit of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) low: f64,
    pub(super) high: f64,
    /// How many come together.
    pub(super) spread: f64,
}

/// How often something new comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Novelty {
    /// In the unit that follows, which has its place in the week, or day; none before each place was
    /// covered once.
    pub(super) next_unit: Option<Stretch>,
    /// In units on end.
    pub(super) longer: Stretch,
}

/// What units may follow: turns of so many units, where a chi-square above `evidence` shows that these
/// are not alike. Nothing is said of a next unit before `turns` of them: neighbours are too much
/// alike for one to tell.
#[derive(Clone, Copy)]
struct Rhythm {
    period: u32,
    turns: usize,
    evidence: f64,
}

fn rhythm_of(unit: SamplingUnit) -> Option<Rhythm> {
    match unit {
        SamplingUnit::Day => Some(Rhythm {
            period: 7,
            turns: 1,
            evidence: RHYTHM_OF_WEEK,
        }),
        SamplingUnit::Hour => Some(Rhythm {
            period: 24,
            turns: 2,
            evidence: RHYTHM_OF_DAY,
        }),
        SamplingUnit::Run => None,
    }
}

impl Novelty {
    pub(super) fn of(tally: &Tally, unit: SamplingUnit) -> Self {
        let rhythm = rhythm_of(unit);
        let turn = rhythm.map_or(UNITS_OF_TURN, |rhythm| rhythm.period as usize);
        let alike = of_units_alike(tally);
        let recent = of_recent_units(tally, alike.spread);
        let longer = Stretch {
            low: alike.low.min(recent.low),
            high: if is_long_quiet(tally, turn) {
                recent.high
            } else {
                recent.high.max(alike.high)
            },
            spread: recent.spread,
        };
        let next_unit = match rhythm {
            Some(rhythm) if tally.units.len() < rhythm.turns * rhythm.period as usize => None,
            Some(rhythm) => Some(of_next_place(tally, rhythm, longer)),
            None => Some(longer),
        };
        Self { next_unit, longer }
    }

    /// Sample coverage with its interval: what is missing of it is what new destinations will take.
    pub(super) fn coverage(&self, tally: &Tally) -> Estimate {
        let counts = tally.counts();
        let each_unit = counts.incidences as f64 / counts.units as f64;
        let missing = self.longer.high * tally.stay;
        let low = (1.0 - missing / each_unit).max(0.0);
        // Below the lower end only where a long quiet refutes it.
        let value = estimators::sample_coverage(&counts).unwrap_or(0.0).max(low);
        Estimate {
            value,
            low,
            high: (1.0 - self.longer.low / each_unit).clamp(value, 1.0),
        }
    }
}

/// Whether nothing new came for so long that this alone tells what to expect: for one turn, and half
/// of all units. What was reached once when a program was set up says nothing any more then.
fn is_long_quiet(tally: &Tally, turn: usize) -> bool {
    tally.quiet >= turn && 2 * tally.quiet >= tally.units.len()
}

/// Units are alike, in whatever order: destinations of one unit tell of those of none (Good and
/// Turing), with the variance of Esty (1983) where they come one by one, and a compound Poisson's
/// where they come together. The first unit is left out: a program that starts is not alike.
fn of_units_alike(tally: &Tally) -> Stretch {
    let counts = tally.counts();
    let units = counts.units as f64;
    let later = &tally.unique_in[1..];
    let spread = spread(later);
    let once = later.iter().sum::<usize>() as f64;
    let unseen = Z * (2.0 * counts.twice as f64).sqrt();
    let low = once - (once - mean_low(once, spread)).hypot(unseen);
    let high = once + (mean_high(once, spread) - once).hypot(unseen);
    // The estimators put what is expected somewhat below the destinations of one unit.
    let of_one_unit = counts.once.max(1) as f64 / units;
    let below = (estimators::expected_new(&counts, 1.0) / of_one_unit).min(1.0);
    Stretch {
        low: low.max(0.0) * below / (units - 1.0),
        high: high / (units - 1.0),
        spread,
    }
}

/// Time has an order: what the latter half of the units brought, or all since the last new
/// destination if that is longer.
fn of_recent_units(tally: &Tally, least_spread: f64) -> Stretch {
    let units = tally.first_in.len();
    let window = (units / 2).max(tally.quiet).clamp(1, units.max(2) - 1);
    let recent = &tally.first_in[units - window..];
    let count: usize = recent.iter().sum();
    let spread = match count {
        0 => 1.0,
        _ => spread(recent).max(least_spread),
    };
    Stretch {
        low: mean_low(count as f64, spread) / window as f64,
        high: mean_high(count as f64, spread) / window as f64,
        spread,
    }
}

/// What the next unit brings, by its place in the week, or day, if units keep to that.
fn of_next_place(tally: &Tally, rhythm: Rhythm, longer: Stretch) -> Stretch {
    let period = rhythm.period as usize;
    let next = tally.units.last().map_or(0, |last| last.wrapping_add(1));
    // The first turn brings what is always there.
    let later = &tally.units[period..];
    let reached = Turns::of(&tally.units, &tally.reached_in, rhythm);
    let new = Turns::of(later, &tally.first_in[period..], rhythm);
    let same: Vec<usize> = later
        .iter()
        .zip(&tally.first_in[period..])
        .filter(|(unit, _)| *unit % rhythm.period == next % rhythm.period)
        .map(|(_, count)| *count)
        .collect();
    let turns = same.len().max(1) as f64;
    let count = same.iter().sum::<usize>() as f64;
    let spread = spread(&same).max(longer.spread);
    let mut next_unit = Stretch {
        low: longer.low.min(mean_low(count, spread) / turns),
        ..longer
    };
    if reached.differ(rhythm) || new.differ(rhythm) {
        next_unit.high *= reached.relative(next, rhythm).max(1.0);
        if count > 0.0 {
            next_unit.high = next_unit.high.max(mean_high(count, spread) / turns);
        }
    }
    next_unit
}

/// Sums of counts by the place of the unit.
struct Turns {
    units: Vec<f64>,
    sums: Vec<f64>,
    /// Sum of squares of all counts.
    squares: f64,
}

impl Turns {
    fn of(units: &[u32], counts: &[usize], rhythm: Rhythm) -> Self {
        let mut turns = Self {
            units: vec![0.0; rhythm.period as usize],
            sums: vec![0.0; rhythm.period as usize],
            squares: 0.0,
        };
        for (unit, count) in units.iter().zip(counts) {
            let place = (unit % rhythm.period) as usize;
            turns.units[place] += 1.0;
            turns.sums[place] += *count as f64;
            turns.squares += (*count as f64).powi(2);
        }
        turns
    }

    fn mean(&self) -> f64 {
        self.sums.iter().sum::<f64>() / self.units.iter().sum::<f64>().max(1.0)
    }

    /// Whether places differ by more than chance: Pearson's chi-square, over the dispersion that units
    /// of the same place have.
    fn differ(&self, rhythm: Rhythm) -> bool {
        let mean = self.mean();
        if mean <= 0.0 {
            return false;
        }
        let places = || {
            self.units
                .iter()
                .zip(&self.sums)
                .filter(|(units, _)| **units > 0.0)
        };
        let between: f64 = places()
            .map(|(units, sum)| (sum - mean * units).powi(2) / (mean * units))
            .sum();
        let within: f64 =
            self.squares - places().map(|(units, sum)| sum * sum / units).sum::<f64>();
        let freedom = self.units.iter().sum::<f64>() - places().count() as f64;
        let dispersion = if freedom > 0.0 {
            (within / freedom / mean).max(1.0)
        } else {
            1.0
        };
        between / dispersion > rhythm.evidence
    }

    /// How much more than in the mean there is at the place of this unit.
    fn relative(&self, unit: u32, rhythm: Rhythm) -> f64 {
        let place = (unit % rhythm.period) as usize;
        match (self.mean(), self.units[place]) {
            (mean, units) if mean > 0.0 && units > 0.0 => self.sums[place] / units / mean,
            _ => 1.0,
        }
    }
}
