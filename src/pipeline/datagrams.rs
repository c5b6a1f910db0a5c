//! Datagrams: counts from the kernel, and calls that should have ended in a packet.

use std::collections::BTreeMap;

use super::sums::{Part, SourcePort, Totals};
use crate::model::{BootClock, DatagramCount, Endpoint, Outcome, Sender, Timestamp};

/// What was sent, if anything was: calls or packets, or more bytes of such as were counted before.
pub(super) fn part_of(count: &DatagramCount, clock: BootClock) -> Option<Part> {
    if count.sent == 0 && (count.begun > 0 || count.bytes == 0) {
        return None;
    }
    let outcome = match count.errno {
        0 if count.may_be_reply => Outcome::MaybeReply,
        0 => Outcome::Sent,
        errno => Outcome::of_errno(errno),
    };
    Some(Part {
        sender: count.sender,
        remote: count.remote,
        outcome,
        errno: (count.errno != 0).then_some(count.errno),
        name: None,
        opening: None,
        totals: Totals {
            attempts: count.sent,
            bytes_out: Some(count.bytes),
            source_port: SourcePort::of(count.source_port),
            ..Totals::between(clock.at(count.first_boot_ns), clock.at(count.last_boot_ns))
        },
    })
}

/// Calls that were counted as sent and turn out to have been refused.
pub(super) fn refusal_of(count: &DatagramCount, clock: BootClock) -> Option<Part> {
    if count.begun == 0 || count.errno == 0 {
        return None;
    }
    let part = part_of(
        &DatagramCount {
            sent: count.begun,
            ..count.clone()
        },
        clock,
    )?;
    Some(Part {
        totals: Totals {
            bytes_out: None,
            ..part.totals
        },
        ..part
    })
}

#[derive(Debug)]
struct Balance {
    /// Calls that were begun, less the packets that were seen.
    calls: i64,
    first: Timestamp,
    last: Timestamp,
    /// The drain that it was last seen in.
    drain: u64,
}

/// Calls whose packet was not seen (yet: a call and its packet may fall into two drains).
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    balances: BTreeMap<(Sender, Endpoint), Balance>,
    drains: u64,
}

impl Unanswered {
    pub(super) fn take(&mut self, count: &DatagramCount, clock: BootClock) {
        let key = (count.sender, count.remote);
        if count.errno != 0 {
            return;
        }
        if count.begun == 0 && !self.balances.contains_key(&key) {
            return;
        }
        let balance = self.balances.entry(key).or_insert_with(|| Balance {
            calls: 0,
            first: clock.at(count.first_boot_ns),
            last: clock.at(count.last_boot_ns),
            drain: 0,
        });
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        balance.calls = balance
            .calls
            .saturating_add(number(count.begun))
            .saturating_sub(number(count.sent));
        balance.last = clock.at(count.last_boot_ns);
        balance.drain = self.drains;
        if balance.calls == 0 {
            self.balances.remove(&key);
        }
    }

    /// All counts of one drain were taken in.
    pub(super) fn drained(&mut self) {
        self.drains += 1;
    }

    /// Calls that were refused: no packet followed them, in their own drain or in the next.
    pub(super) fn refused(&mut self, is_last: bool) -> Vec<Part> {
        let mut refused = Vec::new();
        let drains = self.drains;
        self.balances.retain(|(sender, remote), balance| {
            if balance.drain + 2 > drains && !is_last {
                return true;
            }
            if let Ok(attempts @ 1..) = u64::try_from(balance.calls) {
                refused.push(Part {
                    sender: *sender,
                    remote: *remote,
                    outcome: Outcome::Failed,
                    errno: None,
                    name: None,
                    opening: None,
                    totals: Totals {
                        attempts,
                        // The time of day may have been set back between the two.
                        ..Totals::between(balance.first.min(balance.last), balance.last)
                    },
                });
            }
            false
        });
        refused
    }
}
