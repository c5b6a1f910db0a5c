//! Numbers as a stream of bytes: seven bits a byte, low ones first; a set eighth bit says that more
//! follow. Numbers that may be negative are folded: 0, -1, 1, -2, 2 and so on.

/// A stream that is being written.
#[derive(Debug, Default)]
pub(super) struct Writing {
    bytes: Vec<u8>,
}

impl Writing {
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            let low = u8::try_from(value & 0x7f).unwrap_or_default();
            self.bytes.push(low | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).unwrap_or_default());
    }

    pub(super) fn folded(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A stream that is being read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    bytes: &'a [u8],
}

/// The eighth bit of each of eight bytes.
const MORE: u64 = 0x8080_8080_8080_8080;

impl<'a> Reading<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next number; an error if the stream makes no sense.
    pub(super) fn number(&mut self) -> rusqlite::Result<u64> {
        // Eight bytes at once: a branch for each would cost more than all the rest, since lengths cannot
        // be foretold.
        if let Some((eight, _)) = self.bytes.split_first_chunk() {
            let eight = u64::from_le_bytes(*eight);
            let ends = !eight & MORE;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                self.skip(bits / 8);
                return Ok(squeezed(eight & (u64::MAX >> (64 - bits)) & !MORE));
            }
        }
        self.number_by_bytes()
    }

    pub(super) fn folded(&mut self) -> rusqlite::Result<i64> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn number_by_bytes(&mut self) -> rusqlite::Result<u64> {
        let mut value = 0;
        for (at, byte) in (0_u32..10).zip(self.bytes) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.skip(at + 1);
                return Ok(value);
            }
        }
        Err(broken())
    }

    fn skip(&mut self, bytes: u32) {
        self.bytes = self.bytes.get(bytes as usize..).unwrap_or_default();
    }
}

/// Eight groups of seven bits, each in a byte of its own, moved together.
fn squeezed(bytes: u64) -> u64 {
    let pairs = (bytes & 0x007f_007f_007f_007f) | ((bytes & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

fn broken() -> rusqlite::Error {
    super::value::invalid("packed numbers make no sense".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy as _, any, prop, prop_oneof, proptest};

    use super::{Reading, Writing};

    proptest! {
        #[test]
        fn numbers_of_all_lengths_come_out_again(
            numbers in prop::collection::vec(
                (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift),
                0..40,
            ),
        ) {
            let mut writing = Writing::default();
            for number in &numbers {
                writing.number(*number);
                writing.folded(number.cast_signed());
                writing.folded(number.cast_signed().wrapping_neg());
            }
            let bytes = writing.finish();
            let mut reading = Reading::of(&bytes);
            for number in &numbers {
                assert_eq!(reading.number().unwrap(), *number);
                assert_eq!(reading.folded().unwrap(), number.cast_signed());
                assert_eq!(reading.folded().unwrap(), number.cast_signed().wrapping_neg());
            }
            assert!(reading.is_at_end());
        }

        #[test]
        fn both_ways_of_reading_agree_on_any_bytes(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xff_u8], 0..24),
        ) {
            let (mut fast, mut plain) = (Reading::of(&bytes), Reading::of(&bytes));
            loop {
                match (fast.number(), plain.number_by_bytes()) {
                    (Ok(one), Ok(other)) => assert_eq!(one, other),
                    (Err(_), Err(_)) => break,
                    (one, other) => panic!("{one:?} {other:?}"),
                }
                assert_eq!(fast.bytes, plain.bytes);
            }
        }
    }
}
