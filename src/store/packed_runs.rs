//! The runs of one identity that ended on one day, and where each went, as streams of numbers.
//!
//! A report counts runs by the million; most often every run of the day lies in the window, and then
//! their number is enough. So there are two streams, both in ascending order of destination and, within
//! it, of run:
//!
//! - counts: destination less the one before; number of runs that met it.
//! - spans: destination less the one before (0: the same); run less the one before at that destination;
//!   first contact less start of the day, folded; last less first, folded. A run is there several times
//!   where it met a destination in ways that were kept apart, unless one lies within another in time.

use super::numbers::{Reading, Writing};

/// That a run met a destination, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) destination: i64,
    pub(super) run: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Span {
    fn has_same_place(&self, other: &Self) -> bool {
        (self.destination, self.run) == (other.destination, other.run)
    }

    fn holds(&self, other: &Self) -> bool {
        self.has_same_place(other) && self.first <= other.first && other.last <= self.last
    }
}

/// Both streams: counts and spans.
pub(super) fn packed(day: i64, mut spans: Vec<Span>) -> (Vec<u8>, Vec<u8>) {
    // Of spans that begin together the longest comes first, so that it meets those that it holds.
    spans.sort_unstable_by_key(|span| {
        (
            span.destination,
            span.run,
            span.first,
            std::cmp::Reverse(span.last),
        )
    });
    // Whatever window asks for the inner span asks for the outer one as well.
    spans.dedup_by(|inner, outer| outer.holds(inner));
    let mut stream = Writing::default();
    let (mut destination, mut run) = (0_i64, 0_i64);
    for span in &spans {
        if span.destination != destination {
            run = 0;
        }
        stream.number(span.destination.wrapping_sub(destination).cast_unsigned());
        stream.number(span.run.wrapping_sub(run).cast_unsigned());
        stream.folded(span.first.wrapping_sub(day));
        stream.folded(span.last.wrapping_sub(span.first));
        (destination, run) = (span.destination, span.run);
    }
    spans.dedup_by(|later, earlier| earlier.has_same_place(later));
    (packed_counts(&spans), stream.finish())
}

fn packed_counts(spans: &[Span]) -> Vec<u8> {
    let mut stream = Writing::default();
    let mut destination = 0_i64;
    for group in spans.chunk_by(|one, other| one.destination == other.destination) {
        if let Some(first) = group.first() {
            stream.number(first.destination.wrapping_sub(destination).cast_unsigned());
            stream.number(group.len() as u64);
            destination = first.destination;
        }
    }
    stream.finish()
}

/// Destinations and how many runs met each.
pub(super) fn each_count(bytes: &[u8], mut each: impl FnMut(i64, u64)) -> rusqlite::Result<()> {
    let mut stream = Reading::of(bytes);
    let mut destination = 0_i64;
    while !stream.is_at_end() {
        destination = destination.wrapping_add(stream.number()?.cast_signed());
        each(destination, stream.number()?);
    }
    Ok(())
}

/// All spans.
pub(super) fn each_span(
    day: i64,
    bytes: &[u8],
    mut each: impl FnMut(Span),
) -> rusqlite::Result<()> {
    let mut stream = Reading::of(bytes);
    let (mut destination, mut run) = (0_i64, 0_i64);
    while !stream.is_at_end() {
        let further = stream.number()?.cast_signed();
        if further != 0 {
            run = 0;
        }
        destination = destination.wrapping_add(further);
        run = run.wrapping_add(stream.number()?.cast_signed());
        let first = day.wrapping_add(stream.folded()?);
        let last = first.wrapping_add(stream.folded()?);
        each(Span {
            destination,
            run,
            first,
            last,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

    use super::{Span, each_count, each_span, packed};

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        let number = || prop_oneof![0..4_i64, any::<i64>()];
        prop::collection::vec([number(), number(), number(), number()], 0..40).prop_map(|all| {
            all.into_iter()
                .map(|[destination, run, one, other]| Span {
                    destination,
                    run,
                    first: one.min(other),
                    last: one.max(other),
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn spans_come_out_again_but_for_those_within_another(day in any::<i64>(), spans in spans()) {
            let (_, bytes) = packed(day, spans.clone());
            let mut read = Vec::new();
            each_span(day, &bytes, |span| read.push(span)).unwrap();
            let unique: BTreeSet<Span> = spans.iter().copied().collect();
            let outermost: BTreeSet<Span> = unique
                .iter()
                .filter(|span| !unique.iter().any(|other| other != *span && other.holds(span)))
                .copied()
                .collect();
            assert_eq!(read.len(), outermost.len());
            assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), outermost);
        }

        #[test]
        fn counts_are_of_runs_and_not_of_spans(day in any::<i64>(), spans in spans()) {
            let (bytes, _) = packed(day, spans.clone());
            let mut counts = BTreeMap::new();
            each_count(&bytes, |destination, count| {
                assert_eq!(counts.insert(destination, count), None);
            }).unwrap();
            let mut runs = BTreeMap::<i64, BTreeSet<i64>>::new();
            for span in &spans {
                runs.entry(span.destination).or_default().insert(span.run);
            }
            let expected: BTreeMap<i64, u64> =
                runs.into_iter().map(|(destination, runs)| (destination, runs.len() as u64)).collect();
            assert_eq!(counts, expected);
        }

        #[test]
        fn bytes_of_somebody_else_are_an_error_or_spans(bytes in any::<Vec<u8>>()) {
            let mut met = 0;
            let _anything = each_span(0, &bytes, |_| met += 1);
            let _anything = each_count(&bytes, |_, _| met += 1);
            assert!(met <= 2 * bytes.len());
        }
    }
}
