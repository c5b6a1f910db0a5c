//! The contacts of one identity on one day, as a stream of numbers.
//!
//! A report over months reads hundreds of thousands of them: as rows, SQLite would spend more on
//! finding each column than on anything else.
//!
//! The form: contacts in ascending order of destination, each as numbers of seven bits a byte, low
//! ones first: destination less the one before; outcome times 8 plus rank of the name's source (0:
//! none); hours of the day as bits; attempts; bytes out; bytes in; first attempt less start of the
//! day; last less first. The last two may be negative and are folded: 0, -1, 1, -2, 2 and so on.

use super::{share::Sum, value::outcome_of};
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
    bytes: Vec<u8>,
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
        self.number(destination.wrapping_sub(self.destination).cast_unsigned());
        self.destination = *destination;
        let tag = outcome * 8 + sum.name_source.unwrap_or(0);
        self.number(tag.cast_unsigned());
        self.number(u64::from(*hours));
        self.number(sum.tally.attempts);
        self.number(sum.tally.bytes_out);
        self.number(sum.tally.bytes_in);
        self.number(folded(sum.first.wrapping_sub(day)));
        self.number(folded(sum.last.wrapping_sub(sum.first)));
    }

    /// The stream.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            let low = u8::try_from(value & 0x7f).unwrap_or_default();
            self.bytes.push(low | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).unwrap_or_default());
    }
}

fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unfolded(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    bytes: &'a [u8],
    day: i64,
    destination: i64,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(day: i64, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            day,
            destination: 0,
        }
    }

    /// The next contact; an error if the stream makes no sense.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<DayContact>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.contact().map(Some)
    }

    fn contact(&mut self) -> rusqlite::Result<DayContact> {
        self.destination = self.destination.wrapping_add(self.number()?.cast_signed());
        let tag = self.number()?.cast_signed();
        let hours = u32::try_from(self.number()?).map_err(|_| broken())?;
        let tally = Tally {
            attempts: self.number()?,
            bytes_out: self.number()?,
            bytes_in: self.number()?,
        };
        let first = self.day.wrapping_add(unfolded(self.number()?));
        let last = first.wrapping_add(unfolded(self.number()?));
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

    fn number(&mut self) -> rusqlite::Result<u64> {
        let mut value = 0;
        for (at, byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.bytes = self.bytes.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(broken())
    }
}

fn broken() -> rusqlite::Error {
    super::value::invalid("a packed day makes no sense".into())
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
