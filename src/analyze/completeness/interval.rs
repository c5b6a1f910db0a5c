//! Intervals for counts that come in bursts.

use crate::model::Estimate;

/// 97.5 % of the normal distribution lie below.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// Upper limit of the mean, at 95 %, of what did not happen at all: −ln 0.05.
const NONE_SEEN: f64 = 2.995_732_273_553_991;

/// Where the mean is larger, counts are as good as normal, and cheaper.
const LARGE_MEAN: f64 = 400.0;

/// The smallest mean that would bring so many: Byar's limit for Poisson counts, of which each stands
/// for `spread`.
pub(super) fn mean_low(count: f64, spread: f64) -> f64 {
    let events = count / spread;
    if events <= 0.0 {
        return 0.0;
    }
    let root = 1.0 - 1.0 / (9.0 * events) - Z / (3.0 * events.sqrt());
    spread * events * root.max(0.0).powi(3)
}

/// The largest mean that would bring no more than so many. For none it is the limit at 95 %, since
/// there is no lower end to share the doubt with.
pub(super) fn mean_high(count: f64, spread: f64) -> f64 {
    if count <= 0.0 {
        return NONE_SEEN * spread;
    }
    let events = count / spread + 1.0;
    let root = 1.0 - 1.0 / (9.0 * events) + Z / (3.0 * events.sqrt());
    spread * events * root.powi(3)
}

/// How many things come together where one comes: 1 for what comes one by one. It is the variance
/// of counts by unit over their mean.
pub(super) fn spread(counts: &[usize]) -> f64 {
    let number = counts.len() as f64;
    let mean = counts.iter().sum::<usize>() as f64 / number.max(1.0);
    if mean <= 0.0 || counts.len() < 2 {
        return 1.0;
    }
    let squares = counts.iter().map(|count| (*count as f64 - mean).powi(2));
    (squares.sum::<f64>() / (number - 1.0) / mean).max(1.0)
}

/// Fewest that will come where the mean is in this interval.
pub(super) fn count_low(expected: &Estimate, spread: f64) -> u64 {
    let mean = expected.value;
    let by_chance = mean - spread * quantile(mean / spread, Z, 0.025);
    let by_doubt = mean - expected.low;
    (mean - by_chance.hypot(by_doubt)).max(0.0).ceil() as u64
}

/// Most that will come where the mean is in this interval.
pub(super) fn count_high(expected: &Estimate, spread: f64) -> u64 {
    // An estimate of none is no mean: a third of the upper end is one that is likely.
    let mean = expected.value.max(expected.high / NONE_SEEN);
    let by_chance = spread * quantile(mean / spread, Z, 0.975) - mean;
    let by_doubt = expected.high - mean;
    (mean + by_chance.max(0.0).hypot(by_doubt)).floor() as u64
}

/// The smallest count that a Poisson variable with this mean does not exceed with this probability.
fn quantile(mean: f64, z: f64, probability: f64) -> f64 {
    if mean > LARGE_MEAN {
        let sign = if probability < 0.5 { -1.0 } else { 1.0 };
        return mean + sign * z * mean.sqrt();
    }
    let mut count = 0.0;
    let mut term = (-mean).exp();
    let mut sum = term;
    while sum < probability && count < 2.0 * LARGE_MEAN {
        count += 1.0;
        term *= mean / count;
        sum += term;
    }
    count
}
