//! What is kept for each open socket, in as little memory as it takes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Values by the number of a socket. Sockets are numbered in ascending order, which leaves the nodes
/// of a tree half empty, and values are large: each has its own place, and only numbers are moved when
/// the table grows.
#[derive(Debug)]
pub(super) struct Sockets<V> {
    values: HashMap<u64, Box<V>, RandomState>,
}

impl<V> Default for Sockets<V> {
    fn default() -> Self {
        Self {
            values: HashMap::default(),
        }
    }
}

impl<V> Sockets<V> {
    pub(super) fn insert(&mut self, socket: u64, value: V) -> Option<V> {
        self.values
            .insert(socket, Box::new(value))
            .map(|before| *before)
    }

    pub(super) fn remove(&mut self, socket: &u64) -> Option<V> {
        self.values.remove(socket).map(|value| *value)
    }

    pub(super) fn get(&self, socket: &u64) -> Option<&V> {
        self.values.get(socket).map(AsRef::as_ref)
    }

    pub(super) fn get_mut(&mut self, socket: &u64) -> Option<&mut V> {
        self.values.get_mut(socket).map(AsMut::as_mut)
    }

    /// In no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.values.keys().copied()
    }
}
