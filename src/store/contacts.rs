//! Contacts: rollups of a window, by application and destination.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{
    Reader, StoreError,
    calendar::day_of,
    days::summed,
    growing::Growing,
    hours::each_hour,
    matching_makers::MatchingMakers,
    packed::Unpacker,
    query::{Bounds, ContactQuery},
    run_counts::RunCounts,
};
use crate::model::Contact;

/// By destination, of each pair of host and application: what is read together lies together, and fits
/// into the caches of a processor.
type Contacts = Vec<HashMap<i64, Growing, RandomState>>;

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
        makers: &MatchingMakers,
        is_wanted: &dyn Fn(i64) -> bool,
        contacts: &mut Contacts,
    ) -> rusqlite::Result<()> {
        each_hour(&self.connection, window.0..window.1, |hour| {
            if let Some((pair, user)) = makers.identities.get(&hour.identity)
                && is_wanted(hour.destination)
                && let Some(contacts) = contacts.get_mut(*pair)
            {
                let growing = contacts.entry(hour.destination).or_default();
                growing.grow_by_hour(day_of(hour.hour), &hour.contact()?, *user);
            }
            Ok(())
        })
    }

    /// One application after another, and its days in order: what is known of one fits into the caches
    /// of a processor, what is known of all does not.
    fn read_days(
        &self,
        days: &[i64],
        makers: &MatchingMakers,
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
        makers: &MatchingMakers,
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
}
