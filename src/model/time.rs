//! Points in time and windows of time.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const NANOSECONDS_PER_HOUR: i64 = 3_600_000_000_000;

impl Timestamp {
    /// The point `nanoseconds` after the Unix epoch.
    pub const fn from_unix_ns(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_ns(self) -> i64 {
        self.0
    }

    /// The start of the UTC hour that this point lies in.
    pub const fn hour(self) -> Self {
        Self(
            self.0
                .saturating_sub(self.0.rem_euclid(NANOSECONDS_PER_HOUR)),
        )
    }

    /// The UTC day, in days since 1970.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(24 * NANOSECONDS_PER_HOUR)
    }

    /// The start of the next UTC hour.
    pub const fn next_hour(self) -> Self {
        Self(self.hour().0.saturating_add(NANOSECONDS_PER_HOUR))
    }

    /// This point moved `by` into the past; stops at the earliest that can be written.
    pub fn before(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// This point moved `by` into the future; stops at the latest that can be written.
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits of the second as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

/// Why a text is no point in time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is neither an RFC 3339 time, a date, nor an age such as `24h` or `7d`")]
pub struct TimeError {
    text: String,
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let failure = || TimeError {
            text: text.to_owned(),
        };
        let instant: jiff::Timestamp = text.parse().map_err(|_| failure())?;
        i64::try_from(instant.as_nanosecond())
            .map(Self)
            .map_err(|_| failure())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Reads a time as people write it: RFC 3339, a date (its first moment, UTC), or an age before `now`
/// (`30m`, `24h`, `7d`, `2w`).
pub fn parse_when(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && let Ok(start) = date.to_zoned(jiff::tz::TimeZone::UTC)
        && let Ok(nanoseconds) = i64::try_from(start.timestamp().as_nanosecond())
    {
        return Ok(Timestamp(nanoseconds));
    }
    match parse_duration(text) {
        Ok(age) => Ok(now.before(age)),
        Err(_) => Err(TimeError {
            text: text.to_owned(),
        }),
    }
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no duration such as `30s`, `5m`, `24h`, `7d` or `2w`")]
pub struct DurationError {
    text: String,
}

/// Reads a duration as people write it: a whole number and one of `s`, `m`, `h`, `d`, `w`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let failure = || DurationError {
        text: text.to_owned(),
    };
    let unit = text.chars().last().ok_or_else(failure)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(failure()),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(failure());
    }
    let count: u64 = digits.parse().map_err(|_| failure())?;
    let total = seconds.checked_mul(count).ok_or_else(failure)?;
    Ok(Duration::from_secs(total))
}

/// How the time since boot and the time of day stood to each other at one moment.
///
/// Taken anew for each flush interval: the time of day may be stepped, and the time since boot goes on
/// through suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootClock {
    boot_ns: u64,
    now: Timestamp,
}

impl BootClock {
    /// It was `now` when the host had been up for `boot_ns` nanoseconds.
    pub const fn new(boot_ns: u64, now: Timestamp) -> Self {
        Self { boot_ns, now }
    }

    /// Nanoseconds since boot at that moment.
    pub const fn boot_ns(self) -> u64 {
        self.boot_ns
    }

    /// The time of day at that moment.
    pub const fn now(self) -> Timestamp {
        self.now
    }

    /// The time of day of what the kernel stamped.
    pub fn at(self, boot_ns: u64) -> Timestamp {
        if boot_ns <= self.boot_ns {
            self.now
                .before(Duration::from_nanos(self.boot_ns - boot_ns))
        } else {
            self.now.after(Duration::from_nanos(boot_ns - self.boot_ns))
        }
    }
}

/// A half-open stretch of time; an open end reaches as far as there is anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment inside, if bounded.
    pub since: Option<Timestamp>,
    /// The first moment after, if bounded.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, parse_duration, parse_when};

    const NOON: Timestamp = Timestamp::from_unix_ns(1_795_348_800_000_000_000);

    #[test]
    fn times_dates_and_ages_are_understood() {
        assert_eq!(NOON.to_string(), "2026-11-22T12:00:00Z");
        assert_eq!(parse_when("2026-11-22T12:00:00Z", NOON).unwrap(), NOON);
        assert_eq!(parse_when("2026-11-22T14:00:00+02:00", NOON).unwrap(), NOON);
        assert_eq!(
            parse_when("2026-11-22", NOON).unwrap().to_string(),
            "2026-11-22T00:00:00Z"
        );
        assert_eq!(
            parse_when("36h", NOON).unwrap().to_string(),
            "2026-11-21T00:00:00Z"
        );
        assert_eq!(
            parse_when("1w", NOON).unwrap().to_string(),
            "2026-11-15T12:00:00Z"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "h",
            "-3h",
            "yesterday",
            "12",
            "99999999999999999999d",
            "3µ",
            "2026-13-01",
        ] {
            assert!(parse_when(text, NOON).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("90s").unwrap().as_secs(), 90);
        assert_eq!(parse_duration("7d").unwrap().as_secs(), 604_800);
        for text in ["", "10", "1.5h", "+1h", "1h30m", "18446744073709551615w"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hours_are_cut_downwards_also_before_the_epoch() {
        assert_eq!(
            Timestamp::from_unix_ns(-1).hour().to_string(),
            "1969-12-31T23:00:00Z"
        );
    }
}
