//! What must have been recorded of a kind by a backend on this kernel.

use std::{fmt, net::IpAddr};

use crate::{
    canary::{Expected, Group, Kind, Made, Scope},
    model::{Outcome, Protocol},
};

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// This one.
    Exactly(u64),
    /// This one or more.
    AtLeast(u64),
}

impl Number {
    pub(super) fn holds(self, found: u64) -> bool {
        match self {
            Self::Exactly(number) => found == number,
            Self::AtLeast(number) => found >= number,
        }
    }
}

/// What must have been recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Protocol.
    pub protocol: Protocol,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Attempts.
    pub attempts: Number,
    /// Payload bytes sent.
    pub bytes_out: Number,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Errno; `None` where the backend cannot know it.
    pub errno: Option<Option<i32>>,
    /// Source port, where the maker knows it.
    pub source_port: Option<u16>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} port {} attempts={:?} out={:?} in={} state={} errno={} src_port={}",
            self.protocol.word(self.address),
            shown(self.address),
            shown(self.port),
            self.attempts,
            self.bytes_out,
            self.bytes_in,
            self.outcome,
            self.errno.map_or_else(|| "any".to_owned(), shown),
            shown(self.source_port)
        )
    }
}

/// A value that may be missing.
pub(super) fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// What a backend claims to record of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing, since it is no egress.
    Nothing,
    /// All of it.
    Whole(Rule),
    /// What the blind spot of this code leaves.
    InPart(Rule, &'static str),
    /// Nothing, because of the blind spot of this code.
    Blind(&'static str),
}

/// What `backend` must have recorded of a kind that was made, by default settings; `is_declared`
/// tells whether it has declared the blind spot of a code.
///
/// Less than everything is good enough only where the observer itself has declared the blind spot;
/// and where it has, more than it declared is a fault too: of the declaration.
pub fn claim(kind: &Kind, made: &Made, backend: &str, is_declared: &dyn Fn(&str) -> bool) -> Claim {
    // By default what stays on the maker's own addresses is not recorded.
    let (Scope::Egress, Some(expected)) = (kind.scope, kind.expected()) else {
        return Claim::Nothing;
    };
    let rule = whole_rule(&expected, made);
    match backend {
        "kprobe" | "fexit" => seen_by_kprobes(kind, made, rule, is_declared),
        _ => seen_by_fallback(kind, made, rule, is_declared),
    }
}

/// What a backend without blind spots records.
pub(super) fn whole_rule(expected: &Expected, made: &Made) -> Rule {
    // What was refused was not sent.
    let bytes_out = if made.packets == 0 { 0 } else { made.bytes_out };
    Rule {
        protocol: expected.protocol,
        address: expected.address,
        port: expected.port,
        outcome: expected.outcome,
        attempts: Number::Exactly(made.attempts),
        bytes_out: Number::Exactly(bytes_out),
        bytes_in: made.bytes_in,
        errno: Some(made.errno),
        source_port: made.source_port,
    }
}

/// Nothing left, since the kernel refused to send.
fn is_refused_datagram(kind: &Kind, made: &Made) -> bool {
    made.packets == 0
        && made.attempts > 0
        && matches!(
            kind.group,
            Group::Udp | Group::Firewall | Group::Ping | Group::Raw | Group::Packet
        )
}

/// Hooks on functions see the call itself; its result only where another hook is.
fn seen_by_kprobes(
    kind: &Kind,
    made: &Made,
    rule: Rule,
    is_declared: &dyn Fn(&str) -> bool,
) -> Claim {
    match (kind.group, kind.name) {
        _ if is_refused_datagram(kind, made) && is_declared("datagram-errno") => Claim::InPart(
            Rule {
                outcome: Outcome::Sent,
                bytes_out: Number::Exactly(made.bytes_out),
                errno: Some(None),
                ..rule
            },
            "datagram-errno",
        ),
        // Its port is chosen only after the call was seen.
        (Group::Sctp, "sctp4-send") => Claim::Whole(Rule {
            source_port: None,
            ..rule
        }),
        _ => Claim::Whole(rule),
    }
}

/// The fallback sees neither the result of a call nor a call whose socket is not connected and not
/// UDP; of such it sees the packets, with what is in them.
fn seen_by_fallback(
    kind: &Kind,
    made: &Made,
    rule: Rule,
    is_declared: &dyn Fn(&str) -> bool,
) -> Claim {
    let failed_unseen = Rule {
        outcome: Outcome::Failed,
        errno: Some(None),
        ..rule
    };
    match (kind.group, kind.name) {
        (Group::Packet, _) if is_declared("frames") => Claim::Blind("frames"),
        // What is not IP has no destination to be missed.
        (Group::Packet, _) if rule.address.is_some() && is_declared("frame-destination") => {
            Claim::InPart(
                Rule {
                    protocol: Protocol::UNKNOWN,
                    address: None,
                    port: None,
                    ..rule
                },
                "frame-destination",
            )
        }
        (Group::Ping | Group::Raw, _)
            if is_refused_datagram(kind, made) && is_declared("datagram-errno") =>
        {
            Claim::Blind("datagram-errno")
        }
        (Group::Udp | Group::Firewall, _)
            if is_refused_datagram(kind, made) && is_declared("datagram-errno") =>
        {
            Claim::InPart(failed_unseen, "datagram-errno")
        }
        (Group::Tcp, name) if fails_before_syn(name) && is_declared("connect-errno") => {
            Claim::InPart(failed_unseen, "connect-errno")
        }
        (Group::Udp, name) if name.ends_with("-msg-more") && is_declared("more-data") => {
            Claim::InPart(
                Rule {
                    attempts: Number::Exactly(made.packets),
                    ..rule
                },
                "more-data",
            )
        }
        // What it counts is what the packets carry.
        (Group::Raw, name) if name.ends_with("-own-header") => Claim::Whole(Rule {
            bytes_out: Number::Exactly(made.payload_bytes),
            ..rule
        }),
        (Group::Sctp, name)
            if made.bytes_out + made.bytes_in > 0 && is_declared("association-packets") =>
        {
            Claim::InPart(
                Rule {
                    bytes_out: Number::Exactly(0),
                    source_port: rule.source_port.filter(|_| name != "sctp4-send"),
                    ..rule
                },
                "association-packets",
            )
        }
        // The kernel puts a session number before the payload.
        (Group::L2tp, _) => Claim::Whole(Rule {
            bytes_out: Number::AtLeast(made.bytes_out),
            ..rule
        }),
        _ => Claim::Whole(rule),
    }
}

fn fails_before_syn(name: &str) -> bool {
    ["-no-route", "-unreachable", "-blackhole", "-denied"]
        .iter()
        .any(|ending| name.ends_with(ending))
}
