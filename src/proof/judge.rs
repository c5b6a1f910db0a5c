//! What was made of a kind against what was recorded of it.

use std::{fmt, net::IpAddr};

use super::{
    claim::{Claim, Rule, claim, shown, whole_rule},
    makers::Maker,
};
use crate::{
    canary::{Kind, Made},
    model::{BlindSpot, Outcome, Protocol, Verdict},
};

/// What observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The backend's name.
    pub backend: String,
    /// What it said of itself that it cannot see.
    pub blind_spots: Vec<BlindSpot>,
    /// Inode of the network namespace in which the canaries were.
    pub network_namespace: u32,
}

impl Observed {
    fn has_declared(&self, code: &str) -> bool {
        self.blind_spots.iter().any(|spot| spot.code == code)
    }
}

/// What was recorded of one contact of a maker; rows that differ in time only are summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Process id.
    pub pid: Option<u32>,
    /// Parent process id.
    pub ppid: Option<u32>,
    /// Executable.
    pub exe: Option<String>,
    /// Arguments, of the process record.
    pub argv: Option<Vec<String>>,
    /// User.
    pub uid: Option<u32>,
    /// User of the socket.
    pub socket_uid: Option<u32>,
    /// Network namespace.
    pub network_namespace: Option<u32>,
    /// Protocol.
    pub protocol: Protocol,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Errno.
    pub errno: Option<i32>,
    /// Attempts.
    pub attempts: u64,
    /// Payload bytes sent.
    pub bytes_out: Option<u64>,
    /// Payload bytes received.
    pub bytes_in: Option<u64>,
}

impl Recorded {
    /// Whether this process made it. In a pid namespace of its own, it is known by its arguments.
    pub(super) fn is_of(&self, maker: &Maker) -> bool {
        match maker.pid {
            Some(pid) => self.pid == Some(pid),
            None => self.argv.as_ref() == Some(&maker.argv),
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} port {} attempts={} out={} in={} state={} errno={} src_port={} exe={}",
            self.protocol.word(self.address),
            shown(self.address),
            shown(self.port),
            self.attempts,
            shown(self.bytes_out),
            shown(self.bytes_in),
            self.outcome,
            shown(self.errno),
            shown(self.source_port),
            shown(self.exe.as_deref()),
        )
    }
}

/// What came of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What it means to an operator.
    pub verdict: Verdict,
    /// Code of the blind spot that explains it.
    pub blind_spot: Option<&'static str>,
    /// What does not fit the backend's claim, in short. More than was claimed is a fault as well, of
    /// the claim, though the kind is seen.
    pub fault: Option<String>,
    /// What must have been recorded.
    pub rule: Option<Rule>,
}

/// Judges a kind that was made by what was recorded of its maker.
pub fn judge(
    kind: &Kind,
    made: &Made,
    maker: &Maker,
    observed: &Observed,
    recorded: &[Recorded],
) -> Judgement {
    let is_declared = |code: &str| observed.has_declared(code);
    let claimed = claim(kind, made, &observed.backend, &is_declared);
    let fault_by = |rule: &Rule| fault_of(recorded, rule, maker, observed);
    let (verdict, blind_spot, rule, fault) = match claimed {
        Claim::Nothing => (Verdict::Seen, None, None, surplus(recorded)),
        Claim::Whole(rule) => (Verdict::Seen, None, Some(rule), fault_by(&rule)),
        Claim::InPart(rule, code) => (Verdict::InPart, Some(code), Some(rule), fault_by(&rule)),
        Claim::Blind(code) => (Verdict::Blind, Some(code), None, surplus(recorded)),
    };
    let is_seen_nevertheless = || {
        let expected = kind.expected().filter(|_| blind_spot.is_some());
        expected.is_some_and(|expected| fault_by(&whole_rule(&expected, made)).is_none())
    };
    let (verdict, blind_spot) = match fault {
        None => (verdict, blind_spot),
        Some(_) if is_seen_nevertheless() => (Verdict::Seen, None),
        Some(_) => (Verdict::Missed, blind_spot),
    };
    Judgement {
        verdict,
        blind_spot,
        fault,
        rule,
    }
}

fn surplus(recorded: &[Recorded]) -> Option<String> {
    match recorded.len() {
        0 => None,
        _ => Some("recorded, though it should not be".to_owned()),
    }
}

fn fault_of(
    recorded: &[Recorded],
    rule: &Rule,
    maker: &Maker,
    observed: &Observed,
) -> Option<String> {
    match recorded {
        [] => Some("not recorded".to_owned()),
        [one] => {
            let faults = faults(one, rule, maker, observed);
            (!faults.is_empty()).then(|| format!("recorded with a wrong {}", faults.join(", ")))
        }
        several => Some(format!("recorded as {} flows", several.len())),
    }
}

fn faults(found: &Recorded, rule: &Rule, maker: &Maker, observed: &Observed) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut claim = |holds: bool, what: &'static str| {
        if !holds {
            faults.push(what);
        }
    };
    claim(maker.pid.is_none() || found.pid == maker.pid, "pid");
    claim(maker.ppid.is_none() || found.ppid == maker.ppid, "parent");
    claim(found.exe.as_deref() == Some(&maker.exe), "executable");
    claim(
        found.argv.as_ref() == Some(&maker.argv),
        "list of arguments",
    );
    claim(found.uid == Some(maker.uid), "user");
    claim(found.socket_uid == Some(maker.uid), "user of the socket");
    claim(
        found.network_namespace == Some(observed.network_namespace),
        "network namespace",
    );
    claim(found.protocol == rule.protocol, "protocol");
    claim(found.address == rule.address, "address");
    claim(rule.port == found.port, "port");
    claim(found.outcome == rule.outcome, "outcome");
    claim(rule.attempts.holds(found.attempts), "number of attempts");
    claim(
        rule.bytes_out.holds(found.bytes_out.unwrap_or(0)),
        "number of bytes sent",
    );
    claim(
        found.bytes_in.unwrap_or(0) == rule.bytes_in,
        "number of bytes received",
    );
    claim(rule.errno.is_none_or(|errno| found.errno == errno), "errno");
    claim(
        rule.source_port.is_none() || found.source_port == rule.source_port,
        "source port",
    );
    faults
}
