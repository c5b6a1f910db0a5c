//! Contacts: rollups of a window, by application and destination.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use rusqlite::Row;

use super::{
    Reader, StoreError,
    days::{bit_of, day_of, summed},
    growing::Growing,
    packed::{DayContact, Unpacker},
    query::{Bounds, ContactQuery},
    rows::application_of,
    run_counts::RunCounts,
    share::Sum,
    value::{outcome_of, uncount},
};
use crate::model::{Application, Contact, Tally};

/// Identities that the query is about, and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Makers {
    /// Host and application by their numbers, each pair once.
    pub(super) pairs: Vec<(i64, i64)>,
    /// The pair of each identity, and its user.
    pub(super) identities: HashMap<i64, (usize, Option<usize>), RandomState>,
    users: Vec<String>,
}

/// By destination, of each pair of host and application: what is read together lies together, and fits
/// into the caches of a processor.
type Contacts = Vec<HashMap<i64, Growing, RandomState>>;

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

const IDENTITIES_OF_DAY: &str = "
SELECT identity_id, id
FROM contact_day
WHERE day_ns = ?1";

const PACKED: &str = "
SELECT contacts
FROM contact_day
WHERE id = ?1";

/// A stretch of the window, and where it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Hours, from the first up to and without the last.
    Hours(i64, i64),
    /// A day that is summed up, as far as it is.
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
        let mut contacts = vec![HashMap::default(); makers.pairs.len()];
        let mut days = Vec::new();
        for piece in self.pieces(bounds)? {
            match piece {
                Piece::Hours(since, until) => {
                    self.read_hours((since, until), &makers, &is_wanted, &mut contacts)?;
                }
                Piece::Day(day) => days.push(day),
            }
        }
        self.read_days(&days, &makers, &is_wanted, &mut contacts)?;
        let runs = self.run_counts(bounds, &makers)?;
        let contacts = self.named(contacts, &runs, &makers)?;
        snapshot.finish()?;
        Ok(contacts)
    }

    /// The window in order of time, in whole days where those are summed up.
    fn pieces(&self, bounds: &Bounds) -> rusqlite::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (since, until) in bounds.stretches() {
            let mut from = since;
            for (day, summed_until) in summed(&self.connection, since..until)? {
                if day > from {
                    pieces.push(Piece::Hours(from, day));
                }
                pieces.push(Piece::Day(day));
                from = summed_until;
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
            if is_wanted(destination)
                && let Some(contacts) = contacts.get_mut(*pair)
            {
                let hour = row.get(0)?;
                let growing = contacts.entry(destination).or_default();
                growing.grow_by_hour(day_of(hour), &contact_of_hour(row, hour)?, *user);
            }
        }
        Ok(())
    }

    /// One application after another, and its days in order: what is known of one fits into the caches
    /// of a processor, what is known of all does not.
    fn read_days(
        &self,
        days: &[i64],
        makers: &Makers,
        is_wanted: &dyn Fn(i64) -> bool,
        contacts: &mut Contacts,
    ) -> rusqlite::Result<()> {
        let mut packed = Vec::new();
        let mut statement = self.connection.prepare_cached(IDENTITIES_OF_DAY)?;
        for day in days {
            let mut rows = statement.query((day,))?;
            while let Some(row) = rows.next()? {
                let identity: i64 = row.get(0)?;
                if let Some((pair, user)) = makers.identities.get(&identity) {
                    let id: i64 = row.get(1)?;
                    packed.push((*pair, *day, id, *user));
                }
            }
        }
        packed.sort_unstable();
        let mut statement = self.connection.prepare_cached(PACKED)?;
        for (pair, day, id, user) in packed {
            let Some(contacts) = contacts.get_mut(pair) else {
                continue;
            };
            let mut rows = statement.query((id,))?;
            let Some(row) = rows.next()? else { continue };
            let mut stream = Unpacker::new(day, row.get_ref(0)?.as_blob()?);
            while let Some(contact) = stream.next()? {
                if is_wanted(contact.destination) {
                    let growing = contacts.entry(contact.destination).or_default();
                    growing.grow_by_day(day, &contact, user);
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
    fn named(
        &self,
        mut contacts: Contacts,
        runs: &RunCounts,
        makers: &Makers,
    ) -> rusqlite::Result<Vec<Contact>> {
        let destinations =
            self.destinations(&contacts.iter().flat_map(HashMap::keys).copied().collect())?;
        let mut places = HashSet::default();
        for ((host, _), contacts) in makers.pairs.iter().zip(&contacts) {
            let names = contacts.keys().filter_map(|id| destinations.get(id)?.0);
            places.extend(names.map(|name| (*host, name)));
        }
        let addresses = self.addresses(&places)?;
        let mut named = Vec::new();
        for (pair, host, application) in self.in_order(makers)? {
            let Some((of_pair, runs)) = contacts.get_mut(pair).zip(runs.get(pair)) else {
                continue;
            };
            let first = named.len();
            for (id, mut growing) in of_pair.drain() {
                // Foreign keys hold: what a rollup refers to is there.
                let Some((name, destination)) = destinations.get(&id) else {
                    continue;
                };
                let addresses = match (name, makers.pairs.get(pair)) {
                    (Some(name), Some((host, _))) => addresses.get(&(*host, *name)).cloned(),
                    _ => destination.address.map(|address| vec![address]),
                };
                growing.runs = runs.get(&id).copied().unwrap_or(0);
                named.push(growing.finish(
                    host.clone(),
                    application.clone(),
                    destination.clone(),
                    &makers.users,
                    addresses.unwrap_or_default(),
                ));
            }
            let of_pair = named.get_mut(first..).unwrap_or_default();
            of_pair.sort_unstable_by(|a: &Contact, b| a.destination.cmp(&b.destination));
        }
        Ok(named)
    }

    /// Pairs by the names of their hosts and applications.
    fn in_order(&self, makers: &Makers) -> rusqlite::Result<Vec<(usize, String, Application)>> {
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
        let mut pairs: Vec<_> = makers
            .pairs
            .iter()
            .enumerate()
            .filter_map(|(pair, (host, application))| {
                let application = applications.get(application)?.clone();
                Some((pair, hosts.get(host)?.clone(), application))
            })
            .collect();
        pairs.sort_by(|(_, host, application), (_, other_host, other)| {
            (host, application).cmp(&(other_host, other))
        });
        Ok(pairs)
    }
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
