//! Contacts: rollups of a window, by application and destination.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use foldhash::fast::RandomState;
use rusqlite::Row;

use super::{
    Reader, StoreError,
    days::{DAY, bit_of, day_of, summed},
    growing::Growing,
    packed::{DayContact, Unpacker},
    query::{Bounds, ContactQuery},
    rows::application_of,
    share::Sum,
    value::{Columns as _, invalid, outcome_of, uncount},
};
use crate::model::{Application, Contact, Destination, Protocol, Tally};

/// Identities that the query is about, and what they stand for.
#[derive(Debug, Default)]
struct Makers {
    /// Host and application by their numbers, each pair once.
    pairs: Vec<(i64, i64)>,
    /// The pair of each identity, and its user.
    identities: HashMap<i64, (usize, Option<usize>), RandomState>,
    users: Vec<String>,
}

/// The pair of host and application, and the destination.
type Contacts = HashMap<(usize, i64), Growing, RandomState>;

const IDENTITIES: &str = "
SELECT i.id, i.host_id, m.application_id, ifnull(i.user, i.uid || '') AS user
FROM identity AS i
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = i.id
JOIN application AS a ON a.id = m.application_id
WHERE (?2 IS NULL OR h.name = ?2)
  AND (
    ?1 IS NULL
    OR a.context || ' ' || a.program || ifnull(' ' || a.script, '') GLOB ?1
    OR a.context GLOB ?1
    OR a.program GLOB ?1
    OR a.script GLOB ?1
  )";

const DESTINATIONS: &str = "
SELECT d.id
FROM destination AS d
LEFT JOIN name AS n ON n.id = d.name_id
WHERE n.name GLOB ?1
  OR d.address GLOB ?1
  OR d.name_id IN (
    SELECT name_id
    FROM name_address
    WHERE address GLOB ?1
  )";

const HOURS: &str = "
SELECT
  hour_ns, identity_id, destination_id, outcome, name_source, attempts, bytes_out, bytes_in,
  first_ns, last_ns
FROM contact_hour
WHERE hour_ns >= ?1
  AND hour_ns < ?2
ORDER BY hour_ns";

const DAYS: &str = "
SELECT identity_id, contacts
FROM contact_day
WHERE day_ns = ?1";

// In order of runs, so that those of a contact can be counted as they come.
const RUNS: &str = "
SELECT c.run_id, c.identity_id, c.destination_id
FROM contact_run AS c
WHERE c.last_ns >= ?1
  AND c.first_ns < ?2
  AND (
    ?3 = '[]'
    OR NOT EXISTS (
      SELECT 1
      FROM json_each(?3) AS x
      WHERE c.first_ns >= x.value ->> 0
        AND c.last_ns < x.value ->> 1
    )
  )
ORDER BY c.run_id";

/// A stretch of the window, and where it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Hours, from the first up to and without the last.
    Hours(i64, i64),
    /// A day that is summed up.
    Day(i64),
}

impl Reader {
    /// Contacts, ordered by host, application and destination.
    pub fn contacts(&self, query: &ContactQuery) -> Result<Vec<Contact>, StoreError> {
        self.contacts_within(&Bounds::of(query))
            .map_err(|error| self.failed(error))
    }

    fn contacts_within(&self, bounds: &Bounds) -> rusqlite::Result<Vec<Contact>> {
        // One snapshot: a batch that comes in between must not be half in.
        let snapshot = self.connection.unchecked_transaction()?;
        let makers = self.matching_makers(bounds)?;
        let destinations = self.matching_destinations(bounds)?;
        let is_wanted = |id: i64| {
            destinations
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&id))
        };
        let mut contacts = Contacts::default();
        for piece in self.pieces(bounds)? {
            match piece {
                Piece::Hours(since, until) => {
                    self.read_hours((since, until), &makers, &is_wanted, &mut contacts)?;
                }
                Piece::Day(day) => self.read_day(day, &makers, &is_wanted, &mut contacts)?,
            }
        }
        self.count_runs(bounds, &makers, &is_wanted, &mut contacts)?;
        let contacts = self.named(contacts, &makers)?;
        snapshot.finish()?;
        Ok(contacts)
    }

    /// Counted apart and added at the end: there may be a million, and the contacts themselves do not fit
    /// into the caches of a processor.
    fn count_runs(
        &self,
        bounds: &Bounds,
        makers: &Makers,
        is_wanted: &dyn Fn(i64) -> bool,
        contacts: &mut Contacts,
    ) -> rusqlite::Result<()> {
        /// The latest run, and how many there were.
        type Runs = HashMap<(usize, i64), (i64, u64), RandomState>;

        let mut runs = Runs::default();
        let mut statement = self.connection.prepare_cached(RUNS)?;
        let mut rows = statement.query((bounds.since, bounds.until, &bounds.except))?;
        while let Some(row) = rows.next()? {
            let destination = row.get(2)?;
            let Some((pair, _)) = makers.identities.get(&row.get(1)?) else {
                continue;
            };
            if is_wanted(destination) {
                let run = row.get(0)?;
                let counted = runs.entry((*pair, destination)).or_insert((run, 1));
                if counted.0 != run {
                    *counted = (run, counted.1 + 1);
                }
            }
        }
        for (key, (_, count)) in runs {
            if let Some(contact) = contacts.get_mut(&key) {
                contact.runs = count;
            }
        }
        Ok(())
    }

    /// The window in order of time, in whole days where those are summed up.
    fn pieces(&self, bounds: &Bounds) -> rusqlite::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (since, until) in bounds.stretches() {
            let mut from = since;
            for day in summed(&self.connection, since..until.saturating_sub(DAY - 1))? {
                if day > from {
                    pieces.push(Piece::Hours(from, day));
                }
                pieces.push(Piece::Day(day));
                from = day.saturating_add(DAY);
            }
            if until > from {
                pieces.push(Piece::Hours(from, until));
            }
        }
        Ok(pieces)
    }

    fn read_hours(
        &self,
        window: (i64, i64),
        makers: &Makers,
        is_wanted: &dyn Fn(i64) -> bool,
        contacts: &mut Contacts,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(HOURS)?;
        let mut rows = statement.query(window)?;
        while let Some(row) = rows.next()? {
            let destination = row.get(2)?;
            let Some((pair, user)) = makers.identities.get(&row.get(1)?) else {
                continue;
            };
            if is_wanted(destination) {
                let hour = row.get(0)?;
                let growing = contacts.entry((*pair, destination)).or_default();
                growing.grow(day_of(hour), &contact_of_hour(row, hour)?, *user);
            }
        }
        Ok(())
    }

    fn read_day(
        &self,
        day: i64,
        makers: &Makers,
        is_wanted: &dyn Fn(i64) -> bool,
        contacts: &mut Contacts,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(DAYS)?;
        let mut rows = statement.query((day,))?;
        while let Some(row) = rows.next()? {
            let Some((pair, user)) = makers.identities.get(&row.get(0)?) else {
                continue;
            };
            let mut packed = Unpacker::new(day, row.get_ref(1)?.as_blob()?);
            while let Some(contact) = packed.next()? {
                if is_wanted(contact.destination) {
                    let growing = contacts.entry((*pair, contact.destination)).or_default();
                    growing.grow(day, &contact, *user);
                }
            }
        }
        Ok(())
    }

    fn matching_makers(&self, bounds: &Bounds) -> rusqlite::Result<Makers> {
        let mut makers = Makers::default();
        let mut pairs = HashMap::<(i64, i64), usize>::new();
        let mut users = HashMap::<String, usize>::new();
        let mut statement = self.connection.prepare_cached(IDENTITIES)?;
        let mut rows = statement.query((&bounds.application, &bounds.host))?;
        while let Some(row) = rows.next()? {
            let pair = (row.get("host_id")?, row.get("application_id")?);
            let pair = *pairs.entry(pair).or_insert_with(|| {
                makers.pairs.push(pair);
                makers.pairs.len() - 1
            });
            let user: Option<String> = row.get("user")?;
            let user = user.map(|user| {
                *users.entry(user.clone()).or_insert_with(|| {
                    makers.users.push(user);
                    makers.users.len() - 1
                })
            });
            makers.identities.insert(row.get("id")?, (pair, user));
        }
        Ok(makers)
    }

    /// None where every destination is wanted.
    fn matching_destinations(&self, bounds: &Bounds) -> rusqlite::Result<Option<HashSet<i64>>> {
        let Some(to) = &bounds.to else {
            return Ok(None);
        };
        self.connection
            .prepare_cached(DESTINATIONS)?
            .query_map((to,), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()
            .map(Some)
    }

    /// Numbers become what they stand for.
    fn named(&self, contacts: Contacts, makers: &Makers) -> rusqlite::Result<Vec<Contact>> {
        let hosts: HashMap<i64, String> = self
            .connection
            .prepare_cached("SELECT id, name FROM host")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let applications: HashMap<i64, Application> = self
            .connection
            .prepare_cached("SELECT * FROM application")?
            .query_map([], |row| Ok((row.get("id")?, application_of(row)?)))?
            .collect::<rusqlite::Result<_>>()?;
        // Foreign keys hold: what a rollup refers to is there.
        let mut pairs: Vec<_> = makers
            .pairs
            .iter()
            .enumerate()
            .filter_map(|(at, (host, application))| {
                Some((at, *host, hosts.get(host)?, applications.get(application)?))
            })
            .collect();
        pairs.sort_by_key(|(_, _, host, application)| (*host, *application));
        let mut by_pair = vec![Vec::new(); makers.pairs.len()];
        for ((pair, destination), growing) in contacts {
            if let Some(of_pair) = by_pair.get_mut(pair) {
                of_pair.push((destination, growing));
            }
        }
        let mut named = Vec::new();
        for (at, host_id, host, application) in pairs {
            let of_pair = by_pair.get_mut(at).map(std::mem::take).unwrap_or_default();
            let first = named.len();
            for (id, growing) in of_pair {
                let (name, destination) = self.destination(id)?;
                let addresses = match name {
                    Some(name) => self.addresses(host_id, name)?,
                    None => destination.address.into_iter().collect(),
                };
                let (host, application) = (host.clone(), application.clone());
                let users = growing.users(&makers.users);
                named.push(growing.finish(host, application, destination, users, addresses));
            }
            let of_pair = named.get_mut(first..).unwrap_or_default();
            of_pair.sort_by(|a, b| a.destination.cmp(&b.destination));
        }
        Ok(named)
    }

    fn destination(&self, id: i64) -> rusqlite::Result<(Option<i64>, Destination)> {
        self.connection
            .prepare_cached(
                "SELECT d.name_id, n.name, d.address, d.port, d.protocol
                 FROM destination AS d
                 LEFT JOIN name AS n ON n.id = d.name_id
                 WHERE d.id = ?1",
            )?
            .query_row((id,), |row| {
                let destination = Destination {
                    name: row.get(1)?,
                    address: address_of(row, 2)?,
                    port: row.get(3)?,
                    protocol: Protocol(row.get(4)?),
                };
                Ok((row.get(0)?, destination))
            })
    }

    fn addresses(&self, host: i64, name: i64) -> rusqlite::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = self
            .connection
            .prepare_cached(
                "SELECT address
                 FROM name_address
                 WHERE host_id = ?1
                   AND name_id = ?2",
            )?
            .query_map((host, name), |row| address_of(row, 0))?
            .filter_map(Result::transpose)
            .collect::<rusqlite::Result<_>>()?;
        addresses.sort_unstable();
        // Several stores may have seen one.
        addresses.dedup();
        Ok(addresses)
    }
}

fn address_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<IpAddr>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|error: std::net::AddrParseError| invalid(error.into()))
}

fn contact_of_hour(row: &Row<'_>, hour: i64) -> rusqlite::Result<DayContact> {
    Ok(DayContact {
        destination: row.get(2)?,
        outcome: outcome_of(row.get(3)?)?,
        hours: bit_of(hour),
        sum: Sum {
            name_source: row.get(4)?,
            tally: Tally {
                attempts: uncount(row.get(5)?),
                bytes_out: uncount(row.get(6)?),
                bytes_in: uncount(row.get(7)?),
            },
            first: row.get(8)?,
            last: row.get(9)?,
        },
    })
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
