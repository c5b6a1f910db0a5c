//! What is counted of the units and what happened in them; the order of destinations is gone here.

use crate::model::Units;

use super::estimators::Counts;

/// Counts by unit; units are in order and called by their place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tally {
    /// Numbers of the covered units from the first on in which something happened.
    pub(super) units: Vec<u32>,
    /// Destinations.
    pub(super) destinations: usize,
    /// Destinations that were reached in exactly two units.
    pub(super) twice: usize,
    /// For each unit, destinations that were reached in it.
    pub(super) reached_in: Vec<usize>,
    /// For each unit, destinations that were reached in no other.
    pub(super) unique_in: Vec<usize>,
    /// For each unit, destinations that were reached in none before it.
    pub(super) first_in: Vec<usize>,
    /// Units after the last one that brought something new.
    pub(super) quiet: usize,
    /// In how many units on end a new destination is reached at first, in the mean.
    pub(super) stay: f64,
}

impl Tally {
    pub(super) fn of<'a>(
        covered: &Units,
        destinations: impl Iterator<Item = &'a Units> + Clone,
    ) -> Self {
        let destinations = destinations.filter(|units| !units.is_empty());
        let mut all = Units::new();
        for units in destinations.clone() {
            all.extend_from(units);
        }
        if let Some(first) = all.first() {
            all.extend_from(&covered.since(first));
        }
        let units: Vec<u32> = all.iter().collect();
        let mut tally = Self {
            destinations: 0,
            twice: 0,
            reached_in: vec![0; units.len()],
            unique_in: vec![0; units.len()],
            first_in: vec![0; units.len()],
            quiet: 0,
            stay: 1.0,
            units,
        };
        let mut stays = Stays::default();
        for units in destinations {
            tally.take(units, &mut stays);
        }
        let latest = tally.first_in.iter().rposition(|count| *count > 0);
        tally.quiet = latest.map_or(0, |at| tally.units.len() - 1 - at);
        tally.stay = stays.mean();
        tally
    }

    /// The counts that the published estimators need.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            units: self.units.len(),
            destinations: self.destinations,
            incidences: self.reached_in.iter().sum(),
            once: self.unique_in.iter().sum(),
            twice: self.twice,
        }
    }

    fn take(&mut self, units: &Units, stays: &mut Stays) {
        let Some(first) = units.first().and_then(|first| self.place(first)) else {
            return;
        };
        let times = units.len();
        self.destinations += 1;
        self.first_in[first] += 1;
        match times {
            1 => self.unique_in[first] += 1,
            2 => self.twice += 1,
            _ => {}
        }
        for unit in units.iter() {
            if let Some(at) = self.place(unit) {
                self.reached_in[at] += 1;
            }
        }
        // What is there from early on says nothing of how those stay that come later.
        if first * 3 > self.units.len() {
            let on_end = self.units[first..].iter().zip(units.iter());
            let length = on_end.take_while(|(covered, own)| *covered == own).count();
            stays.units += length;
            stays.ended += usize::from(first + length < self.units.len());
        }
    }

    fn place(&self, unit: u32) -> Option<usize> {
        // Mostly no unit is missing; there are a million destinations to ask for.
        let place = unit.checked_sub(*self.units.first()?)? as usize;
        match self.units.get(place) {
            Some(found) if *found == unit => Some(place),
            _ => self.units.binary_search(&unit).ok(),
        }
    }
}

/// Stays of destinations, some of which are not over: as long as all together, for each that is
/// (the likeliest mean of a geometric length that was cut).
#[derive(Default)]
struct Stays {
    units: usize,
    ended: usize,
}

impl Stays {
    fn mean(&self) -> f64 {
        (self.units as f64 / self.ended.max(1) as f64).max(1.0)
    }
}
