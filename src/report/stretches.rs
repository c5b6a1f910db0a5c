//! Stretches of time, and what is covered by several.

use crate::model::{Timestamp, Units};

pub(super) const DAY: i64 = 86_400_000_000_000;
pub(super) const HOUR: i64 = DAY / 24;

/// From the first to the second.
pub(super) type Stretch = (Timestamp, Timestamp);

pub(super) fn clipped((start, end): Stretch, since: Timestamp, until: Timestamp) -> Stretch {
    (start.max(since), end.min(until))
}

/// Sorted, disjoint and without empty ones.
pub(super) fn merged(stretches: impl Iterator<Item = Stretch>) -> Vec<Stretch> {
    let mut sorted: Vec<Stretch> = stretches.filter(|(start, end)| start < end).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::new();
    for (start, end) in sorted {
        match merged.last_mut() {
            Some((_, reached)) if start <= *reached => *reached = end.max(*reached),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// `from` without `holes`; both sorted and disjoint.
pub(super) fn without(from: &[Stretch], holes: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    for &(start, end) in from {
        let mut at = start;
        for &(hole_start, hole_end) in holes {
            if hole_end <= at || hole_start >= end {
                continue;
            }
            if at < hole_start {
                left.push((at, hole_start));
            }
            at = at.max(hole_end);
        }
        if at < end {
            left.push((at, end));
        }
    }
    left
}

pub(super) fn seconds(stretches: &[Stretch]) -> u64 {
    stretches
        .iter()
        .map(|(start, end)| end.since(*start).as_secs())
        .fold(0, u64::saturating_add)
}

/// The next moment that can be told apart.
pub(super) fn just_after(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_ns(at.unix_ns().saturating_add(1))
}

/// Numbers of the units of so many nanoseconds, counted from 1970 on, of which the stretches have a part.
pub(super) fn units(stretches: &[Stretch], length: i64) -> Units {
    let mut units = Units::new();
    for (start, end) in stretches {
        let number = |at: i64| u32::try_from(at.div_euclid(length));
        let (first, last) = (start.unix_ns(), end.unix_ns().saturating_sub(1));
        if let (Ok(first), Ok(last)) = (number(first.max(0)), number(last)) {
            (first..=last).for_each(|unit| units.insert(unit));
        }
    }
    units
}
