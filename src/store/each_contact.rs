//! What lies in a window, hour by hour and day by day, wherever that is stored.

use std::collections::HashSet;

use super::{
    calendar::day_of,
    days::summed,
    hours::each_hour,
    matching_makers::MatchingMakers,
    packed::{DayContact, Unpacker},
    query::Bounds,
    read::Reader,
};

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

/// What a pair of host and application had to do with a destination, on a day or in an hour of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met<'a> {
    /// The pair, by its place among the makers.
    pub(super) pair: usize,
    /// The start of the day.
    pub(super) day: i64,
    pub(super) contact: &'a DayContact,
    /// The user, by its place among the makers.
    pub(super) user: Option<usize>,
}

/// Takes in what is read: hours in any order, and then summed days, those of one pair in order.
pub(super) trait Sink {
    /// An hour of a day; others of that day may be summed up, or hours that come later.
    fn hour(&mut self, met: Met<'_>);
    /// A summed day, or a part of one of which the other hours came before.
    fn day(&mut self, met: Met<'_>);
}

impl Reader {
    /// Reads what a query is about.
    pub(super) fn each_contact(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
        sink: &mut impl Sink,
    ) -> rusqlite::Result<()> {
        let destinations = self.matching_destinations(bounds)?;
        let is_wanted = |id: i64| {
            destinations
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&id))
        };
        let mut days = Vec::new();
        for piece in self.pieces(bounds)? {
            match piece {
                Piece::Hours(since, until) => {
                    self.read_hours((since, until), makers, &is_wanted, sink)?;
                }
                Piece::Day(day) => days.push(day),
            }
        }
        self.read_days(&days, makers, &is_wanted, sink)
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
        sink: &mut impl Sink,
    ) -> rusqlite::Result<()> {
        each_hour(&self.connection, window.0..window.1, |hour| {
            if let Some((pair, user)) = makers.identities.get(&hour.identity)
                && is_wanted(hour.destination)
            {
                sink.hour(Met {
                    pair: *pair,
                    day: day_of(hour.hour),
                    contact: &hour.contact()?,
                    user: *user,
                });
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
        sink: &mut impl Sink,
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
            let mut rows = statement.query((id,))?;
            let Some(row) = rows.next()? else { continue };
            let mut stream = Unpacker::new(day, row.get_ref(0)?.as_blob()?);
            while let Some(contact) = stream.next()? {
                if is_wanted(contact.destination) {
                    let contact = &contact;
                    sink.day(Met {
                        pair,
                        day,
                        contact,
                        user,
                    });
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
}
