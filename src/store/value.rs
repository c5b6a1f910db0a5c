//! Values of the model as SQLite holds them.

use std::{net::IpAddr, time::Duration};

use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::model::{NameSource, OpeningKind, Outcome, Timestamp};

/// Identifies a row by all of its columns at once.
pub(super) type Digest = [u8; 32];

/// A count as SQLite holds it; more than that cannot be meant.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count from SQLite; what is negative was not written by us.
pub(super) fn uncount(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Nanoseconds of a duration.
pub(super) fn nanoseconds(value: Duration) -> i64 {
    i64::try_from(value.as_nanos()).unwrap_or(i64::MAX)
}

/// As the table `name_source` numbers them. Of several sources of one name the lowest number is told: what
/// a flow says beside an encrypted name is the least of them there, since whoever else knows that name
/// confirms it.
pub(super) fn rank(source: NameSource) -> i64 {
    match source {
        NameSource::ServerName => 1,
        NameSource::DnsAnswer => 2,
        NameSource::HostDnsAnswer => 3,
        NameSource::Inferred => 4,
        NameSource::Imported => 5,
        NameSource::OuterServerName => 6,
    }
}

/// The opposite of [`rank`].
pub(super) fn source_of_rank(rank: i64) -> NameSource {
    match rank {
        1 => NameSource::ServerName,
        2 => NameSource::DnsAnswer,
        3 => NameSource::HostDnsAnswer,
        4 => NameSource::Inferred,
        6 => NameSource::OuterServerName,
        _ => NameSource::Imported,
    }
}

/// The number of an outcome, as the table `outcome` has it. The usual ones are 0 and 1, which take no
/// room in a row.
pub(super) fn number_of(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Established => 0,
        Outcome::Sent => 1,
        Outcome::Unknown => 2,
        Outcome::Pending => 3,
        Outcome::Refused => 4,
        Outcome::Unreachable => 5,
        Outcome::TimedOut => 6,
        Outcome::Denied => 7,
        Outcome::Failed => 8,
        Outcome::MaybeReply => 9,
    }
}

/// The opposite of [`number_of`].
pub(super) fn outcome_of(number: i64) -> rusqlite::Result<Outcome> {
    Outcome::ALL
        .into_iter()
        .find(|outcome| number_of(*outcome) == number)
        .ok_or_else(|| invalid(format!("{number} is no outcome").into()))
}

/// The number of an opening, as the table `opening` has it.
pub(super) fn number_of_opening(opening: OpeningKind) -> i64 {
    match opening {
        OpeningKind::EncryptedClientHello => 1,
        OpeningKind::Proxy => 2,
        OpeningKind::MayStartTls => 3,
    }
}

/// The opposite of [`number_of_opening`].
pub(super) fn opening_of(number: i64) -> rusqlite::Result<OpeningKind> {
    OpeningKind::ALL
        .into_iter()
        .find(|opening| number_of_opening(*opening) == number)
        .ok_or_else(|| invalid(format!("{number} is no opening").into()))
}

/// A list or object as JSON text.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists have a JSON form")
}

/// A digest of everything in `value`.
pub(super) fn digest(value: &impl Serialize) -> Digest {
    Sha256::digest(json(value)).into()
}

/// Reads columns of a row by name.
pub(super) trait Columns {
    /// A point in time.
    fn time(&self, column: &str) -> rusqlite::Result<Timestamp>;
    /// A count.
    fn counted(&self, column: &str) -> rusqlite::Result<u64>;
    /// A count that may be missing.
    fn maybe_counted(&self, column: &str) -> rusqlite::Result<Option<u64>>;
    /// JSON text.
    fn parsed<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<T>;
    /// JSON text that may be missing.
    fn maybe_parsed<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<Option<T>>;
    /// An address that may be missing.
    fn address(&self, column: &str) -> rusqlite::Result<Option<IpAddr>>;
    /// The outcome of a row.
    fn outcome(&self) -> rusqlite::Result<Outcome>;
    /// The name source of a row.
    fn name_source(&self) -> rusqlite::Result<Option<NameSource>>;
}

impl Columns for Row<'_> {
    fn time(&self, column: &str) -> rusqlite::Result<Timestamp> {
        self.get(column).map(Timestamp::from_unix_ns)
    }

    fn counted(&self, column: &str) -> rusqlite::Result<u64> {
        self.get(column).map(uncount)
    }

    fn maybe_counted(&self, column: &str) -> rusqlite::Result<Option<u64>> {
        Ok(self.get::<_, Option<i64>>(column)?.map(uncount))
    }

    fn parsed<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<T> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| invalid(error.into()))
    }

    fn maybe_parsed<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| invalid(error.into()))
    }

    fn address(&self, column: &str) -> rusqlite::Result<Option<IpAddr>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(|error: std::net::AddrParseError| invalid(error.into()))
    }

    fn outcome(&self) -> rusqlite::Result<Outcome> {
        outcome_of(self.get("outcome")?)
    }

    fn name_source(&self) -> rusqlite::Result<Option<NameSource>> {
        Ok(self
            .get::<_, Option<i64>>("name_source")?
            .map(source_of_rank))
    }
}

/// A value that this program never writes.
pub(super) fn invalid(cause: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, cause)
}

#[cfg(test)]
mod tests {
    use super::{number_of, number_of_opening, opening_of, outcome_of, rank, source_of_rank};
    use crate::model::{NameSource, OpeningKind, Outcome};

    #[test]
    fn every_outcome_has_a_number_of_its_own_as_the_migration_wrote_it() {
        let migration = include_str!("../../migrations/0003_compact.sql");
        for outcome in Outcome::ALL {
            let number = number_of(outcome);
            assert_eq!(outcome_of(number).unwrap(), outcome);
            let failure = u8::from(outcome.is_failure());
            let row = format!("({number}, '{}', {failure})", outcome.word());
            assert!(migration.contains(&row), "{row}");
        }
        assert!(outcome_of(10).is_err());
    }

    #[test]
    fn every_source_and_opening_has_a_number_of_its_own_as_the_migrations_wrote_it() {
        let migrations = concat!(
            include_str!("../../migrations/0001_flows.sql"),
            include_str!("../../migrations/0006_openings.sql"),
        );
        for source in NameSource::ALL {
            assert_eq!(source_of_rank(rank(source)), source);
            let row = format!("({}, '{}')", rank(source), source.word());
            assert!(migrations.contains(&row), "{row}");
        }
        for opening in OpeningKind::ALL {
            let number = number_of_opening(opening);
            assert_eq!(opening_of(number).unwrap(), opening);
            let row = format!("({number}, '{}')", opening.word());
            assert!(migrations.contains(&row), "{row}");
        }
        assert!(opening_of(4).is_err());
    }
}
