//! Size of a store and how fast it grows.

use std::fs;

use super::{Reader, StoreError, file::beside, value::uncount};

/// Size of a store and how fast it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Database file and write-ahead log, bytes.
    pub bytes: u64,
    /// Bytes in the file that are free to be used again.
    pub free_bytes: u64,
    /// Flow rows.
    pub flows: u64,
    /// Flow rows that begin in the last 24 hours of what was covered.
    pub flows_last_day: u64,
    /// Hourly rollup rows.
    pub hour_rollups: u64,
    /// Run rollup rows.
    pub run_rollups: u64,
    /// Process images.
    pub processes: u64,
    /// Applications.
    pub applications: u64,
    /// Bytes that the file grew per day of the covered time, where that is at least an hour.
    pub bytes_per_day: Option<u64>,
}

const COUNTS: &str = "
SELECT
  (SELECT CAST(TOTAL(flows) AS INTEGER) FROM watch_period),
  (
    SELECT COUNT(*)
    FROM flow
    WHERE start_ns > (SELECT MAX(covered_until_ns) FROM watch_period) - 86400000000000
  ),
  (SELECT COUNT(*) FROM contact_hour),
  (SELECT COUNT(*) FROM contact_run),
  (SELECT COUNT(*) FROM process),
  (SELECT COUNT(*) FROM application)";

const COVERED_SECONDS: &str = "
SELECT CAST(TOTAL(covered_seconds) AS INTEGER)
FROM coverage_by_day";

const HOUR_SECONDS: u64 = 3_600;
const DAY_SECONDS: u128 = 86_400;

impl Reader {
    /// Size and growth.
    pub fn size(&self) -> Result<StoreSize, StoreError> {
        let bytes = [self.path.clone(), beside(&self.path, "-wal")]
            .iter()
            .filter_map(|file| fs::metadata(file).ok())
            .map(|metadata| metadata.len())
            .sum();
        self.size_of(bytes).map_err(|error| self.failed(error))
    }

    fn size_of(&self, bytes: u64) -> rusqlite::Result<StoreSize> {
        let pragma = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map(uncount)
        };
        let free_bytes = pragma("freelist_count")?.saturating_mul(pragma("page_size")?);
        let covered_seconds = self
            .connection
            .query_row(COVERED_SECONDS, [], |row| row.get(0).map(uncount))?;
        let growth = u128::from(bytes) * DAY_SECONDS / u128::from(covered_seconds.max(1));
        self.connection.query_row(COUNTS, [], |row| {
            let counted = |index| row.get(index).map(uncount);
            Ok(StoreSize {
                bytes,
                free_bytes,
                flows: counted(0)?,
                flows_last_day: counted(1)?,
                hour_rollups: counted(2)?,
                run_rollups: counted(3)?,
                processes: counted(4)?,
                applications: counted(5)?,
                bytes_per_day: (covered_seconds >= HOUR_SECONDS)
                    .then(|| u64::try_from(growth).unwrap_or(u64::MAX)),
            })
        })
    }
}
