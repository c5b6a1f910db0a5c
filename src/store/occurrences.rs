//! When contacts happened: in which days, hours or runs.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    Reader, StoreError,
    calendar::DAY,
    each_contact::{Met, Sink},
    matching_makers::MatchingMakers,
    query::{Bounds, ContactQuery},
};
use crate::model::{Application, Occurrence, Occurrences, SamplingUnit, Units};

const HOURS_OF_DAY: u32 = 24;

/// When one pair of host and application met anything.
#[derive(Clone, Debug)]
struct OfPair {
    unit: SamplingUnit,
    active_days: Units,
    /// Days or hours; of runs, which come later, none.
    met: HashMap<i64, Units, RandomState>,
    /// How many runs attempted anything.
    runs: u32,
    /// Destinations with the runs that attempted them.
    attempted: Vec<(i64, i64)>,
}

/// By pair of host and application, where it is asked for.
#[derive(Debug)]
struct Seen(Vec<Option<OfPair>>);

impl Sink for Seen {
    fn hour(&mut self, met: Met<'_>) {
        self.day(met);
    }

    fn day(&mut self, met: Met<'_>) {
        let (Some(Some(of_pair)), Ok(day)) =
            (self.0.get_mut(met.pair), u32::try_from(met.day / DAY))
        else {
            return;
        };
        of_pair.active_days.insert(day);
        if met.contact.outcome.is_failure() {
            return;
        }
        let units = of_pair.met.entry(met.contact.destination).or_default();
        match of_pair.unit {
            SamplingUnit::Day => units.insert(day),
            SamplingUnit::Hour => insert_hours(units, day, met.contact.hours),
            SamplingUnit::Run => {}
        }
    }
}

fn insert_hours(hours: &mut Units, day: u32, bits: u32) {
    for hour in (0..HOURS_OF_DAY).filter(|hour| bits >> hour & 1 == 1) {
        hours.insert(day.saturating_mul(HOURS_OF_DAY).saturating_add(hour));
    }
}

impl OfPair {
    fn counted_in(unit: SamplingUnit) -> Self {
        Self {
            unit,
            active_days: Units::new(),
            met: HashMap::default(),
            runs: 0,
            attempted: Vec::new(),
        }
    }

    /// Counts runs, and puts each by its place among all to what was met in it.
    fn place_runs(&mut self) {
        self.attempted.sort_unstable_by_key(|(_, run)| *run);
        for of_run in self.attempted.chunk_by(|(_, one), (_, other)| one == other) {
            for (destination, _) in of_run {
                if let Some(units) = self.met.get_mut(destination) {
                    units.insert(self.runs);
                }
            }
            self.runs = self.runs.saturating_add(1);
        }
        self.attempted = Vec::new();
    }
}

impl Reader {
    /// When the contacts of a query happened, ordered by host, application and destination: of the
    /// applications for which `unit_of` names a unit, in that unit. Times before 1970 are left out.
    pub fn occurrences(
        &self,
        query: &ContactQuery,
        unit_of: &dyn Fn(&str, &Application) -> Option<SamplingUnit>,
    ) -> Result<Vec<Occurrences>, StoreError> {
        self.occurrences_within(&Bounds::of(query), unit_of)
            .map_err(|error| self.failed(error))
    }

    fn occurrences_within(
        &self,
        bounds: &Bounds,
        unit_of: &dyn Fn(&str, &Application) -> Option<SamplingUnit>,
    ) -> rusqlite::Result<Vec<Occurrences>> {
        // One snapshot: a batch that comes in between must not be half in.
        let snapshot = self.connection.unchecked_transaction()?;
        let makers = self.matching_makers(bounds)?;
        let pairs = self.in_order(&makers)?;
        let mut seen = Seen(vec![None; makers.pairs.len()]);
        for (pair, host, application) in &pairs {
            if let Some(place) = seen.0.get_mut(*pair) {
                *place = unit_of(host, application).map(OfPair::counted_in);
            }
        }
        self.each_contact(bounds, &makers, &mut seen)?;
        self.take_runs(bounds, &makers, &mut seen)?;
        let occurrences = self.with_destinations(seen, pairs)?;
        snapshot.finish()?;
        Ok(occurrences)
    }

    fn take_runs(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
        seen: &mut Seen,
    ) -> rusqlite::Result<()> {
        let is_counted_in_runs = |of_pair: &Option<OfPair>| {
            of_pair.as_ref().map(|one| one.unit) == Some(SamplingUnit::Run)
        };
        let wanted: Vec<bool> = seen.0.iter().map(is_counted_in_runs).collect();
        if !wanted.contains(&true) {
            return Ok(());
        }
        self.each_run(bounds, makers, &wanted, |pair, destination, run| {
            if let Some(Some(of_pair)) = seen.0.get_mut(pair) {
                of_pair.attempted.push((destination, run));
            }
        })?;
        seen.0.iter_mut().flatten().for_each(OfPair::place_runs);
        Ok(())
    }

    fn with_destinations(
        &self,
        mut seen: Seen,
        pairs: Vec<(usize, String, Application)>,
    ) -> rusqlite::Result<Vec<Occurrences>> {
        let wanted = seen
            .0
            .iter()
            .flatten()
            .flat_map(|of_pair| of_pair.met.keys());
        let destinations = self.destinations(&wanted.copied().collect())?;
        let mut all = Vec::new();
        for (pair, host, application) in pairs {
            let of_pair = seen.0.get_mut(pair).and_then(Option::take);
            let Some(of_pair) = of_pair.filter(|one| !one.active_days.is_empty()) else {
                continue;
            };
            // Foreign keys hold: what a rollup refers to is there.
            let met = of_pair.met.into_iter().filter_map(|(id, units)| {
                let (_, destination) = destinations.get(&id)?;
                Some(Occurrence {
                    destination: destination.clone(),
                    units,
                })
            });
            let mut met: Vec<Occurrence> = met.collect();
            met.sort_unstable_by(|one, other| one.destination.cmp(&other.destination));
            all.push(Occurrences {
                host,
                application,
                unit: of_pair.unit,
                active_days: of_pair.active_days,
                runs: of_pair.runs,
                met,
            });
        }
        Ok(all)
    }
}
