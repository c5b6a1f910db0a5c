//! Stretches of time, and what is covered by several.

use crate::model::Timestamp;

const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

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

pub(super) fn days(stretches: &[Stretch]) -> u64 {
    let mut days = 0_u64;
    let mut counted_to = None;
    for (start, end) in stretches {
        let first = start.unix_ns().div_euclid(NANOSECONDS_PER_DAY);
        let last = end
            .unix_ns()
            .saturating_sub(1)
            .div_euclid(NANOSECONDS_PER_DAY);
        let first = counted_to.map_or(first, |to: i64| first.max(to + 1));
        if last >= first {
            days = days.saturating_add(u64::try_from(last - first + 1).unwrap_or(0));
            counted_to = Some(last);
        }
    }
    days
}
