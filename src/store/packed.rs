//! The contacts of one identity on one day, as a stream of numbers.
//!
//! A report over months reads hundreds of thousands of them: as rows, SQLite would spend more on
//! finding each column than on anything else.
//!
//! The form: contacts in ascending order of destination, each as numbers: destination less the one
//! before; outcome times 8 plus rank of the name's source (0: none); hours of the day as bits;
//! attempts; bytes out; bytes in; first attempt less start of the day, folded; last less first, folded.

use super::{
    numbers::{Reading, Writing},
    share::Sum,
    value::{invalid, outcome_of},
};
use crate::model::{Outcome, Tally};

/// What one identity had to do with one destination on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DayContact {
    pub(super) destination: i64,
    pub(super) outcome: Outcome,
    /// One bit for each hour of the day, the first hour lowest.
    pub(super) hours: u32,
    pub(super) sum: Sum,
}

/// Writes a stream.
#[derive(Debug, Default)]
pub(super) struct Packer {
    stream: Writing,
    destination: i64,
}

impl Packer {
    /// Adds a contact; `outcome` is its number.
    pub(super) fn add(&mut self, day: i64, outcome: i64, contact: &DayContact) {
        let DayContact {
            destination,
            hours,
            sum,
            ..
        } = contact;
        let stream = &mut self.stream;
        stream.number(destination.wrapping_sub(self.destination).cast_unsigned());
        self.destination = *destination;
        let tag = outcome * 8 + sum.name_source.unwrap_or(0);
        stream.number(tag.cast_unsigned());
        stream.number(u64::from(*hours));
        stream.number(sum.tally.attempts);
        stream.number(sum.tally.bytes_out);
        stream.number(sum.tally.bytes_in);
        stream.folded(sum.first.wrapping_sub(day));
        stream.folded(sum.last.wrapping_sub(sum.first));
    }

    /// The stream.
    pub(super) fn finish(self) -> Vec<u8> {
        self.stream.finish()
    }
}

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    stream: Reading<'a>,
    day: i64,
    destination: i64,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(day: i64, bytes: &'a [u8]) -> Self {
        Self {
            stream: Reading::of(bytes),
            day,
            destination: 0,
        }
    }

    /// The next contact; an error if the stream makes no sense.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<DayContact>> {
        if self.stream.is_at_end() {
            return Ok(None);
        }
        self.contact().map(Some)
    }

    fn contact(&mut self) -> rusqlite::Result<DayContact> {
        self.destination = self
            .destination
            .wrapping_add(self.stream.number()?.cast_signed());
        let tag = self.stream.number()?.cast_signed();
        let hours = u32::try_from(self.stream.number()?).map_err(|cause| invalid(cause.into()))?;
        let tally = Tally {
            attempts: self.stream.number()?,
            bytes_out: self.stream.number()?,
            bytes_in: self.stream.number()?,
        };
        let first = self.day.wrapping_add(self.stream.folded()?);
        let last = first.wrapping_add(self.stream.folded()?);
        Ok(DayContact {
            destination: self.destination,
            outcome: outcome_of(tag / 8)?,
            hours,
            sum: Sum {
                tally,
                first,
                last,
                name_source: (tag % 8 != 0).then_some(tag % 8),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{DayContact, Packer, Unpacker};
    use crate::{
        model::{Outcome, Tally},
        store::{share::Sum, value::number_of},
    };

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(
            day in any::<i64>(),
            parts in prop::collection::vec(
                (any::<[i64; 3]>(), any::<[u64; 3]>(), 0..9_usize, any::<u32>(), 0..6_i64),
                0..20,
            ),
        ) {
            let contacts: Vec<DayContact> = parts
                .into_iter()
                .map(|([destination, first, last], [attempts, bytes_out, bytes_in], at, hours, source)| {
                    DayContact {
                        destination,
                        outcome: Outcome::ALL[at],
                        hours,
                        sum: Sum {
                            tally: Tally { attempts, bytes_out, bytes_in },
                            first,
                            last,
                            name_source: (source > 0).then_some(source),
                        },
                    }
                })
                .collect();
            let mut packer = Packer::default();
            for contact in &contacts {
                packer.add(day, number_of(contact.outcome), contact);
            }
            let bytes = packer.finish();
            let mut unpacker = Unpacker::new(day, &bytes);
            let mut read = Vec::new();
            while let Some(contact) = unpacker.next().unwrap() {
                read.push(contact);
            }
            assert_eq!(read, contacts);
        }

        #[test]
        fn bytes_of_somebody_else_are_an_error_or_contacts(bytes in any::<Vec<u8>>()) {
            let mut unpacker = Unpacker::new(0, &bytes);
            let mut contacts = 0;
            while let Ok(Some(_)) = unpacker.next() {
                contacts += 1;
            }
            assert!(contacts <= bytes.len());
        }
    }
}
