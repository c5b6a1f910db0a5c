//! One trial for each kind of flow: what was made against what was recorded.

use std::net::IpAddr;

use egress_baseline::{
    canary::{Expected, Group, Kind, Made, PEER_ADDRESS4, Scope, kinds},
    model::{Outcome, Protocol},
};
use libtest_mimic::{Completion, Failed, Trial};

use super::{
    child::Report,
    dump::{Flow, destination, listed, shown},
    requirements::not_tried,
    session::{Session, session},
    support::{self, Verdict},
    workshop::Run,
};

pub(crate) fn trials() -> Vec<Trial> {
    kinds()
        .iter()
        .map(|kind| {
            Trial::ignorable_test(format!("{} is recorded as it was made", kind.name), || {
                judge(kind)
            })
        })
        .chain([Trial::test(
            "a peer that only answers makes no flow",
            peer_makes_no_flow,
        )])
        .collect()
}

fn judge(kind: &'static Kind) -> Result<Completion, Failed> {
    let judged = compare(kind);
    if let Err(cause) = &judged {
        support::note(kind, Verdict::Missed);
        return Err(cause.clone());
    }
    judged
}

fn compare(kind: &'static Kind) -> Result<Completion, Failed> {
    let session = session()?;
    let run = session
        .makers
        .get(kind.name)
        .ok_or("it was not made")?
        .clone()?;
    let made = match &run.report {
        Report::Made(made) => *made,
        Report::Lacking(what) => {
            support::note(kind, Verdict::NotThere);
            return not_tried(kind.name, kind.group.word(), what);
        }
        other => return Err(format!("it could not be made: {other:?}").into()),
    };
    let flows = session.dump.flows_of(run.pid);
    let (rule, short_of) = rule_for(kind, &made, session);
    let Some(rule) = rule else {
        return match flows.as_slice() {
            [] => {
                support::note(kind, Verdict::Unseen(short_of));
                Ok(Completion::Completed)
            }
            some => Err(format!("expected no flow, recorded:\n{}", listed(some)).into()),
        };
    };
    let [flow] = flows.as_slice() else {
        return Err(format!("expected one flow: {rule}\nrecorded:\n{}", listed(&flows)).into());
    };
    let faults = faults(flow, &rule, &run, session);
    if faults.is_empty() {
        support::note(kind, short_of.map_or(Verdict::Seen, Verdict::InPart));
        return Ok(Completion::Completed);
    }
    Err(format!("{}\nexpected: {rule}\nrecorded: {flow}", faults.join("; ")).into())
}

/// What a number must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Number {
    Exactly(u64),
    AtLeast(u64),
}

impl Number {
    fn holds(&self, found: u64) -> bool {
        match self {
            Self::Exactly(number) => found == *number,
            Self::AtLeast(number) => found >= *number,
        }
    }
}

/// What a port must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Exactly(Option<u16>),
    Any,
}

impl Port {
    fn known(self) -> Option<u16> {
        match self {
            Self::Exactly(port) => port,
            Self::Any => None,
        }
    }

    fn holds(self, found: Option<u16>) -> bool {
        match self {
            Self::Exactly(port) => found == port,
            Self::Any => true,
        }
    }
}

/// What must have been recorded of a kind by a backend on this kernel.
#[derive(Clone)]
struct Rule {
    proto: String,
    address: Option<IpAddr>,
    port: Port,
    state: Outcome,
    attempts: Number,
    bytes_out: Number,
    bytes_in: u64,
    /// None where the backend cannot know it.
    errno: Option<Option<i32>>,
    source_port: Option<u16>,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} attempts={:?} out={:?} in={} state={} errno={} src_port={}",
            self.proto,
            destination(self.address, self.port.known()),
            self.attempts,
            self.bytes_out,
            self.bytes_in,
            self.state,
            self.errno.map_or_else(|| "any".to_owned(), shown),
            shown(self.source_port)
        )
    }
}

/// What must be recorded, if anything, and the blind spot for which it is less than everything.
///
/// Less is good enough only where the observer itself has declared it; and where it has, more than
/// it declared is a fault too: of the declaration.
fn rule_for(kind: &Kind, made: &Made, session: &Session) -> (Option<Rule>, Option<&'static str>) {
    let mut short_of = None;
    let is_declared = |code: &'static str| {
        let is_declared = session.dump.declares_blind(code);
        if is_declared {
            short_of = Some(code);
        }
        is_declared
    };
    let rule = rule_of_backend(kind, made, session, is_declared);
    (rule, short_of)
}

fn rule_of_backend(
    kind: &Kind,
    made: &Made,
    session: &Session,
    mut is_declared: impl FnMut(&'static str) -> bool,
) -> Option<Rule> {
    if kind.name == "udp4-reply" && is_declared("datagram-replies") {
        return Some(reply_rule(made));
    }
    // By default what stays on the maker's own addresses is not recorded.
    if kind.scope != Scope::Egress {
        return None;
    }
    let rule = seen_fully(&kind.expected()?, made);
    match session.backend.as_str() {
        "kprobe" => seen_by_kprobes(kind, made, rule, is_declared),
        _ => seen_by_fallback(kind, made, rule, is_declared),
    }
}

fn seen_fully(expected: &Expected, made: &Made) -> Rule {
    // What was refused was not sent.
    let bytes_out = if made.packets == 0 { 0 } else { made.bytes_out };
    Rule {
        proto: expected.protocol.word(expected.address),
        address: expected.address,
        port: Port::Exactly(expected.port),
        state: expected.outcome,
        attempts: Number::Exactly(made.attempts),
        bytes_out: Number::Exactly(bytes_out),
        bytes_in: made.bytes_in,
        errno: Some(made.errno),
        source_port: made.source_port,
    }
}

/// A reply looks like a datagram to wherever the client happened to write from.
fn reply_rule(made: &Made) -> Rule {
    Rule {
        proto: Protocol::UDP.word(None),
        address: Some(PEER_ADDRESS4.into()),
        port: Port::Any,
        state: Outcome::Sent,
        attempts: Number::Exactly(1),
        bytes_out: Number::Exactly(made.bytes_out),
        bytes_in: 0,
        errno: Some(None),
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

/// Kprobes see the call itself; its result only where another hook is.
fn seen_by_kprobes(
    kind: &Kind,
    made: &Made,
    rule: Rule,
    mut is_declared: impl FnMut(&'static str) -> bool,
) -> Option<Rule> {
    match (kind.group, kind.name) {
        _ if is_refused_datagram(kind, made) && is_declared("datagram-errno") => Some(Rule {
            state: Outcome::Sent,
            bytes_out: Number::Exactly(made.bytes_out),
            errno: Some(None),
            ..rule
        }),
        // Its port is chosen only after the call was seen.
        (Group::Sctp, "sctp4-send") => Some(Rule {
            source_port: None,
            ..rule
        }),
        _ => Some(rule),
    }
}

/// The fallback sees neither the result of a call nor a call whose socket is not connected and not
/// UDP; of such it sees the packets, with what is in them.
fn seen_by_fallback(
    kind: &Kind,
    made: &Made,
    rule: Rule,
    mut is_declared: impl FnMut(&'static str) -> bool,
) -> Option<Rule> {
    let failed_unseen = Rule {
        state: Outcome::Failed,
        errno: Some(None),
        ..rule.clone()
    };
    match (kind.group, kind.name) {
        (Group::Packet, _) if is_declared("frames") => None,
        // What is not IP has no destination to be missed.
        (Group::Packet, _) if rule.address.is_some() && is_declared("frame-destination") => {
            Some(Rule {
                proto: Protocol::UNKNOWN.word(None),
                address: None,
                port: Port::Exactly(None),
                ..rule
            })
        }
        (Group::Ping | Group::Raw, _)
            if is_refused_datagram(kind, made) && is_declared("datagram-errno") =>
        {
            None
        }
        (Group::Udp | Group::Firewall, _)
            if is_refused_datagram(kind, made) && is_declared("datagram-errno") =>
        {
            Some(failed_unseen)
        }
        (Group::Tcp, name) if fails_before_syn(name) && is_declared("connect-errno") => {
            Some(failed_unseen)
        }
        (Group::Udp, name) if name.ends_with("-msg-more") && is_declared("more-data") => {
            Some(Rule {
                attempts: Number::Exactly(made.packets),
                ..rule
            })
        }
        // What it counts is what the packets carry.
        (Group::Raw, name) if name.ends_with("-own-header") => Some(Rule {
            bytes_out: Number::Exactly(made.payload_bytes),
            ..rule
        }),
        (Group::Sctp, name)
            if made.bytes_out + made.bytes_in > 0 && is_declared("association-packets") =>
        {
            Some(Rule {
                bytes_out: Number::Exactly(0),
                source_port: rule.source_port.filter(|_| name != "sctp4-send"),
                ..rule
            })
        }
        // The kernel puts a session number before the payload.
        (Group::L2tp, _) => Some(Rule {
            bytes_out: Number::AtLeast(made.bytes_out),
            ..rule
        }),
        _ => Some(rule),
    }
}

fn fails_before_syn(name: &str) -> bool {
    ["-no-route", "-unreachable", "-blackhole", "-denied"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn faults(flow: &Flow, rule: &Rule, run: &Run, session: &Session) -> Vec<String> {
    let mut faults = Vec::new();
    let mut claim = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    claim(flow.exe.as_deref() == Some(&run.exe_text()), "executable");
    claim(flow.ppid == Some(std::process::id()), "parent");
    claim(flow.uid == Some(0), "user");
    claim(flow.socket_uid == Some(0), "user of the socket");
    claim(
        flow.network_namespace.map(u64::from) == Some(session.namespace),
        "network namespace",
    );
    claim(flow.proto == rule.proto, "protocol");
    claim(flow.dst_ip == rule.address, "address");
    claim(rule.port.holds(flow.dst_port), "port");
    claim(flow.state == rule.state.word(), "outcome");
    claim(rule.attempts.holds(flow.attempts), "attempts");
    claim(
        rule.bytes_out.holds(flow.bytes_out.unwrap_or(0)),
        "bytes out",
    );
    claim(flow.bytes_in.unwrap_or(0) == rule.bytes_in, "bytes in");
    claim(
        rule.errno.is_none_or(|errno| flow.errno == errno),
        "error number",
    );
    claim(
        rule.source_port.is_none() || flow.src_port == rule.source_port,
        "source port",
    );
    match session.dump.process_of(flow) {
        Ok(process) => claim(process.argv == Some(run.argv_text()), "arguments"),
        Err(_) => claim(false, "process record"),
    }
    faults
}

/// This very process is the peer: all that it may be seen doing is to write first where a kind
/// asks for it.
fn peer_makes_no_flow() -> Result<(), Failed> {
    let session = session()?;
    let own = session.dump.flows_of(std::process::id());
    let stray: Vec<Flow> = own
        .into_iter()
        .filter(|flow| {
            !kinds()
                .iter()
                .any(|kind| kind.scope == Scope::NoFlow && Some(kind.port()) == flow.dst_port)
        })
        .collect();
    match stray.as_slice() {
        [] => Ok(()),
        some => Err(format!("recorded of the peer:\n{}", listed(some)).into()),
    }
}
