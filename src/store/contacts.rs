//! Contacts: rollups of a window, by application and destination.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{
    Reader, StoreError,
    each_contact::{Met, Sink},
    growing::Growing,
    matching_makers::MatchingMakers,
    query::{Bounds, ContactQuery},
    run_counts::RunCounts,
};
use crate::model::Contact;

/// By destination, of each pair of host and application: what is read together lies together, and fits
/// into the caches of a processor.
type Contacts = Vec<HashMap<i64, Growing, RandomState>>;

impl Sink for Contacts {
    fn hour(&mut self, met: Met<'_>) {
        if let Some(contacts) = self.get_mut(met.pair) {
            let growing = contacts.entry(met.contact.destination).or_default();
            growing.grow_by_hour(met.day, met.contact, met.user);
        }
    }

    fn day(&mut self, met: Met<'_>) {
        if let Some(contacts) = self.get_mut(met.pair) {
            let growing = contacts.entry(met.contact.destination).or_default();
            growing.grow_by_day(met.day, met.contact, met.user);
        }
    }
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
        let mut contacts: Contacts = vec![HashMap::default(); makers.pairs.len()];
        self.each_contact(bounds, &makers, &mut contacts)?;
        let runs = self.run_counts(bounds, &makers)?;
        let contacts = self.named(contacts, &runs, &makers)?;
        snapshot.finish()?;
        Ok(contacts)
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
