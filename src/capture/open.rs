//! Asks the kernel what is open, and what it has carried.

use std::{collections::HashSet, io, io::Read, os::fd::AsFd};

use libbpf_rs::{Iter, IterOpts, Link};

use super::{
    backend::{CONNECTIONS, OPEN_SOCKETS},
    decode::{self, Record},
    programs::program_named,
    skeleton::{EgressSkel, types},
};
use crate::model::{Carried, ConnectionId, KernelEvent, OpenConnection};

/// More than the kernel collects before it hands anything out, so that each read is of whole records.
const CHUNK: usize = 64 * 1024;

/// The kernel pauses after a million things that it had nothing to tell of.
const MOST_PAUSES: usize = 10_000;

/// The iterators, ready to run.
pub(super) struct Iterators {
    open_sockets: Link,
    connections: Link,
}

impl Iterators {
    pub(super) fn attach(skeleton: &EgressSkel<'_>) -> Result<Self, libbpf_rs::Error> {
        let table = skeleton.maps.connections.as_fd();
        Ok(Self {
            open_sockets: program_named(skeleton, OPEN_SOCKETS)?
                .attach_iter_with_opts(IterOpts::None)?,
            connections: program_named(skeleton, CONNECTIONS)?.attach_iter(table)?,
        })
    }

    /// What followed connections have carried, of those that carried something since they were last
    /// asked.
    pub(super) fn carried(&self) -> io::Result<Vec<Carried>> {
        let mut all = Vec::new();
        each_chunk(&self.connections, |records: &[types::carried_record]| {
            all.extend(records.iter().map(carried));
        })?;
        Ok(all)
    }
}

/// A socket that was open already.
pub(super) enum Found {
    /// A connection that this host began.
    Egress(OpenConnection),
    /// One that does not show which side began.
    Unclear,
}

/// Open sockets, each once: several processes may hold the same.
#[derive(Default)]
pub(super) struct Inventory {
    met: HashSet<u64>,
}

impl Inventory {
    /// Hands out what is found, as far as the kernel tells it at once.
    pub(super) fn run(
        &mut self,
        iterators: &Iterators,
        mut each: impl FnMut(Vec<Found>),
    ) -> io::Result<()> {
        each_chunk(
            &iterators.open_sockets,
            |records: &[types::open_record]| {
                let new = records
                    .iter()
                    .filter(|record| self.met.insert(record.connect.socket));
                each(new.map(found).collect());
            },
        )
    }
}

/// What the iterator over open sockets wrote: connections that this host began, as far as records are
/// whole.
pub fn open_sockets(bytes: &[u8]) -> Vec<KernelEvent> {
    let (records, _) = whole_records(bytes);
    let found = records.iter().map(found);
    found
        .filter_map(|found| match found {
            Found::Egress(open) => Some(KernelEvent::OpenConnection(open)),
            Found::Unclear => None,
        })
        .collect()
}

/// What the iterator over the table of connections wrote, as far as records are whole.
pub fn carried_bytes(bytes: &[u8]) -> Vec<KernelEvent> {
    let (records, _) = whole_records(bytes);
    records
        .iter()
        .map(carried)
        .map(KernelEvent::Carried)
        .collect()
}

fn found(record: &types::open_record) -> Found {
    if record.is_unclear != 0 {
        return Found::Unclear;
    }
    Found::Egress(OpenConnection {
        connect: decode::connect(&record.connect),
        is_established: record.is_established != 0,
        source_port: record.source_port,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
    })
}

fn carried(record: &types::carried_record) -> Carried {
    Carried {
        id: ConnectionId {
            socket: record.socket,
            started_boot_ns: record.started_boot_ns,
        },
        at_boot_ns: record.at_boot_ns,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
    }
}

/// Runs an iterator to its end.
fn each_chunk<T: Record>(link: &Link, mut each: impl FnMut(&[T])) -> io::Result<()> {
    let mut iterator = Iter::new(link).map_err(io::Error::other)?;
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    let mut pauses = 0;
    loop {
        let read = match iterator.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if is_pause(&error) && pauses < MOST_PAUSES => {
                pauses += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        filled += read;
        let (records, rest) = whole_records(&buffer[..filled]);
        each(&records);
        buffer.copy_within(filled - rest..filled, 0);
        filled = rest;
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The records at the front of `bytes`, and the number of bytes behind the last whole one.
fn whole_records<T: Record>(bytes: &[u8]) -> (Vec<T>, usize) {
    let chunks = bytes.chunks_exact(size_of::<T>());
    let rest = chunks.remainder().len();
    (chunks.filter_map(decode::read).collect(), rest)
}

#[cfg(test)]
mod tests {
    use super::{types::carried_record, whole_records};

    #[test]
    fn whole_records_are_taken_and_what_is_left_over_is_told() {
        let size = size_of::<carried_record>();
        let mut bytes = vec![0; 2 * size + 3];
        bytes[size..size + 8].copy_from_slice(&7_u64.to_ne_bytes());
        let (records, rest) = whole_records::<carried_record>(&bytes);
        let sockets: Vec<_> = records.iter().map(|record| record.socket).collect();
        assert_eq!((sockets.as_slice(), rest), ([0, 7].as_slice(), 3));
        let (records, rest) = whole_records::<carried_record>(&bytes[..size - 1]);
        assert_eq!((records.len(), rest), (0, size - 1));
    }
}
