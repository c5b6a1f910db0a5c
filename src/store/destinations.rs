//! What numbers of destinations and names stand for.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use foldhash::fast::RandomState;
use rusqlite::{Connection, Params, Row};

use super::{
    read::Reader,
    value::{Columns as _, invalid},
};
use crate::model::{Destination, Protocol};

/// A destination with the number of its name.
pub(super) type Named = (Option<i64>, Destination);

type Found<K, V> = HashMap<K, V, RandomState>;

/// A table is read from end to end where at least one row in so many is wanted: looking one up costs
/// about as much as passing by that many.
const WORTH_READING_ALL: usize = 16;

const DESTINATIONS: &str = "
SELECT d.id, d.name_id, n.name, d.address, d.port, d.protocol
FROM destination AS d
LEFT JOIN name AS n ON n.id = d.name_id
ORDER BY d.id";

const DESTINATION: &str = "
SELECT d.id, d.name_id, n.name, d.address, d.port, d.protocol
FROM destination AS d
LEFT JOIN name AS n ON n.id = d.name_id
WHERE d.id = ?1";

const ADDRESSES: &str = "
SELECT host_id, name_id, address
FROM name_address";

const ADDRESSES_OF_NAME: &str = "
SELECT host_id, name_id, address
FROM name_address
WHERE host_id = ?1
  AND name_id = ?2";

impl Reader {
    /// These destinations.
    pub(super) fn destinations(
        &self,
        wanted: &HashSet<i64, RandomState>,
    ) -> rusqlite::Result<Found<i64, Named>> {
        let mut found = Found::default();
        if self.is_worth_reading_all(wanted.len(), "SELECT MAX(id) FROM destination")? {
            each_row(&self.connection, DESTINATIONS, (), |row| {
                let id = row.get(0)?;
                if wanted.contains(&id) {
                    found.insert(id, named(row)?);
                }
                Ok(())
            })?;
            return Ok(found);
        }
        for id in wanted {
            each_row(&self.connection, DESTINATION, (id,), |row| {
                found.insert(*id, named(row)?);
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// The addresses under these names on these hosts, sorted.
    pub(super) fn addresses(
        &self,
        wanted: &HashSet<(i64, i64), RandomState>,
    ) -> rusqlite::Result<Found<(i64, i64), Vec<IpAddr>>> {
        let mut found = Found::<_, Vec<IpAddr>>::default();
        let mut add = |row: &Row<'_>| {
            let place = (row.get(0)?, row.get(1)?);
            if wanted.contains(&place) {
                found.entry(place).or_default().extend(address_of(row, 2)?);
            }
            Ok(())
        };
        if self.is_worth_reading_all(wanted.len(), "SELECT MAX(id) FROM name")? {
            each_row(&self.connection, ADDRESSES, (), &mut add)?;
        } else {
            for place in wanted {
                each_row(&self.connection, ADDRESSES_OF_NAME, *place, &mut add)?;
            }
        }
        for addresses in found.values_mut() {
            addresses.sort_unstable();
            // Several stores may have seen one.
            addresses.dedup();
        }
        Ok(found)
    }

    fn is_worth_reading_all(&self, wanted: usize, highest: &str) -> rusqlite::Result<bool> {
        let rows: Option<i64> = self
            .connection
            .prepare_cached(highest)?
            .query_row([], |row| row.get(0))?;
        let rows = usize::try_from(rows.unwrap_or(0)).unwrap_or(usize::MAX);
        Ok(wanted.saturating_mul(WORTH_READING_ALL) >= rows)
    }
}

fn each_row(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

fn named(row: &Row<'_>) -> rusqlite::Result<Named> {
    let destination = Destination {
        name: row.get(2)?,
        address: address_of(row, 3)?,
        port: row.get(4)?,
        protocol: Protocol(row.get(5)?),
    };
    Ok((row.get(1)?, destination))
}

fn address_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<IpAddr>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|error: std::net::AddrParseError| invalid(error.into()))
}

/// A destination from a row of its table with `name` beside it.
pub(super) fn destination_of(row: &Row<'_>) -> rusqlite::Result<Destination> {
    Ok(Destination {
        name: row.get("name")?,
        address: row.address("address")?,
        port: row.get("port")?,
        protocol: Protocol(row.get("protocol")?),
    })
}
