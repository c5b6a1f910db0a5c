//! What destinations are marked with: addresses that several names share, and openings that hide the
//! server that is meant.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use foldhash::fast::RandomState;

use super::{
    Reader, StoreError,
    destinations::destination_of,
    query::{Bounds, ContactQuery},
    rows::application_of,
    value::{invalid, opening_of},
};
use crate::model::{SeenOpening, SharedNames};

/// By first and last time: what lies between is not known to have been within the window.
const NAMED_ADDRESSES: &str = "
SELECT a.host_id, a.address, a.name_id
FROM name_address AS a
JOIN host AS h ON h.id = a.host_id
WHERE a.last_ns >= ?1
  AND a.first_ns < ?2
  AND (?3 IS NULL OR h.name = ?3)";

const HOST: &str = "SELECT name FROM host WHERE id = ?1";

const NAME: &str = "SELECT name FROM name WHERE id = ?1";

// Few flows have an opening, so that these lead to the others.
const OPENINGS: &str = "
SELECT DISTINCT
  h.name AS host,
  a.context,
  a.program,
  a.script,
  d.address,
  d.port,
  d.protocol,
  n.name,
  x.opening
FROM flow_opening AS x
CROSS JOIN flow AS f ON f.id = x.flow_id
JOIN maker AS k ON k.id = f.maker_id
JOIN identity AS i ON i.id = k.identity_id
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = k.identity_id
JOIN application AS a ON a.id = m.application_id
JOIN destination AS d ON d.id = f.destination_id
LEFT JOIN name AS n ON n.id = d.name_id
WHERE f.start_ns >= ?1
  AND f.start_ns < ?2
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(?3) AS e
    WHERE f.start_ns >= e.value ->> 0
      AND f.start_ns < e.value ->> 1
  )
  AND (?4 IS NULL OR h.name = ?4)";

type Shared = HashMap<(i64, IpAddr), Vec<i64>, RandomState>;

impl Reader {
    /// The addresses that were reached under several names in the query's window, on its host, with
    /// these names. Its other filters do not matter: who shares an address may be anybody.
    pub fn shared_names(&self, query: &ContactQuery) -> Result<SharedNames, StoreError> {
        self.named_addresses(&Bounds::of(query))
            .and_then(|shared| self.with_texts(&shared))
            .map_err(|error| self.failed(error))
    }

    fn named_addresses(&self, bounds: &Bounds) -> rusqlite::Result<Shared> {
        let mut names = Shared::default();
        let mut statement = self.connection.prepare_cached(NAMED_ADDRESSES)?;
        let mut rows = statement.query((bounds.since, bounds.until, &bounds.host))?;
        while let Some(row) = rows.next()? {
            let address = row.get_ref(1)?.as_str()?.parse();
            let address =
                address.map_err(|cause: std::net::AddrParseError| invalid(cause.into()))?;
            names
                .entry((row.get(0)?, address))
                .or_default()
                .push(row.get(2)?);
        }
        names.retain(|_, names| {
            // Several stores may have seen one.
            names.sort_unstable();
            names.dedup();
            names.len() > 1
        });
        Ok(names)
    }

    fn with_texts(&self, shared: &Shared) -> rusqlite::Result<SharedNames> {
        let mut texts = BTreeMap::new();
        let text = |statement: &str, id: i64| -> rusqlite::Result<String> {
            self.connection
                .prepare_cached(statement)?
                .query_row((id,), |row| row.get(0))
        };
        for ((host, address), ids) in shared {
            let names: rusqlite::Result<BTreeSet<String>> =
                ids.iter().map(|id| text(NAME, *id)).collect();
            texts.insert((text(HOST, *host)?, *address), names?);
        }
        Ok(texts)
    }

    /// How flows in detail began in the query's window, on its host, where that hides which server is
    /// meant. Its other filters do not matter.
    pub fn openings(&self, query: &ContactQuery) -> Result<Vec<SeenOpening>, StoreError> {
        let bounds = Bounds::of(query);
        self.seen_openings(&bounds)
            .map_err(|error| self.failed(error))
    }

    fn seen_openings(&self, bounds: &Bounds) -> rusqlite::Result<Vec<SeenOpening>> {
        let mut statement = self.connection.prepare_cached(OPENINGS)?;
        let rows = statement.query_map(
            (bounds.since, bounds.until, &bounds.except, &bounds.host),
            |row| {
                Ok(SeenOpening {
                    host: row.get("host")?,
                    application: application_of(row)?,
                    destination: destination_of(row)?,
                    opening: opening_of(row.get("opening")?)?,
                })
            },
        )?;
        rows.collect()
    }
}
