//! A table with a bound, whose entries have an end.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use crate::model::Timestamp;

/// Values by key. A full table gives up what would have ended first, and says so.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by their end; the number tells those apart that end at once.
    order: BTreeMap<(Timestamp, u64), K>,
    next: u64,
    most: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    end: (Timestamp, u64),
}

impl<K: Clone + Eq + Hash, V> Expiring<K, V> {
    /// A table that never holds more than `most` entries, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            most: most.max(1),
        }
    }

    /// The value of a key, if it has not ended.
    pub(super) fn get(&self, key: &K, at: Timestamp) -> Option<&V> {
        let entry = self.entries.get(key)?;
        (entry.end.0 >= at).then_some(&entry.value)
    }

    /// Takes a value out, if it has not ended.
    pub(super) fn take(&mut self, key: &K, at: Timestamp) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.end);
        (entry.end.0 >= at).then_some(entry.value)
    }

    /// Puts a value in place of what the key had; gives the key that had to go for it.
    pub(super) fn insert(&mut self, key: K, value: V, until: Timestamp) -> Option<K> {
        let end = (until, self.next);
        self.next += 1;
        if let Some(before) = self.entries.insert(key.clone(), Entry { value, end }) {
            self.order.remove(&before.end);
        }
        self.order.insert(end, key);
        if self.entries.len() > self.most {
            self.drop_first()
        } else {
            None
        }
    }

    /// Drops what has ended, and gives the keys.
    pub(super) fn drop_ended(&mut self, at: Timestamp) -> Vec<K> {
        let mut ended = Vec::new();
        while self
            .order
            .first_key_value()
            .is_some_and(|((until, _), _)| *until < at)
        {
            ended.extend(self.drop_first());
        }
        ended
    }

    fn drop_first(&mut self) -> Option<K> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key)?;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Expiring;
    use crate::model::Timestamp;

    fn at(nanoseconds: i64) -> Timestamp {
        Timestamp::from_unix_ns(nanoseconds)
    }

    #[test]
    fn a_full_table_gives_up_what_ends_first_and_says_so() {
        let mut table = Expiring::new(2);
        assert_eq!(table.insert('a', 1, at(30)), None);
        assert_eq!(table.insert('b', 2, at(10)), None);
        assert_eq!(table.insert('b', 3, at(20)), None);
        assert_eq!(table.insert('c', 4, at(40)), Some('b'));
        assert_eq!(table.get(&'b', at(0)), None);
        assert_eq!(table.get(&'a', at(0)), Some(&1));
        assert_eq!(table.take(&'c', at(0)), Some(4));
        assert_eq!(table.insert('d', 5, at(50)), None);
    }

    #[test]
    fn what_has_ended_is_not_there() {
        let mut table = Expiring::new(8);
        for end in 0..5 {
            table.insert(end, (), at(end));
        }
        assert_eq!(table.get(&3, at(3)), Some(&()));
        assert_eq!(table.get(&3, at(4)), None);
        assert_eq!(table.take(&0, at(1)), None);
        assert_eq!(table.drop_ended(at(3)), [1, 2]);
        assert_eq!(table.drop_ended(at(9)), [3, 4]);
    }
}
