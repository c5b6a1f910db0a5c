//! Connects and what became of each.

use super::{
    naming::{NameNumber, Said},
    open::{Bytes, Open, Stage, Told},
    sockets::Sockets,
    sums::{Part, SourcePort},
};
use crate::model::{
    BootClock, Carried, Connect, ConnectionEnd, Endpoint, OpenConnection, Outcome, Sender, Ticket,
    Timestamp,
};

/// Connections that are not over, by socket.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Sockets,
    /// Those of which nothing was heard on the day that it is, as far as they were not asked about.
    quiet: Vec<u64>,
    day: i64,
    /// When the kernel was last asked what open connections have carried: nanoseconds since boot.
    looked_boot_ns: Option<u64>,
    tickets: u64,
}

/// Quiet connections that are asked about at each flush of a new day: a millisecond or two.
const QUIET_AT_ONCE: usize = 2_000;

/// Open connections that the kernel looks at in a second, on average: what a look costs grows with their
/// number, and flushes may come every second.
const LOOKS_A_SECOND: u64 = 2_000;

impl Connections {
    /// Whether the kernel is to be asked now what open connections have carried. The more there are, the
    /// less often: up to 20,000 at each of the usual flushes.
    pub(super) fn is_look_due(&mut self, boot_ns: u64) -> bool {
        let pause = self.open.len() as u64 * (1_000_000_000 / LOOKS_A_SECOND);
        let is_due = self
            .looked_boot_ns
            .is_none_or(|before| boot_ns.saturating_sub(before) >= pause);
        if is_due {
            self.looked_boot_ns = Some(boot_ns);
        }
        is_due
    }

    /// A connect begins. What is told is about one whose end will not be, or about an earlier one of the
    /// same socket whose end never was.
    pub(super) fn begin(
        &mut self,
        connect: Connect,
        name: Option<NameNumber>,
        clock: BootClock,
    ) -> Told {
        let mut open = Open::of(connect, clock);
        open.name = name;
        let at = open.at;
        if !open.connect.is_followed {
            return open.resolve(Outcome::Unknown, at);
        }
        let earlier = self.open.take(open.connect.id.socket, clock);
        self.open.put(open);
        earlier.map_or_else(Told::default, |mut earlier| {
            earlier.tell_by(clock);
            earlier.resolve(Outcome::Unknown, at)
        })
    }

    /// A connection says what it is called; `said` weighs that against what it was called before. What
    /// is in the store as settled stays as it is: what follows goes under the new name.
    pub(super) fn call(
        &mut self,
        socket: u64,
        said: impl FnOnce(Option<NameNumber>) -> Said,
        clock: BootClock,
    ) -> Option<(Sender, Endpoint)> {
        self.open.change(socket, clock, |open| {
            let said = said(open.name);
            open.name = said.name;
            open.opening = said.opening;
            (open.connect.sender, open.connect.remote)
        })
    }

    /// A connection is found open that began before it could be seen.
    pub(super) fn find(&mut self, found: OpenConnection, clock: BootClock) -> Told {
        let mut open = Open::of(found.connect, clock);
        let at = open.at;
        open.port = SourcePort::of(found.source_port);
        open.carried = Bytes {
            out: found.bytes_out,
            into: found.bytes_in,
        };
        open.told = open.carried;
        let told = match (found.is_established, open.connect.is_followed) {
            (true, _) => open.resolve(Outcome::Established, at),
            (false, true) => Told::default(),
            (false, false) => open.resolve(Outcome::Unknown, at),
        };
        if open.connect.is_followed {
            self.open.put(open);
        }
        told
    }

    /// The kernel tells what an open connection has carried.
    pub(super) fn carry(&mut self, carried: &Carried, clock: BootClock) -> Told {
        let told = self.open.change(carried.id.socket, clock, |open| {
            if open.connect.id != carried.id {
                return Told::default();
            }
            open.hear_of(carried.bytes_out, carried.bytes_in);
            if open.stage == Stage::Told {
                return open.more(clock.at(carried.at_boot_ns), false);
            }
            Told::default()
        });
        // One that is not there is over: its end has told it, or will.
        told.unwrap_or_default()
    }

    /// The kernel tells how a connection ended, or how it stands.
    /// `name` is asked for where the connect itself was not heard of.
    pub(super) fn tell(
        &mut self,
        end: &ConnectionEnd,
        is_own: bool,
        name: impl FnOnce() -> Option<NameNumber>,
        clock: BootClock,
    ) -> Told {
        let id = end.connect.id;
        let known = self.open.take(id.socket, clock);
        let (mut open, newer) = match known {
            Some(open) if open.connect.id == id => (open, None),
            // News of a connect that was lost, or that another has followed on the same socket.
            other if end.is_over => {
                let mut open = Open::of(end.connect.clone(), clock);
                open.name = name();
                if open.connect.was_open {
                    // What of it was carried before it could be seen is not known.
                    open.hear_of(end.bytes_out, end.bytes_in);
                    open.told = open.carried;
                }
                (open, other)
            }
            other => {
                self.put_back(other);
                return Told::default();
            }
        };
        self.put_back(newer);
        if is_own {
            let retracted = match open.stage {
                Stage::Pending(ticket) => Some(ticket),
                Stage::New | Stage::Told => None,
            };
            return Told {
                retracted,
                ..Told::default()
            };
        }
        let told = open.hear(end, clock);
        if !end.is_over {
            self.open.put(open);
        }
        told
    }

    fn put_back(&mut self, open: Option<Open>) {
        if let Some(open) = open {
            self.open.put(open);
        }
    }

    /// A connection is gone without a word.
    pub(super) fn lost_track_of(&mut self, connect: &Connect, clock: BootClock) -> Told {
        match self.open.take(connect.id.socket, clock) {
            Some(mut open) if open.connect.id == connect.id => {
                open.tell_by(clock);
                open.resolve(Outcome::Unknown, clock.now())
            }
            other => {
                self.put_back(other);
                Told::default()
            }
        }
    }

    /// Connects whose outcome is not known, and some of the connections that nothing was heard of on
    /// the day that it is.
    pub(super) fn take_questions(&mut self, now: Timestamp) -> Vec<Connect> {
        let today = now.day();
        if self.day != today {
            self.day = today;
            self.quiet = self.open.settled().collect();
            self.quiet.sort_unstable();
        }
        let mut asked: Vec<_> = self
            .open
            .unsettled()
            .map(|open| open.connect.clone())
            .collect();
        let all = asked.len() + QUIET_AT_ONCE;
        while asked.len() < all
            && let Some(socket) = self.quiet.pop()
        {
            asked.extend(self.open.quiet_on(socket, today));
        }
        asked
    }

    /// Connects that are to be written as pending, each under a ticket of its own.
    pub(super) fn take_pending(&mut self) -> Vec<(Ticket, Part)> {
        let mut pending = Vec::new();
        for open in self.open.unsettled_mut() {
            if open.stage == Stage::New {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                open.stage = Stage::Pending(ticket);
                pending.push((ticket, open.part(Outcome::Pending, open.at)));
            }
        }
        pending
    }
}
