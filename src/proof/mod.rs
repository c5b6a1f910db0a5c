//! Proves which kinds of flow are seen: what canaries made, beside what was recorded of it.
//!
//! [`make_all`] makes each kind in a process of its own, a [`Ledger`] keeps what is recorded in the
//! meantime, and [`prove()`] compares the two. Less than everything is good enough only where the
//! backend has declared the blind spot.

mod claim;
mod judge;
mod ledger;
mod makers;
mod prove;

pub use self::{
    claim::{Claim, Number, Rule, claim},
    judge::{Judgement, Observed, Recorded, judge},
    ledger::Ledger,
    makers::{MAKE_COMMAND, Maker, MakerReport, Program, Trial, make_all, report_of},
    prove::{Proved, hindrance, prove},
};
use crate::canary::{Kind, kind_named};

/// The kinds of the quick part: what nearly every program does, made in well under a second, and
/// without asking the kernel for anything that it may have to load.
const QUICK: [&str; 12] = [
    "tcp4-connected",
    "tcp4-refused",
    "tcp4-no-route",
    "tcp4-nonblocking",
    "tcp6-connected",
    "tcp6-refused",
    "tcp-mapped",
    "udp4-sendto",
    "udp4-sendmmsg",
    "udp4-connected",
    "udp6-sendto",
    "udp6-connected",
];

/// The kinds of the quick part.
pub fn quick_kinds() -> Vec<&'static Kind> {
    QUICK.iter().filter_map(|name| kind_named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::{QUICK, quick_kinds};
    use crate::canary::Scope;

    #[test]
    fn every_kind_of_the_quick_part_exists_and_is_egress() {
        let kinds = quick_kinds();
        assert_eq!(kinds.len(), QUICK.len());
        assert!(kinds.iter().all(|kind| kind.scope == Scope::Egress));
    }
}
