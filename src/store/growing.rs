//! A contact that is being summed up.

use std::net::IpAddr;

use super::{packed::DayContact, share::Sum, value::source_of_rank};
use crate::model::{Application, Contact, Destination, Outcome, Tally, Timestamp};

/// A contact that is being summed up. Days come in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Growing {
    /// By outcome, as many as there were.
    tallies: Vec<(Outcome, Tally)>,
    users: Vec<usize>,
    name_source: Option<i64>,
    /// First and last attempt, once there was one.
    bounds: Option<(i64, i64)>,
    /// The day that is being counted, and its hours.
    day: Option<(i64, u32)>,
    hours: u64,
    days: u64,
    /// Runs in which it happened.
    pub(super) runs: u64,
}

impl Growing {
    /// Takes in a part of a day.
    pub(super) fn grow(&mut self, day: i64, contact: &DayContact, user: Option<usize>) {
        let DayContact { outcome, sum, .. } = contact;
        let tally = self.tally(*outcome);
        tally.attempts = tally.attempts.saturating_add(sum.tally.attempts);
        tally.bytes_out = tally.bytes_out.saturating_add(sum.tally.bytes_out);
        tally.bytes_in = tally.bytes_in.saturating_add(sum.tally.bytes_in);
        if let Some(user) = user
            && !self.users.contains(&user)
        {
            self.users.push(user);
        }
        let Sum {
            first,
            last,
            name_source,
            ..
        } = *sum;
        self.name_source = [self.name_source, name_source].into_iter().flatten().min();
        self.bounds = Some(match self.bounds {
            None => (first, last),
            Some(known) => (known.0.min(first), known.1.max(last)),
        });
        match &mut self.day {
            Some((known, hours)) if *known == day => *hours |= contact.hours,
            _ => {
                self.end_day();
                self.day = Some((day, contact.hours));
            }
        }
    }

    fn tally(&mut self, outcome: Outcome) -> &mut Tally {
        let known = self.tallies.iter().position(|(one, _)| *one == outcome);
        let at = known.unwrap_or_else(|| {
            self.tallies.push((outcome, Tally::default()));
            self.tallies.len() - 1
        });
        &mut self.tallies[at].1
    }

    fn end_day(&mut self) {
        if let Some((_, hours)) = self.day.take() {
            self.days += 1;
            self.hours += u64::from(hours.count_ones());
        }
    }

    /// Users by name, sorted.
    pub(super) fn users(&self, names: &[String]) -> Vec<String> {
        let mut users: Vec<String> = self
            .users
            .iter()
            .filter_map(|user| names.get(*user).cloned())
            .collect();
        users.sort_unstable();
        users
    }

    pub(super) fn finish(
        mut self,
        host: String,
        application: Application,
        destination: Destination,
        users: Vec<String>,
        addresses: Vec<IpAddr>,
    ) -> Contact {
        self.end_day();
        let (first, last) = self.bounds.unwrap_or_default();
        Contact {
            host,
            application,
            name_source: self.name_source.map(source_of_rank),
            destination,
            users,
            addresses,
            outcomes: self.tallies.into_iter().collect(),
            first: Timestamp::from_unix_ns(first),
            last: Timestamp::from_unix_ns(last),
            hours: self.hours,
            days: self.days,
            runs: self.runs,
        }
    }
}
