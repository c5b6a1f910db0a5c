//! When contacts happened: in which days, hours and runs.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::{
    Reader, StoreError,
    calendar::DAY,
    each_contact::{Met, Sink},
    matching_makers::MatchingMakers,
    query::{Bounds, ContactQuery},
};
use crate::model::{Occurrence, Occurrences, Units};

const HOURS_OF_DAY: u32 = 24;

/// When one pair of host and application met anything.
#[derive(Clone, Debug, Default)]
struct OfPair {
    active_days: Units,
    active_hours: Units,
    met: HashMap<i64, When, RandomState>,
}

#[derive(Clone, Debug, Default)]
struct When {
    days: Units,
    hours: Units,
}

/// By pair of host and application.
#[derive(Debug)]
struct Seen(Vec<OfPair>);

impl Sink for Seen {
    fn hour(&mut self, met: Met<'_>) {
        self.day(met);
    }

    fn day(&mut self, met: Met<'_>) {
        let (Some(of_pair), Ok(day)) = (self.0.get_mut(met.pair), u32::try_from(met.day / DAY))
        else {
            return;
        };
        of_pair.active_days.insert(day);
        insert_hours(&mut of_pair.active_hours, day, met.contact.hours);
        if !met.contact.outcome.is_failure() {
            let when = of_pair.met.entry(met.contact.destination).or_default();
            when.days.insert(day);
            insert_hours(&mut when.hours, day, met.contact.hours);
        }
    }
}

fn insert_hours(hours: &mut Units, day: u32, bits: u32) {
    for hour in (0..HOURS_OF_DAY).filter(|hour| bits >> hour & 1 == 1) {
        hours.insert(day.saturating_mul(HOURS_OF_DAY).saturating_add(hour));
    }
}

/// Runs of one pair: all of them, and those that met each destination.
#[derive(Clone, Debug, Default)]
struct Runs {
    all: BTreeSet<i64>,
    met: HashMap<i64, Vec<i64>, RandomState>,
}

impl Runs {
    /// The runs that met a destination, by their place among all.
    fn of(&self, places: &HashMap<i64, u32, RandomState>, destination: i64) -> Units {
        let runs = self.met.get(&destination).into_iter().flatten();
        runs.filter_map(|run| places.get(run).copied()).collect()
    }
}

impl Reader {
    /// When the contacts of a query happened, ordered by host, application and destination. Times before
    /// 1970 are left out.
    pub fn occurrences(&self, query: &ContactQuery) -> Result<Vec<Occurrences>, StoreError> {
        self.occurrences_within(&Bounds::of(query))
            .map_err(|error| self.failed(error))
    }

    fn occurrences_within(&self, bounds: &Bounds) -> rusqlite::Result<Vec<Occurrences>> {
        // One snapshot: a batch that comes in between must not be half in.
        let snapshot = self.connection.unchecked_transaction()?;
        let makers = self.matching_makers(bounds)?;
        let mut seen = Seen(vec![OfPair::default(); makers.pairs.len()]);
        self.each_contact(bounds, &makers, &mut seen)?;
        let mut runs = vec![Runs::default(); makers.pairs.len()];
        self.each_run(bounds, &makers, |pair, destination, run| {
            if let Some(runs) = runs.get_mut(pair) {
                runs.all.insert(run);
                runs.met.entry(destination).or_default().push(run);
            }
        })?;
        let occurrences = self.with_destinations(seen, &runs, &makers)?;
        snapshot.finish()?;
        Ok(occurrences)
    }

    fn with_destinations(
        &self,
        mut seen: Seen,
        runs: &[Runs],
        makers: &MatchingMakers,
    ) -> rusqlite::Result<Vec<Occurrences>> {
        let wanted = seen.0.iter().flat_map(|of_pair| of_pair.met.keys());
        let destinations = self.destinations(&wanted.copied().collect())?;
        let mut all = Vec::new();
        for (pair, host, application) in self.in_order(makers)? {
            let (Some(of_pair), Some(runs)) = (seen.0.get_mut(pair), runs.get(pair)) else {
                continue;
            };
            if of_pair.active_days.is_empty() {
                continue;
            }
            let places: HashMap<i64, u32, RandomState> =
                runs.all.iter().copied().zip(0_u32..).collect();
            let mut met: Vec<Occurrence> = of_pair
                .met
                .drain()
                .filter_map(|(id, when)| {
                    // Foreign keys hold: what a rollup refers to is there.
                    let (_, destination) = destinations.get(&id)?;
                    Some(Occurrence {
                        destination: destination.clone(),
                        days: when.days,
                        hours: when.hours,
                        runs: runs.of(&places, id),
                    })
                })
                .collect();
            met.sort_unstable_by(|one, other| one.destination.cmp(&other.destination));
            all.push(Occurrences {
                host,
                application,
                active_days: std::mem::take(&mut of_pair.active_days),
                active_hours: std::mem::take(&mut of_pair.active_hours),
                runs: u32::try_from(places.len()).unwrap_or(u32::MAX),
                met,
            });
        }
        Ok(all)
    }
}
