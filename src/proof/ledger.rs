//! What is recorded while canaries sing.

use std::collections::BTreeMap;

use super::{judge::Recorded, makers::Maker};
use crate::model::{FlowRecord, Outcome, Ticket};

/// Flows as a store would hold them: what was pending gives way to its outcome.
#[derive(Debug, Default)]
pub struct Ledger {
    flows: Vec<FlowRecord>,
    pending: BTreeMap<Ticket, FlowRecord>,
}

impl Ledger {
    /// Takes in flows of one batch, and the tickets that it takes back.
    pub fn take(&mut self, flows: Vec<FlowRecord>, retracted: &[Ticket]) {
        for record in flows {
            if let Some(ticket) = record.settles {
                self.pending.remove(&ticket);
            }
            match record.ticket {
                Some(ticket) => drop(self.pending.insert(ticket, record)),
                None => self.flows.push(record),
            }
        }
        for ticket in retracted {
            self.pending.remove(ticket);
        }
    }

    /// What was recorded of a maker.
    pub fn of(&self, maker: &Maker) -> Vec<Recorded> {
        let mut sums: BTreeMap<_, Recorded> = BTreeMap::new();
        let own = self
            .flows
            .iter()
            .chain(self.pending.values())
            .map(recorded)
            .filter(|one| one.is_of(maker));
        for one in own {
            sums.entry(contact_of(&one))
                .and_modify(|sum| add(sum, &one))
                .or_insert(one);
        }
        sums.into_values().collect()
    }

    /// What was recorded of the kind's own port without the process that made it.
    pub fn has_orphan(&self, network_namespace: u32, port: u16) -> bool {
        self.flows
            .iter()
            .chain(self.pending.values())
            .any(|record| {
                record.process.is_none()
                    && record.flow.network_namespace == Some(network_namespace)
                    && record.flow.port == Some(port)
            })
    }
}

fn recorded(record: &FlowRecord) -> Recorded {
    let flow = &record.flow;
    let process = record.process.as_deref();
    Recorded {
        pid: process.and_then(|process| process.pid),
        ppid: process.and_then(|process| process.ppid),
        exe: record.identity.raw.exe.clone(),
        argv: process.and_then(|process| process.argv.clone()),
        uid: record.identity.raw.uid,
        socket_uid: flow.socket_uid,
        network_namespace: flow.network_namespace,
        protocol: flow.protocol,
        source_port: flow.source_port,
        address: flow.address,
        port: flow.port,
        outcome: flow.outcome,
        errno: flow.errno,
        attempts: flow.attempts,
        bytes_out: flow.bytes_out,
        bytes_in: flow.bytes_in,
    }
}

/// What tells the contacts of one process apart.
type Contact = (
    Option<String>,
    Option<u32>,
    Option<u8>,
    Option<std::net::IpAddr>,
    Option<u16>,
    Outcome,
    Option<i32>,
);

fn contact_of(one: &Recorded) -> Contact {
    (
        one.exe.clone(),
        one.uid,
        one.protocol.0,
        one.address,
        one.port,
        one.outcome,
        one.errno,
    )
}

fn add(sum: &mut Recorded, other: &Recorded) {
    sum.attempts = sum.attempts.saturating_add(other.attempts);
    if sum.source_port != other.source_port {
        sum.source_port = None;
    }
    for (total, part) in [
        (&mut sum.bytes_out, other.bytes_out),
        (&mut sum.bytes_in, other.bytes_in),
    ] {
        *total = match (*total, part) {
            (Some(total), Some(part)) => Some(total.saturating_add(part)),
            (total, part) => total.or(part),
        };
    }
}
