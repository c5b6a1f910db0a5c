//! One connection, and what news of it come to.

use super::{
    naming::NameNumber,
    sums::{Part, SourcePort, Totals},
};
use crate::model::{BootClock, Connect, ConnectionEnd, OpeningKind, Outcome, Ticket, Timestamp};

/// How far the store knows a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not at all.
    New,
    /// As a pending row.
    Pending(Ticket),
    /// With its outcome; what follows are bytes.
    Told,
}

/// Payload bytes either way, since a connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) out: u64,
    pub(super) into: u64,
}

/// All that is known of a connection, while news of it are taken in.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connect: Connect,
    pub(super) at: Timestamp,
    pub(super) stage: Stage,
    pub(super) name: Option<NameNumber>,
    pub(super) opening: Option<OpeningKind>,
    pub(super) port: SourcePort,
    /// As far as the kernel has told.
    pub(super) carried: Bytes,
    /// What of it is in rows, or was carried before anybody could see it.
    pub(super) told: Bytes,
    /// The UTC day of its latest row.
    pub(super) day: i64,
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

impl Open {
    /// Begin and end are told by one clock, even if the time of day was set in between.
    pub(super) fn tell_by(&mut self, clock: BootClock) {
        self.at = clock.at(self.connect.id.started_boot_ns);
    }

    pub(super) fn of(connect: Connect, clock: BootClock) -> Self {
        let at = clock.at(connect.id.started_boot_ns);
        Self {
            connect,
            at,
            stage: Stage::New,
            name: None,
            opening: None,
            port: SourcePort::Unknown,
            carried: Bytes::default(),
            told: Bytes::default(),
            day: at.day(),
        }
    }

    pub(super) fn part(&self, outcome: Outcome, last: Timestamp) -> Part {
        Part {
            sender: self.connect.sender,
            remote: self.connect.remote,
            outcome,
            errno: None,
            name: self.name,
            opening: self.opening,
            totals: Totals {
                attempts: u64::from(!self.connect.was_open),
                source_port: self.port,
                ..Totals::between(self.at, last)
            },
        }
    }

    /// What it has carried by now; a look that does not tell is one that tells nothing new.
    pub(super) fn hear_of(&mut self, bytes_out: u64, bytes_in: u64) {
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

    pub(super) fn hear(&mut self, end: &ConnectionEnd, clock: BootClock) -> Told {
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
        if end.source_port != 0 {
            self.port = SourcePort::of(end.source_port);
        }
        if self.stage == Stage::Told && !end.is_established {
            return Told::default();
        }
        self.hear_of(end.bytes_out, end.bytes_in);
        if self.stage == Stage::Told {
            return self.more(last, end.is_over);
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
            part.totals.bytes_out = is_known.then_some(bytes.out);
            part.totals.bytes_in = is_known.then_some(bytes.into);
            part.totals.duration = duration;
        }
        told
    }

    /// From connect to close. Of one that was open before it could be seen, nobody knows.
    fn duration(&self, last: Timestamp, is_whole: bool) -> Option<std::time::Duration> {
        (is_whole && !self.connect.was_open).then(|| last.since(self.at))
    }

    /// The outcome is known now, whoever told it.
    pub(super) fn resolve(&mut self, outcome: Outcome, last: Timestamp) -> Told {
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
    pub(super) fn more(&mut self, last: Timestamp, is_over: bool) -> Told {
        let bytes = self.take_untold();
        let duration = self.duration(last, is_over);
        let today = last.day();
        if bytes == Bytes::default() && duration.is_none() && self.day == today {
            return Told::default();
        }
        self.day = today;
        let part = Part {
            totals: Totals {
                bytes_out: Some(bytes.out),
                bytes_in: Some(bytes.into),
                duration,
                source_port: self.port,
                ..Totals::between(last, last)
            },
            ..self.part(Outcome::Established, last)
        };
        Told {
            part: Some(part),
            ..Told::default()
        }
    }
}

/// The outcome of a connect that is over or was looked at, if it is known.
fn outcome_of(end: &ConnectionEnd) -> Option<(Outcome, Option<i32>)> {
    if end.is_established {
        return Some((Outcome::Established, None));
    }
    if end.errno != 0 {
        return Some((Outcome::of_errno(end.errno), Some(end.errno)));
    }
    match (end.is_over, end.was_sent) {
        (true, true) => Some((Outcome::TimedOut, None)),
        (true, false) => Some((Outcome::Failed, None)),
        (false, _) => None,
    }
}
