//! In how many runs each contact of a window happened.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    matching_makers::MatchingMakers,
    packed_runs::{Span, each_count, each_span},
    query::Bounds,
    read::Reader,
};

/// How many runs, by destination, of each pair of host and application.
pub(super) type RunCounts = Vec<HashMap<i64, u64, RandomState>>;

// In order of runs, so that those of a contact can be counted as they come.
const UNPACKED: &str = "
SELECT c.run_id, c.identity_id, c.destination_id, c.first_ns, c.last_ns
FROM run AS r
CROSS JOIN contact_run AS c ON c.run_id = r.id
WHERE r.packed_day_ns IS NULL
ORDER BY r.id";

const PACKED_DAYS: &str = "
SELECT day_ns, first_ns, last_ns
FROM packed_run_day";

const IDENTITIES: &str = "
SELECT identity_id, id
FROM contact_run_day
WHERE day_ns = ?1";

const COUNTS: &str = "
SELECT counts
FROM contact_run_day
WHERE id = ?1";

const SPANS: &str = "
SELECT spans
FROM contact_run_day
WHERE id = ?1";

/// How a packed day lies to what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// All of it is asked for.
    Inside,
    /// None of it is.
    Outside,
    /// Each of its spans must be looked at.
    Across,
}

impl Bounds {
    /// Whether a run that met something from `first` to `last` counts: what is left out takes away only
    /// what lies wholly within it.
    fn counts_run(&self, first: i64, last: i64) -> bool {
        last >= self.since
            && first < self.until
            && !self
                .left_out
                .iter()
                .any(|(since, until)| first >= *since && last < *until)
    }

    /// Where spans lie that all begin at or after `first` and end at or before `last`.
    fn place_of(&self, first: i64, last: i64) -> Place {
        if last < self.since || first >= self.until {
            return Place::Outside;
        }
        let is_touched = self
            .left_out
            .iter()
            .any(|(since, until)| *since <= last && first < *until);
        if first >= self.since && last < self.until && !is_touched {
            Place::Inside
        } else {
            Place::Across
        }
    }
}

impl Reader {
    /// Runs that match, by pair and destination.
    pub(super) fn run_counts(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
    ) -> rusqlite::Result<RunCounts> {
        let mut counts = self.unpacked_runs(bounds, makers)?;
        let mut statement = self.connection.prepare_cached(PACKED_DAYS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let day = row.get(0)?;
            match bounds.place_of(row.get(1)?, row.get(2)?) {
                Place::Outside => {}
                Place::Inside => self.count_day(day, None, makers, &mut counts)?,
                Place::Across => self.count_day(day, Some(bounds), makers, &mut counts)?,
            }
        }
        Ok(counts)
    }

    fn unpacked_runs(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
    ) -> rusqlite::Result<RunCounts> {
        let mut counts = vec![HashMap::default(); makers.pairs.len()];
        // The latest run of each contact.
        let mut latest = vec![HashMap::<i64, i64, RandomState>::default(); makers.pairs.len()];
        self.each_unpacked_run(bounds, makers, |pair, destination, run| {
            if let (Some(latest), Some(counts)) = (latest.get_mut(pair), counts.get_mut(pair))
                && latest.insert(destination, run) != Some(run)
            {
                *counts.entry(destination).or_default() += 1;
            }
        })?;
        Ok(counts)
    }

    fn each_unpacked_run(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
        mut each: impl FnMut(usize, i64, i64),
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(UNPACKED)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Some((pair, _)) = makers.identities.get(&row.get(1)?) else {
                continue;
            };
            if bounds.counts_run(row.get(3)?, row.get(4)?) {
                each(*pair, row.get(2)?, row.get(0)?);
            }
        }
        Ok(())
    }

    /// Destinations and the runs that met them, some several times, of the pairs that are wanted.
    pub(super) fn each_run(
        &self,
        bounds: &Bounds,
        makers: &MatchingMakers,
        wanted: &[bool],
        mut each: impl FnMut(usize, i64, i64),
    ) -> rusqlite::Result<()> {
        let is_wanted = |pair: usize| wanted.get(pair).is_some_and(|wanted| *wanted);
        self.each_unpacked_run(bounds, makers, |pair, destination, run| {
            if is_wanted(pair) {
                each(pair, destination, run);
            }
        })?;
        let mut statement = self.connection.prepare_cached(PACKED_DAYS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let day = row.get(0)?;
            let within = match bounds.place_of(row.get(1)?, row.get(2)?) {
                Place::Outside => continue,
                Place::Inside => None,
                Place::Across => Some(bounds),
            };
            for (pair, of_pair) in self.packed_of_day(day, makers)?.iter().enumerate() {
                if !is_wanted(pair) {
                    continue;
                }
                for (destination, run) in self.spans_of(day, of_pair, within)? {
                    each(pair, destination, run);
                }
            }
        }
        Ok(())
    }

    /// The rows of a packed day, by pair.
    fn packed_of_day(&self, day: i64, makers: &MatchingMakers) -> rusqlite::Result<Vec<Vec<i64>>> {
        let mut packed = vec![Vec::new(); makers.pairs.len()];
        let mut statement = self.connection.prepare_cached(IDENTITIES)?;
        let mut rows = statement.query((day,))?;
        while let Some(row) = rows.next()? {
            if let Some((pair, _)) = makers.identities.get(&row.get(0)?)
                && let Some(of_pair) = packed.get_mut(*pair)
            {
                of_pair.push(row.get::<_, i64>(1)?);
            }
        }
        Ok(packed)
    }

    /// Adds the runs of a packed day: all of them, or those within bounds.
    fn count_day(
        &self,
        day: i64,
        within: Option<&Bounds>,
        makers: &MatchingMakers,
        counts: &mut RunCounts,
    ) -> rusqlite::Result<()> {
        let packed = self.packed_of_day(day, makers)?;
        for (of_pair, counts) in packed.iter().zip(counts) {
            let mut add = |destination, runs| *counts.entry(destination).or_default() += runs;
            match (of_pair.as_slice(), within) {
                ([], _) => {}
                ([one], None) => self
                    .connection
                    .prepare_cached(COUNTS)?
                    .query_row((one,), |row| {
                        each_count(row.get_ref(0)?.as_blob()?, &mut add)
                    })?,
                // A run in which several identities met one destination is one run.
                (several, _) => {
                    let spans = self.spans_of(day, several, within)?;
                    for group in spans.chunk_by(|one, other| one.0 == other.0) {
                        if let Some((destination, _)) = group.first() {
                            add(*destination, group.len() as u64);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Destinations and runs that met them, each once and in order.
    fn spans_of(
        &self,
        day: i64,
        packed: &[i64],
        within: Option<&Bounds>,
    ) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut met = Vec::new();
        let mut statement = self.connection.prepare_cached(SPANS)?;
        for id in packed {
            statement.query_row((id,), |row| {
                each_span(day, row.get_ref(0)?.as_blob()?, |span| {
                    let Span { first, last, .. } = span;
                    if within.is_none_or(|bounds| bounds.counts_run(first, last)) {
                        met.push((span.destination, span.run));
                    }
                })
            })?;
        }
        met.sort_unstable();
        met.dedup();
        Ok(met)
    }
}
