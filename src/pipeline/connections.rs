//! Connects and what became of each.

use super::{
    outcome_of,
    sockets::Sockets,
    sums::{Part, SourcePort},
};
use crate::model::{BootClock, Connect, ConnectionEnd, Outcome, Ticket, Timestamp};

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

#[derive(Debug)]
struct Open {
    connect: Connect,
    at: Timestamp,
    stage: Stage,
}

/// Connections that are not over, by socket.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Sockets<Open>,
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

fn part(open: &Open, outcome: Outcome, last: Timestamp) -> Part {
    Part {
        sender: open.connect.sender,
        remote: open.connect.remote,
        outcome,
        errno: None,
        first: open.at,
        last,
        attempts: 1,
        bytes_out: None,
        bytes_in: None,
        duration: None,
        source_port: SourcePort::Unknown,
    }
}

impl Connections {
    /// A connect begins. What is told is about one whose end will not be, or about an earlier one of the
    /// same socket whose end never was.
    pub(super) fn begin(&mut self, connect: Connect, clock: BootClock) -> Told {
        let at = clock.at(connect.id.started_boot_ns);
        let is_followed = connect.is_followed;
        let socket = connect.id.socket;
        let mut open = Open {
            connect,
            at,
            stage: Stage::New,
        };
        if !is_followed {
            return open.resolve(Outcome::Unknown, at);
        }
        match self.open.insert(socket, open) {
            Some(mut earlier) => earlier.resolve(Outcome::Unknown, at),
            None => Told::default(),
        }
    }

    /// The kernel tells how a connection ended, or how it stands.
    pub(super) fn tell(&mut self, end: &ConnectionEnd, is_own: bool, clock: BootClock) -> Told {
        let id = end.connect.id;
        let known = self.open.remove(&id.socket);
        let (mut open, newer) = match known {
            Some(open) if open.connect.id == id => (open, None),
            // News of a connect that was lost, or that another has followed on the same socket.
            other if end.is_over => {
                let at = clock.at(id.started_boot_ns);
                (
                    Open {
                        connect: end.connect.clone(),
                        at,
                        stage: Stage::New,
                    },
                    other,
                )
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
        let told = open.told(end, clock);
        if !end.is_over {
            self.open.insert(id.socket, open);
        }
        told
    }

    fn put_back(&mut self, open: Option<Open>) {
        if let Some(open) = open {
            self.open.insert(open.connect.id.socket, open);
        }
    }

    /// A connection is gone without a word.
    pub(super) fn lost_track_of(&mut self, connect: &Connect, clock: BootClock) -> Told {
        match self.open.remove(&connect.id.socket) {
            Some(mut open) if open.connect.id == connect.id => {
                open.resolve(Outcome::Unknown, clock.now())
            }
            other => {
                self.put_back(other);
                Told::default()
            }
        }
    }

    /// Connects whose outcome is not known.
    pub(super) fn unsettled(&self) -> Vec<Connect> {
        let mut unsettled: Vec<Connect> = self
            .open
            .values()
            .filter(|open| open.stage != Stage::Told)
            .map(|open| open.connect.clone())
            .collect();
        unsettled.sort_unstable_by_key(|connect| connect.id);
        unsettled
    }

    /// Connects that are to be written as pending, each under a ticket of its own.
    pub(super) fn take_pending(&mut self) -> Vec<(Ticket, Part)> {
        let mut pending = Vec::new();
        let mut new: Vec<&mut Open> = self
            .open
            .values_mut()
            .filter(|open| open.stage == Stage::New)
            .collect();
        // In order, so that a replay writes the same rows.
        new.sort_unstable_by_key(|open| open.connect.id);
        for open in new {
            self.tickets += 1;
            let ticket = Ticket(self.tickets);
            open.stage = Stage::Pending(ticket);
            pending.push((ticket, part(open, Outcome::Pending, open.at)));
        }
        pending
    }
}

impl Open {
    fn told(&mut self, end: &ConnectionEnd, clock: BootClock) -> Told {
        let last = clock.at(end.at_boot_ns);
        let age = end
            .at_boot_ns
            .saturating_sub(self.connect.id.started_boot_ns);
        let (outcome, errno) = match outcome_of(end) {
            Some(known) => known,
            None if !end.was_sent && age > STILL_UNSENT_NS => (Outcome::Failed, None),
            None => return Told::default(),
        };
        if self.stage == Stage::Told {
            return self.more_bytes(end, outcome, last);
        }
        let mut told = self.resolve(outcome, last);
        let parts = [
            told.part.as_mut(),
            told.settled.as_mut().map(|(_, part)| part),
        ];
        for part in parts.into_iter().flatten() {
            part.errno = errno;
            part.source_port = SourcePort::of(end.source_port);
            if end.is_over {
                part.bytes_out = Some(end.bytes_out);
                part.bytes_in = Some(end.bytes_in);
                part.duration = end.is_established.then(|| last.since(self.at));
            }
        }
        told
    }

    /// The outcome is known now, whoever told it.
    fn resolve(&mut self, outcome: Outcome, last: Timestamp) -> Told {
        let part = part(self, outcome, last);
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

    /// The end of a connection that was counted before: its bytes, without an attempt.
    fn more_bytes(&self, end: &ConnectionEnd, outcome: Outcome, last: Timestamp) -> Told {
        if !end.is_over || !end.is_established {
            return Told::default();
        }
        let part = Part {
            first: last,
            attempts: 0,
            bytes_out: Some(end.bytes_out),
            bytes_in: Some(end.bytes_in),
            duration: Some(last.since(self.at)),
            source_port: SourcePort::of(end.source_port),
            ..part(self, outcome, last)
        };
        Told {
            part: Some(part),
            ..Told::default()
        }
    }
}
