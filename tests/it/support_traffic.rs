//! How often what is concluded from made-up traffic is true.

use egress_baseline::{
    analyze::completeness::{TARGET_NEW_PER_WEEK, completeness},
    model::{Completeness, Estimate, LearningState, Sampling, Units},
};

use super::support_sources::{Series, Traffic, series_of};

/// Traffic, and the units after which it is looked at.
pub(crate) const LINES: [(Traffic, &[u32]); 7] = [
    (Traffic::Zipf, &[5, 7, 14, 30, 90]),
    (Traffic::Settled, &[5, 7, 14, 30, 90]),
    (Traffic::Installed, &[5, 7, 14, 30, 90]),
    (Traffic::Bursty, &[5, 7, 14, 30, 90]),
    (Traffic::Weekly, &[5, 7, 14, 30, 90]),
    (Traffic::Moving, &[5, 7, 14, 30, 90]),
    (Traffic::Hourly, &[12, 24, 48, 96]),
];

/// What is told of each.
pub(crate) const COLUMNS: [&str; 7] = [
    "sample coverage",
    "new in the next unit",
    "new in the next week",
    "came in that week",
    "chance at most",
    "rightly stable",
    "plain, next unit",
];

/// How often intervals hold, and how wide they are in the mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) held: u32,
    pub(crate) asked: u32,
    width: f64,
    truth: f64,
}

/// How often what was concluded of many series was true.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) coverage: Held,
    pub(crate) next_unit: Held,
    pub(crate) next_week: Held,
    pub(crate) came_in_week: Held,
    /// The chance of something new in the next unit, and the bound that quiet units give.
    pub(crate) chance: Held,
    /// Series that were called stable, and whether as little is to be expected as that says.
    pub(crate) stable: Held,
    /// The same as `next_unit`, by the published estimate and the normal interval of Esty (1983).
    pub(crate) plain: Held,
}

impl Held {
    fn ask(&mut self, truth: f64, given: Estimate) {
        // What is certain is a share of one, but for rounding.
        const ROUNDING: f64 = 1e-9;
        self.asked += 1;
        self.held += u32::from(given.low - ROUNDING <= truth && truth <= given.high + ROUNDING);
        self.width += given.high - given.low;
        self.truth += truth;
    }

    /// The share of intervals that held.
    pub(crate) fn share(&self) -> f64 {
        f64::from(self.held) / f64::from(self.asked)
    }

    /// How wide they are in the mean.
    pub(crate) fn width(&self) -> f64 {
        self.width / f64::from(self.asked)
    }

    /// What is true, in the mean.
    pub(crate) fn truth(&self) -> f64 {
        self.truth / f64::from(self.asked)
    }
}

/// What is concluded of so many series of so many units, beside what is true.
pub(crate) fn score(traffic: Traffic, units: u32, series: u32) -> Score {
    let mut score = Score::default();
    for number in 0..series {
        let series = series_of(traffic, units, number.into());
        if !series.destinations.is_empty() {
            score.ask(&series, &series.conclude());
        }
    }
    score
}

impl Score {
    fn ask(&mut self, series: &Series, known: &Completeness) {
        if let Some(coverage) = known.coverage {
            self.coverage.ask(series.coverage, coverage);
        }
        if let Some(next) = known.next_unit {
            self.next_unit.ask(series.next_unit, next.expected);
            self.plain.ask(series.next_unit, series.plain());
        }
        let most = known.chance_at_most.unwrap_or(1.0);
        self.chance.ask(series.chance, up_to(most));
        if known.state == LearningState::Stable {
            self.stable
                .ask(series.next_week, up_to(TARGET_NEW_PER_WEEK));
        }
        if let Some(next) = known.next_week {
            self.next_week.ask(series.next_week, next.expected);
            let counted = Estimate {
                value: next.expected.value,
                low: next.fewest as f64,
                high: next.most as f64,
            };
            self.came_in_week.ask(series.came_in_week as f64, counted);
        }
    }
}

fn up_to(high: f64) -> Estimate {
    Estimate {
        value: high,
        low: 0.0,
        high,
    }
}

impl Series {
    fn conclude(&self) -> Completeness {
        let sampling = Sampling {
            unit: self.unit,
            covered: self.covered.clone(),
            covered_days: Units::new(),
            active_days: Units::new(),
            has_gaps: false,
        };
        completeness(&sampling, self.destinations.iter(), TARGET_NEW_PER_WEEK)
    }

    fn plain(&self) -> Estimate {
        let times = |times| {
            self.destinations
                .iter()
                .filter(|units| units.len() == times)
                .count() as f64
        };
        let first = self.destinations.iter().filter_map(Units::first).min();
        let units = self.covered.since(first.unwrap_or(0)).len() as f64;
        let half = 1.96 * (times(1) + 2.0 * times(2)).sqrt();
        Estimate {
            value: times(1) / units,
            low: ((times(1) - half) / units).max(0.0),
            high: (times(1) + half) / units,
        }
    }
}
