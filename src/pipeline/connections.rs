//! Connects and what became of each.

use std::collections::BTreeSet;

use super::{
    outcome_of,
    sockets::Sockets,
    sums::{Part, SourcePort},
};
use crate::model::{
    BootClock, Carried, Connect, ConnectionEnd, OpenConnection, Outcome, Ticket, Timestamp,
};

/// How far the store knows a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not at all.
    New,
    /// As a pending row.
    Pending(Ticket),
    /// With its outcome; what follows are bytes.
    Told,
}

/// Payload bytes either way, since a connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes {
    out: u64,
    into: u64,
}

#[derive(Debug)]
struct Open {
    connect: Connect,
    at: Timestamp,
    stage: Stage,
    port: SourcePort,
    /// As far as the kernel has told.
    carried: Bytes,
    /// What of it is in rows, or was carried before anybody could see it.
    told: Bytes,
    /// The UTC day of its latest row.
    day: i64,
}

/// Connections that are not over, by socket.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Sockets<Open>,
    /// Those whose outcome is not known.
    unsettled: BTreeSet<u64>,
    /// Those of which nothing was heard on the day that it is, as far as they were not asked about.
    quiet: Vec<u64>,
    day: i64,
    tickets: u64,
}

/// What news of a connection comes to.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Attempts or bytes to be summed.
    pub(super) part: Option<Part>,
    /// The outcome of a pending row.
    pub(super) settled: Option<(Ticket, Part)>,
    /// A pending row that was no egress.
    pub(super) retracted: Option<Ticket>,
}

/// A connect that the kernel side has not seen change its state this long after it began has failed: a
/// connect that can be sent changes it before the call returns.
const STILL_UNSENT_NS: u64 = 1_000_000_000;

/// Quiet connections that are asked about at each flush of a new day: a millisecond or two.
const QUIET_AT_ONCE: usize = 2_000;

impl Connections {
    /// A connect begins. What is told is about one whose end will not be, or about an earlier one of the
    /// same socket whose end never was.
    pub(super) fn begin(&mut self, connect: Connect, clock: BootClock) -> Told {
        let mut open = Open::of(connect, clock);
        let at = open.at;
        if !open.connect.is_followed {
            return open.resolve(Outcome::Unknown, at);
        }
        match self.keep(open) {
            Some(mut earlier) => {
                earlier.tell_by(clock);
                earlier.resolve(Outcome::Unknown, at)
            }
            None => Told::default(),
        }
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
            self.keep(open);
        }
        told
    }

    /// The kernel tells what an open connection has carried.
    pub(super) fn carry(&mut self, carried: &Carried, clock: BootClock) -> Told {
        match self.open.get_mut(&carried.id.socket) {
            Some(open) if open.connect.id == carried.id => {
                open.hear_of(carried.bytes_out, carried.bytes_in);
                if open.stage == Stage::Told {
                    return open.more(clock.at(carried.at_boot_ns), false);
                }
                Told::default()
            }
            // It is over: its end has told it, or will.
            _ => Told::default(),
        }
    }

    /// The kernel tells how a connection ended, or how it stands.
    pub(super) fn tell(&mut self, end: &ConnectionEnd, is_own: bool, clock: BootClock) -> Told {
        let id = end.connect.id;
        let known = self.forget(id.socket);
        let (mut open, newer) = match known {
            Some(open) if open.connect.id == id => (open, None),
            // News of a connect that was lost, or that another has followed on the same socket.
            other if end.is_over => {
                let mut open = Open::of(end.connect.clone(), clock);
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
            self.keep(open);
        }
        told
    }

    fn keep(&mut self, open: Open) -> Option<Open> {
        let socket = open.connect.id.socket;
        if open.stage == Stage::Told {
            self.unsettled.remove(&socket);
        } else {
            self.unsettled.insert(socket);
        }
        self.open.insert(socket, open)
    }

    fn forget(&mut self, socket: u64) -> Option<Open> {
        self.unsettled.remove(&socket);
        self.open.remove(&socket)
    }

    fn put_back(&mut self, open: Option<Open>) {
        if let Some(open) = open {
            self.keep(open);
        }
    }

    /// A connection is gone without a word.
    pub(super) fn lost_track_of(&mut self, connect: &Connect, clock: BootClock) -> Told {
        match self.forget(connect.id.socket) {
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
            self.quiet = self.open.keys().collect();
            self.quiet.sort_unstable();
        }
        let mut asked: Vec<_> = self
            .unsettled
            .iter()
            .filter_map(|socket| Some(self.open.get(socket)?.connect.clone()))
            .collect();
        let all = asked.len() + QUIET_AT_ONCE;
        while asked.len() < all
            && let Some(socket) = self.quiet.pop()
        {
            let open = self.open.get(&socket);
            let quiet = open.filter(|open| open.stage == Stage::Told && open.day != today);
            asked.extend(quiet.map(|open| open.connect.clone()));
        }
        asked
    }

    /// Connects that are to be written as pending, each under a ticket of its own.
    pub(super) fn take_pending(&mut self) -> Vec<(Ticket, Part)> {
        let mut pending = Vec::new();
        for socket in &self.unsettled {
            let Some(open) = self.open.get_mut(socket) else {
                continue;
            };
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

impl Open {
    /// Begin and end are told by one clock, even if the time of day was set in between.
    fn tell_by(&mut self, clock: BootClock) {
        self.at = clock.at(self.connect.id.started_boot_ns);
    }

    fn of(connect: Connect, clock: BootClock) -> Self {
        let at = clock.at(connect.id.started_boot_ns);
        Self {
            connect,
            at,
            stage: Stage::New,
            port: SourcePort::Unknown,
            carried: Bytes::default(),
            told: Bytes::default(),
            day: at.day(),
        }
    }

    fn part(&self, outcome: Outcome, last: Timestamp) -> Part {
        Part {
            sender: self.connect.sender,
            remote: self.connect.remote,
            outcome,
            errno: None,
            first: self.at,
            last,
            attempts: u64::from(!self.connect.was_open),
            bytes_out: None,
            bytes_in: None,
            duration: None,
            source_port: self.port,
        }
    }

    /// What it has carried by now; a look that does not tell is one that tells nothing new.
    fn hear_of(&mut self, bytes_out: u64, bytes_in: u64) {
        self.carried = Bytes {
            out: self.carried.out.max(bytes_out),
            into: self.carried.into.max(bytes_in),
        };
    }

    /// The bytes that are not in rows yet; they are from now on.
    fn take_untold(&mut self) -> Bytes {
        let told = std::mem::replace(&mut self.told, self.carried);
        Bytes {
            out: self.carried.out - told.out,
            into: self.carried.into - told.into,
        }
    }

    fn hear(&mut self, end: &ConnectionEnd, clock: BootClock) -> Told {
        self.tell_by(clock);
        let last = clock.at(end.at_boot_ns);
        let age = end
            .at_boot_ns
            .saturating_sub(self.connect.id.started_boot_ns);
        let (outcome, errno) = match outcome_of(end) {
            Some(known) => known,
            None if !end.was_sent && age > STILL_UNSENT_NS => (Outcome::Failed, None),
            None => return Told::default(),
        };
        self.hear_of(end.bytes_out, end.bytes_in);
        if end.source_port != 0 {
            self.port = SourcePort::of(end.source_port);
        }
        if self.stage == Stage::Told {
            return if end.is_established {
                self.more(last, end.is_over)
            } else {
                Told::default()
            };
        }
        let mut told = self.resolve(outcome, last);
        let bytes = self.take_untold();
        let is_known = end.is_over || bytes != Bytes::default();
        let duration = self.duration(last, end.is_over && end.is_established);
        let parts = [
            told.part.as_mut(),
            told.settled.as_mut().map(|(_, part)| part),
        ];
        for part in parts.into_iter().flatten() {
            part.errno = errno;
            part.bytes_out = is_known.then_some(bytes.out);
            part.bytes_in = is_known.then_some(bytes.into);
            part.duration = duration;
        }
        told
    }

    /// From connect to close. Of one that was open before it could be seen, nobody knows.
    fn duration(&self, last: Timestamp, is_whole: bool) -> Option<std::time::Duration> {
        (is_whole && !self.connect.was_open).then(|| last.since(self.at))
    }

    /// The outcome is known now, whoever told it.
    fn resolve(&mut self, outcome: Outcome, last: Timestamp) -> Told {
        let part = self.part(outcome, last);
        self.day = last.day();
        match std::mem::replace(&mut self.stage, Stage::Told) {
            Stage::New => Told {
                part: Some(part),
                ..Told::default()
            },
            Stage::Pending(ticket) => Told {
                settled: Some((ticket, part)),
                ..Told::default()
            },
            Stage::Told => Told::default(),
        }
    }

    /// More of a connection that was counted before, without an attempt: bytes, its end, or that it
    /// is open on another day.
    fn more(&mut self, last: Timestamp, is_over: bool) -> Told {
        let bytes = self.take_untold();
        let duration = self.duration(last, is_over);
        let today = last.day();
        if bytes == Bytes::default() && duration.is_none() && self.day == today {
            return Told::default();
        }
        self.day = today;
        let part = Part {
            first: last,
            attempts: 0,
            bytes_out: Some(bytes.out),
            bytes_in: Some(bytes.into),
            duration,
            ..self.part(Outcome::Established, last)
        };
        Told {
            part: Some(part),
            ..Told::default()
        }
    }
}
