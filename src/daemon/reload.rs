//! What a configuration that is read again changes at once, and what only the next start does.

use super::Plan;
use crate::{config::ConfigError, store::StoreError};

/// What came of reading the configuration again.
#[derive(Debug)]
pub enum Reload {
    /// It was read.
    Done {
        /// Settings that hold from now on.
        changed: Vec<&'static str>,
        /// Settings that differ from those that run and need a restart.
        needs_restart: Vec<&'static str>,
    },
    /// It could not be used; everything stays as it was.
    Failed(ConfigError),
    /// It holds, but the database does not say so.
    NotStored(StoreError),
}

/// Takes over from `new` what can change while hooks are on.
pub(super) fn take_over(plan: &mut Plan, new: Plan) -> Reload {
    let mut changed = Vec::new();
    let mut take = |name, differs: bool| {
        if differs {
            changed.push(name);
        }
    };
    let (old, kept) = (&plan.retention, &new.retention);
    take("observe.flush_every", plan.flush_every != new.flush_every);
    take("retention.detail_days", old.detail_days != kept.detail_days);
    take(
        "retention.max_megabytes",
        old.max_megabytes != kept.max_megabytes,
    );
    take("retention.rollup_days", old.rollup_days != kept.rollup_days);
    let needs_restart = needs_restart(plan, &new);
    plan.flush_every = new.flush_every;
    plan.retention = new.retention;
    Reload::Done {
        changed,
        needs_restart,
    }
}

/// What is built into the hooks, their tables and rows that are already written.
fn needs_restart(plan: &Plan, new: &Plan) -> Vec<&'static str> {
    let (old, limits) = (&plan.capture.limits, &new.capture.limits);
    [
        (
            "observe.backend",
            plan.capture.backend != new.capture.backend,
        ),
        (
            "observe.include_loopback",
            plan.scope.include_loopback != new.scope.include_loopback,
        ),
        ("observe.names", plan.capture.names != new.capture.names),
        (
            "observe.full_command_lines",
            plan.scope.full_command_lines != new.scope.full_command_lines,
        ),
        (
            "observe.provenance",
            plan.provenance.is_some() != new.provenance.is_some(),
        ),
        (
            "limits",
            old != limits
                || plan
                    .provenance
                    .zip(new.provenance)
                    .is_some_and(|(old, new)| old != new),
        ),
        ("service.user", plan.account != new.account),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
