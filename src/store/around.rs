//! What else is known around a flow: other names of its address, and what was lost at the time.

use std::net::IpAddr;

use super::{Reader, StoreError, read::loss_of, value::Columns as _};
use crate::model::{Loss, NameAddress, Timestamp};

const NAMES_OF_ADDRESS: &str = "
SELECT
  n.name,
  MIN(x.first_ns) AS first_ns,
  MAX(x.last_ns) AS last_ns,
  CAST(TOTAL(x.attempts) AS INTEGER) AS attempts
FROM name_address AS x
JOIN host AS h ON h.id = x.host_id
JOIN name AS n ON n.id = x.name_id
WHERE x.address = ?1
  AND h.name = ?2
GROUP BY n.id
ORDER BY attempts DESC, n.name
LIMIT ?3";

const LOSSES_OF_HOST: &str = "
SELECT
  l.cause,
  MIN(l.since_ns) AS since_ns,
  MAX(l.until_ns) AS until_ns,
  CAST(TOTAL(l.count) AS INTEGER) AS count,
  CASE WHEN COUNT(l.bytes) > 0 THEN CAST(TOTAL(l.bytes) AS INTEGER) END AS bytes
FROM loss AS l
JOIN watch_period AS w ON w.id = l.watch_period_id
JOIN host AS h ON h.id = w.host_id
WHERE h.name = ?1
  AND l.since_ns <= ?3
  AND l.until_ns >= ?2
GROUP BY l.cause
ORDER BY l.cause";

impl Reader {
    /// Names under which a host reached an address, those with most attempts first.
    pub fn names_of_address(
        &self,
        host: &str,
        address: IpAddr,
        limit: u32,
    ) -> Result<Vec<NameAddress>, StoreError> {
        let read = || -> rusqlite::Result<Vec<NameAddress>> {
            self.connection
                .prepare_cached(NAMES_OF_ADDRESS)?
                .query_map((address.to_string(), host, limit), |row| {
                    Ok(NameAddress {
                        store: self.store_id.clone(),
                        host: host.to_owned(),
                        name: row.get("name")?,
                        address,
                        first: row.time("first_ns")?,
                        last: row.time("last_ns")?,
                        attempts: row.counted("attempts")?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// What was lost on a host in stretches that touch the time from `since` to `until`, by cause.
    pub fn losses_around(
        &self,
        host: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Loss>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Loss>> {
            self.connection
                .prepare_cached(LOSSES_OF_HOST)?
                .query_map((host, since.unix_ns(), until.unix_ns()), loss_of)?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }
}
