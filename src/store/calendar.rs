//! Hours and UTC days, in nanoseconds.

pub(super) const HOUR: i64 = 3_600_000_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// The start of the UTC day that an hour lies in.
pub(super) fn day_of(hour: i64) -> i64 {
    hour.saturating_sub(hour.rem_euclid(DAY))
}

/// The bit of an hour within its day.
pub(super) fn bit_of(hour: i64) -> u32 {
    let hours = hour.saturating_sub(day_of(hour)) / HOUR;
    1 << u32::try_from(hours).unwrap_or_default().min(23)
}
