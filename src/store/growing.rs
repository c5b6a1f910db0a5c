//! A contact that is being summed up.

use std::net::IpAddr;

use super::{packed::DayContact, share::Sum, value::source_of_rank};
use crate::model::{Application, Contact, Destination, Outcome, Tally, Timestamp};

/// A contact that is being summed up: first from hours, in any order, then from summed days in ascending
/// order. What nearly every contact has one of lies within it, since there are tens of thousands.
#[derive(Clone, Debug, Default)]
pub(super) struct Growing {
    /// By outcome: the first, and the others.
    tally: Option<(Outcome, Tally)>,
    more_tallies: Vec<(Outcome, Tally)>,
    user: Option<usize>,
    more_users: Vec<usize>,
    name_source: Option<i64>,
    /// First and last attempt, once there was one.
    bounds: Option<(i64, i64)>,
    /// The summed day that is being counted, and its hours.
    day: Option<(i64, u32)>,
    /// Days of which hours were read, and these hours.
    edges: Vec<(i64, u32)>,
    hours: u64,
    days: u64,
    /// Runs in which it happened.
    pub(super) runs: u64,
}

impl Growing {
    /// Takes in an hour of a day.
    pub(super) fn grow_by_hour(&mut self, day: i64, contact: &DayContact, user: Option<usize>) {
        self.add(contact, user);
        match self.edge(day) {
            Some(hours) => *hours |= contact.hours,
            None => self.edges.push((day, contact.hours)),
        }
    }

    /// Takes in a summed day.
    pub(super) fn grow_by_day(&mut self, day: i64, contact: &DayContact, user: Option<usize>) {
        self.add(contact, user);
        // The day may be summed up in part only.
        if let Some(hours) = self.edge(day) {
            *hours |= contact.hours;
            return;
        }
        match &mut self.day {
            Some((known, hours)) if *known == day => *hours |= contact.hours,
            _ => {
                self.end_day();
                self.day = Some((day, contact.hours));
            }
        }
    }

    fn edge(&mut self, day: i64) -> Option<&mut u32> {
        let edge = self.edges.iter_mut().find(|(known, _)| *known == day);
        edge.map(|(_, hours)| hours)
    }

    fn add(&mut self, contact: &DayContact, user: Option<usize>) {
        let DayContact { outcome, sum, .. } = contact;
        let tally = self.tally(*outcome);
        tally.attempts = tally.attempts.saturating_add(sum.tally.attempts);
        tally.bytes_out = tally.bytes_out.saturating_add(sum.tally.bytes_out);
        tally.bytes_in = tally.bytes_in.saturating_add(sum.tally.bytes_in);
        match (self.user, user) {
            (None, _) => self.user = user,
            (Some(known), Some(user)) if known != user && !self.more_users.contains(&user) => {
                self.more_users.push(user);
            }
            _ => {}
        }
        let Sum {
            first,
            last,
            name_source,
            ..
        } = *sum;
        self.name_source = match (self.name_source, name_source) {
            (Some(known), Some(other)) => Some(known.min(other)),
            (known, other) => known.or(other),
        };
        self.bounds = Some(match self.bounds {
            None => (first, last),
            Some(known) => (known.0.min(first), known.1.max(last)),
        });
    }

    fn tally(&mut self, outcome: Outcome) -> &mut Tally {
        let first = self.tally.get_or_insert((outcome, Tally::default()));
        if first.0 == outcome {
            return &mut first.1;
        }
        let others = &mut self.more_tallies;
        let known = others.iter().position(|(one, _)| *one == outcome);
        let at = known.unwrap_or_else(|| {
            others.push((outcome, Tally::default()));
            others.len() - 1
        });
        &mut others[at].1
    }

    fn end_day(&mut self) {
        if let Some((_, hours)) = self.day.take() {
            self.count_day(hours);
        }
    }

    fn count_day(&mut self, hours: u32) {
        self.days += 1;
        self.hours += u64::from(hours.count_ones());
    }

    /// Users by name, sorted.
    fn users(&self, names: &[String]) -> Vec<String> {
        let mut users: Vec<String> = self
            .user
            .iter()
            .chain(&self.more_users)
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
        users: &[String],
        addresses: Vec<IpAddr>,
    ) -> Contact {
        self.end_day();
        for (_, hours) in std::mem::take(&mut self.edges) {
            self.count_day(hours);
        }
        let users = self.users(users);
        let (first, last) = self.bounds.unwrap_or_default();
        Contact {
            host,
            application,
            name_source: self.name_source.map(source_of_rank),
            destination,
            users,
            addresses,
            outcomes: self.tally.into_iter().chain(self.more_tallies).collect(),
            first: Timestamp::from_unix_ns(first),
            last: Timestamp::from_unix_ns(last),
            hours: self.hours,
            days: self.days,
            runs: self.runs,
        }
    }
}
