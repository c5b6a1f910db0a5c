//! In which units of sampling something happened.

use std::{fmt, iter};

/// Units that a number without a block of its own covers.
const NEAR: u32 = 128;

/// Units in one block.
const BLOCK: u32 = u64::BITS;

/// A set of units of sampling: numbers of UTC days or hours since 1970, or ordinals of runs.
///
/// Units that lie within 128 of each other, as 90 days do, need no memory beside the value itself
/// (32 bytes). Others need 16 bytes for each stretch of 64 units in which there is one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Units(Kept);

/// A set has one form: `Near` wherever its units lie near enough, with its first unit as the first
/// bit; else blocks in order, none of them empty.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Kept {
    Near { first: u32, bits: [u64; 2] },
    Far(Vec<Block>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Block {
    number: u32,
    bits: u64,
}

impl Units {
    /// No unit.
    pub fn new() -> Self {
        Self::near(0, 0)
    }

    /// Adds one unit.
    pub fn insert(&mut self, unit: u32) {
        if self.contains(unit) {
            return;
        }
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            *self = Self::near(unit, 1);
            return;
        };
        let lowest = first.min(unit);
        match &mut self.0 {
            Kept::Near { bits, .. } if last.max(unit) - lowest < NEAR => {
                let moved = whole(*bits) << (first - lowest);
                *self = Self::near(lowest, moved | 1 << (unit - lowest));
            }
            Kept::Near { .. } => {
                let mut blocks = Vec::new();
                for known in self.iter().chain(iter::once(unit)) {
                    insert_into(&mut blocks, known);
                }
                self.0 = Kept::Far(blocks);
            }
            Kept::Far(blocks) => insert_into(blocks, unit),
        }
    }

    /// Adds all units of another set.
    pub fn extend_from(&mut self, other: &Self) {
        if let (Some(first), Some(other_first), Some(last), Some(other_last)) =
            (self.first(), other.first(), self.last(), other.last())
            && let (Kept::Near { bits, .. }, Kept::Near { bits: more, .. }) = (&self.0, &other.0)
            && last.max(other_last) - first.min(other_first) < NEAR
        {
            let lowest = first.min(other_first);
            let own = whole(*bits) << (first - lowest);
            *self = Self::near(lowest, own | whole(*more) << (other_first - lowest));
            return;
        }
        for unit in other.iter() {
            self.insert(unit);
        }
    }

    /// Whether the unit is among them.
    pub fn contains(&self, unit: u32) -> bool {
        match &self.0 {
            Kept::Near { first, bits } => unit
                .checked_sub(*first)
                .is_some_and(|offset| offset < NEAR && whole(*bits) >> offset & 1 == 1),
            Kept::Far(blocks) => blocks
                .binary_search_by_key(&(unit / BLOCK), |block| block.number)
                .is_ok_and(|at| blocks[at].bits >> (unit % BLOCK) & 1 == 1),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let ones = match &self.0 {
            Kept::Near { bits, .. } => whole(*bits).count_ones(),
            Kept::Far(blocks) => blocks.iter().map(|block| block.bits.count_ones()).sum(),
        };
        ones as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Kept::Near { bits, .. } => *bits == [0, 0],
            Kept::Far(blocks) => blocks.is_empty(),
        }
    }

    /// The earliest.
    pub fn first(&self) -> Option<u32> {
        match &self.0 {
            Kept::Near { first, .. } => (!self.is_empty()).then_some(*first),
            Kept::Far(blocks) => blocks
                .first()
                .map(|block| block.number * BLOCK + block.bits.trailing_zeros()),
        }
    }

    /// The latest.
    pub fn last(&self) -> Option<u32> {
        match &self.0 {
            Kept::Near { first, bits } => whole(*bits).checked_ilog2().map(|offset| first + offset),
            Kept::Far(blocks) => blocks
                .last()
                .map(|block| block.number * BLOCK + block.bits.ilog2()),
        }
    }

    /// All of them, earliest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (near, far) = match &self.0 {
            Kept::Near { first, bits } => (Some((*first, whole(*bits))), &[][..]),
            Kept::Far(blocks) => (None, blocks.as_slice()),
        };
        let of_near = near
            .into_iter()
            .flat_map(|(first, bits)| ones(bits).map(move |offset| first + offset));
        let of_far = far.iter().flat_map(|block| {
            ones(block.bits.into()).map(move |offset| block.number * BLOCK + offset)
        });
        of_near.chain(of_far)
    }

    /// Those from this unit on.
    pub fn since(&self, unit: u32) -> Self {
        self.iter().filter(|known| *known >= unit).collect()
    }

    /// Whether a unit between the first and the last is missing.
    pub fn has_hole(&self) -> bool {
        match (self.first(), self.last()) {
            (Some(first), Some(last)) => (last - first) as usize + 1 > self.len(),
            _ => false,
        }
    }

    fn near(first: u32, bits: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let bits = [bits as u64, (bits >> BLOCK) as u64];
        Self(Kept::Near { first, bits })
    }
}

impl Default for Units {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u32> for Units {
    fn from_iter<I: IntoIterator<Item = u32>>(units: I) -> Self {
        let mut set = Self::new();
        for unit in units {
            set.insert(unit);
        }
        set
    }
}

fn whole(bits: [u64; 2]) -> u128 {
    u128::from(bits[0]) | u128::from(bits[1]) << BLOCK
}

/// The places of the ones, lowest first.
fn ones(bits: u128) -> impl Iterator<Item = u32> {
    let rest = |bits: &u128| Some(bits & (bits - 1)).filter(|rest| *rest != 0);
    iter::successors(Some(bits).filter(|bits| *bits != 0), rest).map(u128::trailing_zeros)
}

fn insert_into(blocks: &mut Vec<Block>, unit: u32) {
    let number = unit / BLOCK;
    let bits = 1 << (unit % BLOCK);
    match blocks.binary_search_by_key(&number, |block| block.number) {
        Ok(at) => blocks[at].bits |= bits,
        Err(at) => blocks.insert(at, Block { number, bits }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    use super::Units;

    /// Near each other, or anywhere, the ends of the range included.
    fn unit() -> impl Strategy<Value = u32> {
        prop_oneof![
            20_000_u32..20_200,
            0_u32..300,
            any::<u32>(),
            u32::MAX - 200..=u32::MAX
        ]
    }

    fn units() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            prop::collection::vec(unit(), 0..40),
            prop::collection::vec(20_000_u32..20_150, 0..40),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_put_in(given in units(), asked in unit()) {
            let set: Units = given.iter().copied().collect();
            let plain: BTreeSet<u32> = given.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), plain.len());
            prop_assert_eq!(set.is_empty(), plain.is_empty());
            prop_assert_eq!(set.first(), plain.first().copied());
            prop_assert_eq!(set.last(), plain.last().copied());
            prop_assert_eq!(set.contains(asked), plain.contains(&asked));
            prop_assert_eq!(set.since(asked).iter().collect::<Vec<_>>(), plain.range(asked..).copied().collect::<Vec<_>>());
        }

        #[test]
        fn the_order_of_what_was_put_in_does_not_matter(given in units(), more in units()) {
            let forwards: Units = given.iter().chain(&more).copied().collect();
            let backwards: Units = given.iter().chain(&more).rev().copied().collect();
            let mut joined: Units = given.iter().copied().collect();
            joined.extend_from(&more.iter().copied().collect());
            prop_assert_eq!(&forwards, &backwards);
            prop_assert_eq!(&forwards, &joined);
        }
    }

    #[test]
    fn ninety_days_need_no_memory_beside_the_value() {
        assert!(size_of::<Units>() <= 32);
        let days: Units = (20_000..20_090).collect();
        assert!(matches!(days.0, super::Kept::Near { .. }));
    }

    #[test]
    fn a_missing_unit_is_a_hole_and_the_ends_are_none() {
        let has_hole = |units: &[u32]| units.iter().copied().collect::<Units>().has_hole();
        assert!(has_hole(&[3, 5]));
        assert!(!has_hole(&[3, 4, 5]));
        assert!(!has_hole(&[3]));
        assert!(!has_hole(&[]));
        assert!(has_hole(&[0, u32::MAX]));
    }
}
