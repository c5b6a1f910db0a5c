//! What is kept of each open connection, in as little memory as it takes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{
    naming::NameNumber,
    open::{Bytes, Open, Stage},
    sums::SourcePort,
};
use crate::model::{BootClock, Connect, ConnectionId, Endpoint, OpeningKind, Sender};

/// Open connections by the number of their socket. There may be a hundred thousand, and nearly all of
/// them rest: established, and with all that they have carried in rows.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Each has its own place, so that only numbers are moved when the table grows. Sockets are numbered
    /// in ascending order, which would leave the nodes of a tree half empty.
    resting: HashMap<u64, Box<Resting>, RandomState>,
    /// Those whose outcome is not known: few, and not for long.
    unsettled: BTreeMap<u64, Open>,
    senders: Senders,
}

/// A connection of which all that is known is in rows. It is followed, or nobody would tell its end.
#[derive(Debug)]
struct Resting {
    sender: Arc<Sender>,
    remote: Endpoint,
    was_open: bool,
    name: Option<NameNumber>,
    opening: Option<OpeningKind>,
    port: SourcePort,
    day: i32,
    started_boot_ns: u64,
    told: Bytes,
}

impl Resting {
    fn of(open: &Open, sender: Arc<Sender>) -> Self {
        Self {
            sender,
            remote: open.connect.remote,
            was_open: open.connect.was_open,
            name: open.name,
            opening: open.opening,
            port: open.port,
            // A hundred thousand days before and after 1970 are all that a time can say.
            day: i32::try_from(open.day).unwrap_or_default(),
            started_boot_ns: open.connect.id.started_boot_ns,
            told: open.told,
        }
    }

    fn connect(&self, socket: u64) -> Connect {
        Connect {
            id: ConnectionId {
                socket,
                started_boot_ns: self.started_boot_ns,
            },
            sender: *self.sender,
            remote: self.remote,
            is_followed: true,
            was_open: self.was_open,
        }
    }

    fn open(&self, socket: u64, clock: BootClock) -> Open {
        Open {
            stage: Stage::Told,
            name: self.name,
            opening: self.opening,
            port: self.port,
            carried: self.told,
            told: self.told,
            day: i64::from(self.day),
            ..Open::of(self.connect(socket), clock)
        }
    }
}

impl Sockets {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.resting.len() + self.unsettled.len()
    }

    /// Keeps a connection, in place of another of the same socket.
    pub(super) fn put(&mut self, open: Open) {
        let socket = open.connect.id.socket;
        if open.stage == Stage::Told {
            self.unsettled.remove(&socket);
            let sender = self.senders.shared(open.connect.sender);
            let resting = Box::new(Resting::of(&open, sender));
            self.resting.insert(socket, resting);
        } else {
            self.resting.remove(&socket);
            self.unsettled.insert(socket, open);
        }
    }

    /// Takes a connection out.
    pub(super) fn take(&mut self, socket: u64, clock: BootClock) -> Option<Open> {
        if let Some(open) = self.unsettled.remove(&socket) {
            return Some(open);
        }
        let resting = self.resting.remove(&socket)?;
        Some(resting.open(socket, clock))
    }

    /// Changes what a connection has carried, if it is there.
    pub(super) fn change<T>(
        &mut self,
        socket: u64,
        clock: BootClock,
        change: impl FnOnce(&mut Open) -> T,
    ) -> Option<T> {
        if let Some(open) = self.unsettled.get_mut(&socket) {
            return Some(change(open));
        }
        let resting = self.resting.get_mut(&socket)?;
        let mut open = resting.open(socket, clock);
        let changed = change(&mut open);
        **resting = Resting::of(&open, Arc::clone(&resting.sender));
        Some(changed)
    }

    /// The numbers of all whose outcome is known, in no order.
    pub(super) fn settled(&self) -> impl Iterator<Item = u64> {
        self.resting.keys().copied()
    }

    /// Those whose outcome is not known.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Open> {
        self.unsettled.values()
    }

    /// The same, to be changed.
    pub(super) fn unsettled_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.unsettled.values_mut()
    }

    /// The connection of a socket, if its outcome is known and it has no row on this day.
    pub(super) fn quiet_on(&self, socket: u64, day: i64) -> Option<Connect> {
        let resting = self.resting.get(&socket)?;
        (i64::from(resting.day) != day).then(|| resting.connect(socket))
    }
}

/// Senders of open connections, each once: a process has many connections.
#[derive(Debug, Default)]
struct Senders {
    known: HashSet<Arc<Sender>, RandomState>,
    /// Those of which no connection is left are let go when there are so many.
    tidy_at: usize,
}

/// Senders that need not be looked through.
const FEW_SENDERS: usize = 1_024;

impl Senders {
    fn shared(&mut self, sender: Sender) -> Arc<Sender> {
        if let Some(known) = self.known.get(&sender) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.tidy_at.max(FEW_SENDERS) {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            // Twice as many, so that each is looked at once or twice in its life.
            self.tidy_at = 2 * self.known.len();
            self.known.shrink_to(self.tidy_at);
        }
        let sender = Arc::new(sender);
        self.known.insert(Arc::clone(&sender));
        sender
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW_SENDERS, Resting, Sockets};
    use crate::{
        model::{
            BootClock, Connect, ConnectionId, Endpoint, Outcome, ProcessKey, Sender, Timestamp,
        },
        pipeline::open::Open,
    };

    const CLOCK: BootClock = BootClock::new(1_000, Timestamp::from_unix_ns(1_000_000));

    fn established(socket: u64, pid: u32) -> Open {
        let connect = Connect {
            id: ConnectionId {
                socket,
                started_boot_ns: socket,
            },
            sender: Sender {
                process: ProcessKey {
                    pid,
                    ..ProcessKey::default()
                },
                ..Sender::default()
            },
            remote: Endpoint {
                address: Some([192, 0, 2, 1].into()),
                port: 443,
                protocol: Some(6),
            },
            is_followed: true,
            was_open: false,
        };
        let mut open = Open::of(connect, CLOCK);
        open.resolve(Outcome::Established, CLOCK.now());
        open
    }

    #[test]
    fn a_connection_at_rest_is_small() {
        assert!(
            size_of::<Resting>() <= 72,
            "{} bytes for each of a hundred thousand",
            size_of::<Resting>()
        );
    }

    #[test]
    fn senders_are_shared_and_go_with_their_last_connection() {
        let mut sockets = Sockets::default();
        for socket in 0..10 {
            sockets.put(established(socket, 7));
        }
        assert_eq!(sockets.senders.known.len(), 1);
        // One process after another, each with one connection that is over soon.
        for socket in 10..20_000 {
            let pid = u32::try_from(socket).unwrap();
            sockets.put(established(socket, pid));
            assert_eq!(
                sockets
                    .take(socket, CLOCK)
                    .unwrap()
                    .connect
                    .sender
                    .process
                    .pid,
                pid
            );
        }
        assert!(sockets.senders.known.len() <= FEW_SENDERS + 1);
        assert_eq!(
            sockets.take(3, CLOCK).unwrap().connect,
            established(3, 7).connect
        );
    }
}
