//! Numbers, times and durations as people read them.

use std::time::Duration;

use crate::model::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 flow`, `2,000 flows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `512 B`, `4.1 kB`, `88 MB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    // Tenths of the unit, rounded half up; the next unit is taken where rounding reaches it.
    let mut divisor: u128 = 100;
    for unit in UNITS {
        let tenths = (u128::from(number) + divisor / 2) / divisor;
        if tenths < 100 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        let whole = (u128::from(number) + divisor * 5) / (divisor * 10);
        if whole < 1000 {
            return format!("{whole} {unit}");
        }
        divisor *= 1000;
    }
    format!("{number} B")
}

/// `-` for nothing, else [`bytes`].
pub(super) fn bytes_if_any(number: u64) -> String {
    match number {
        0 => "-".to_owned(),
        some => bytes(some),
    }
}

/// The two largest units: `3 d 4 h`, `2 h`, `45 s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    if seconds >= DAY {
        two(seconds / DAY, "d", seconds % DAY / HOUR, "h")
    } else if seconds >= HOUR {
        two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min")
    } else if seconds >= MINUTE {
        two(seconds / MINUTE, "min", seconds % MINUTE, "s")
    } else {
        format!("{seconds} s")
    }
}

/// A duration that may be far below a second: `1.2 ms`, `3.4 s`, else [`duration`].
pub(super) fn short_duration(time: Duration) -> String {
    match time.as_secs() {
        0 if time.as_nanos() < 1_000_000 => format!("{} µs", time.as_micros()),
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        _ => duration(time),
    }
}

/// `2026-11-22 12:00`, UTC.
pub(super) fn minute(time: Timestamp) -> String {
    cut(time, "2026-11-22T12:00".len())
}

/// `2026-11-22 12:00:30`, UTC.
pub(super) fn second(time: Timestamp) -> String {
    cut(time, "2026-11-22T12:00:30".len())
}

fn cut(time: Timestamp, length: usize) -> String {
    let text = time.to_string();
    match text.get(..length) {
        Some(part) => part.replacen('T', " ", 1),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, count, counted, duration};

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "flow", "flows"), "1 flow");
    }

    #[test]
    fn bytes_have_two_digits_and_never_reach_the_next_unit_unnamed() {
        for (number, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (1_050, "1.1 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(7_200)), "2 h");
        assert_eq!(duration(Duration::from_secs(273_661)), "3 d 4 h");
    }
}
