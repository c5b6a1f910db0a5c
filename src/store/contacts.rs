//! Contacts: rollups of a window, by application and destination.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use rusqlite::Row;

use super::{
    Reader, StoreError,
    query::{Bounds, ContactQuery},
    rows::application_of,
    value::{Columns as _, source_of_rank},
};
use crate::model::{Application, Contact, Destination, Outcome, Protocol, Tally, Timestamp};

/// An identity that the query is about.
#[derive(Debug)]
struct Who {
    host: i64,
    application: i64,
    user: Option<String>,
}

/// Host, application and destination by their numbers.
type ContactKey = (i64, i64, i64);

/// A contact that is being summed up. Hours come in ascending order.
#[derive(Debug, Default)]
struct Growing {
    outcomes: BTreeMap<Outcome, Tally>,
    users: BTreeSet<String>,
    name_source: Option<i64>,
    first: i64,
    last: i64,
    last_hour: Option<i64>,
    hours: u64,
    days: u64,
    runs: HashSet<i64>,
}

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
SELECT *
FROM contact_hour AS c
WHERE c.hour_ns >= ?1
  AND c.hour_ns < ?2
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(?3) AS x
    WHERE c.hour_ns >= x.value ->> 0
      AND c.hour_ns < x.value ->> 1
  )
ORDER BY c.hour_ns";

const RUNS: &str = "
SELECT DISTINCT c.run_id, c.identity_id, c.destination_id
FROM contact_run AS c
WHERE c.last_ns >= ?1
  AND c.first_ns < ?2
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(?3) AS x
    WHERE c.first_ns >= x.value ->> 0
      AND c.last_ns < x.value ->> 1
  )";

impl Reader {
    /// Contacts, ordered by host, application and destination.
    pub fn contacts(&self, query: &ContactQuery) -> Result<Vec<Contact>, StoreError> {
        self.contacts_within(&Bounds::of(query))
            .map_err(|error| self.failed(error))
    }

    fn contacts_within(&self, bounds: &Bounds) -> rusqlite::Result<Vec<Contact>> {
        // One snapshot: a batch that comes in between must not be half in.
        let snapshot = self.connection.unchecked_transaction()?;
        let identities = self.matching_identities(bounds)?;
        let destinations = self.matching_destinations(bounds)?;
        let is_wanted = |id| {
            destinations
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&id))
        };
        let mut growing = HashMap::<ContactKey, Growing>::new();
        let window = (bounds.since, bounds.until, &bounds.except);

        let mut statement = self.connection.prepare_cached(HOURS)?;
        let mut rows = statement.query(window)?;
        while let Some(row) = rows.next()? {
            let destination = row.get("destination_id")?;
            if let Some(who) = identities.get(&row.get("identity_id")?)
                && is_wanted(destination)
            {
                growing
                    .entry((who.host, who.application, destination))
                    .or_default()
                    .grow(row, who)?;
            }
        }

        let mut statement = self.connection.prepare_cached(RUNS)?;
        let mut rows = statement.query(window)?;
        while let Some(row) = rows.next()? {
            if let Some(who) = identities.get(&row.get("identity_id")?)
                && let Some(contact) =
                    growing.get_mut(&(who.host, who.application, row.get("destination_id")?))
            {
                contact.runs.insert(row.get("run_id")?);
            }
        }
        let contacts = self.named(growing)?;
        snapshot.finish()?;
        Ok(contacts)
    }

    fn matching_identities(&self, bounds: &Bounds) -> rusqlite::Result<HashMap<i64, Who>> {
        self.connection
            .prepare_cached(IDENTITIES)?
            .query_map((&bounds.application, &bounds.host), |row| {
                let who = Who {
                    host: row.get("host_id")?,
                    application: row.get("application_id")?,
                    user: row.get("user")?,
                };
                Ok((row.get("id")?, who))
            })?
            .collect()
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
    fn named(&self, growing: HashMap<ContactKey, Growing>) -> rusqlite::Result<Vec<Contact>> {
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
        let mut contacts = Vec::with_capacity(growing.len());
        for ((host, application, destination), grown) in growing {
            let (name, destination) = self.destination(destination)?;
            let addresses = match name {
                Some(name) => self.addresses(host, name)?,
                None => destination.address.into_iter().collect(),
            };
            // Foreign keys hold: the rows that the rollup refers to are there.
            let (Some(host), Some(application)) =
                (hosts.get(&host), applications.get(&application))
            else {
                continue;
            };
            contacts.push(grown.finish(host, application, destination, addresses));
        }
        contacts.sort_by(|a, b| {
            (&a.host, &a.application, &a.destination).cmp(&(
                &b.host,
                &b.application,
                &b.destination,
            ))
        });
        Ok(contacts)
    }

    fn destination(&self, id: i64) -> rusqlite::Result<(Option<i64>, Destination)> {
        self.connection
            .prepare_cached(
                "SELECT d.*, n.name
                 FROM destination AS d
                 LEFT JOIN name AS n ON n.id = d.name_id
                 WHERE d.id = ?1",
            )?
            .query_row((id,), |row| Ok((row.get("name_id")?, destination_of(row)?)))
    }

    fn addresses(&self, host: i64, name: i64) -> rusqlite::Result<Vec<IpAddr>> {
        let addresses: BTreeSet<IpAddr> = self
            .connection
            .prepare_cached(
                "SELECT DISTINCT address
                 FROM name_address
                 WHERE host_id = ?1
                   AND name_id = ?2",
            )?
            .query_map((host, name), |row| row.address("address"))?
            .filter_map(Result::transpose)
            .collect::<rusqlite::Result<_>>()?;
        Ok(addresses.into_iter().collect())
    }
}

impl Growing {
    /// Takes in one row of an hour.
    fn grow(&mut self, row: &Row<'_>, who: &Who) -> rusqlite::Result<()> {
        let tally = self.outcomes.entry(row.outcome()?).or_default();
        tally.attempts = tally.attempts.saturating_add(row.counted("attempts")?);
        tally.bytes_out = tally.bytes_out.saturating_add(row.counted("bytes_out")?);
        tally.bytes_in = tally.bytes_in.saturating_add(row.counted("bytes_in")?);
        if let Some(user) = &who.user
            && !self.users.contains(user)
        {
            self.users.insert(user.clone());
        }
        let source: Option<i64> = row.get("name_source")?;
        self.name_source = [self.name_source, source].into_iter().flatten().min();
        let hour: i64 = row.get("hour_ns")?;
        let first = row.get("first_ns")?;
        let last = row.get("last_ns")?;
        match self.last_hour {
            None => (self.first, self.last) = (first, last),
            Some(_) => (self.first, self.last) = (self.first.min(first), self.last.max(last)),
        }
        if self.last_hour != Some(hour) {
            self.hours += 1;
            self.days += u64::from(self.last_hour.map(day) != Some(day(hour)));
            self.last_hour = Some(hour);
        }
        Ok(())
    }

    fn finish(
        self,
        host: &str,
        application: &Application,
        destination: Destination,
        addresses: Vec<IpAddr>,
    ) -> Contact {
        Contact {
            host: host.to_owned(),
            application: application.clone(),
            name_source: self.name_source.map(source_of_rank),
            destination,
            users: self.users.into_iter().collect(),
            addresses,
            outcomes: self.outcomes,
            first: Timestamp::from_unix_ns(self.first),
            last: Timestamp::from_unix_ns(self.last),
            hours: self.hours,
            days: self.days,
            runs: self.runs.len() as u64,
        }
    }
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

fn day(hour_ns: i64) -> i64 {
    hour_ns.div_euclid(86_400_000_000_000)
}
