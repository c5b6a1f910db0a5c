//! What a watch period is recorded with.

use super::{Plan, resolvers::Resolvers, watcher::Attached};
use crate::model::{RESOLVERS, SINCE_BOOT, WatchKind, WatchPeriod};

/// The watch period that begins with these hooks.
pub(super) fn watch_period(plan: &Plan, attached: &Attached, resolvers: &Resolvers) -> WatchPeriod {
    WatchPeriod {
        kind: WatchKind::Observe,
        host: plan.scope.host.clone(),
        boot_id: plan.scope.boot_id.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: Some(attached.backend.name().to_owned()),
        backend_failures: attached.failures.clone(),
        blind_spots: attached.blind_spots.clone(),
        settings: settings(plan, attached, resolvers),
        source: None,
        started: attached.since.now(),
        covered_until: attached.since.now(),
        ended: None,
    }
}

/// What is in force in it.
pub(super) fn settings(
    plan: &Plan,
    attached: &Attached,
    resolvers: &Resolvers,
) -> serde_json::Value {
    let limits = &plan.capture.limits;
    let (resolvers, forgotten_resolvers) = resolvers.settings();
    serde_json::json!({
        "include_loopback": plan.scope.include_loopback,
        "names": plan.capture.names,
        "provenance": plan.provenance.is_some(),
        "largest_hashed_bytes": plan.provenance.map(|limits| limits.largest_file),
        "hashed_bytes_per_second": plan.provenance.map(|limits| limits.bytes_per_second),
        "waiting_files": plan.provenance.map(|limits| limits.waiting),
        "full_command_lines": plan.scope.full_command_lines,
        "flush_every_ns": u64::try_from(plan.flush_every.as_nanos()).unwrap_or(u64::MAX),
        "ring_bytes": limits.ring_bytes,
        "connections": limits.connections,
        "connecting": limits.connecting,
        "datagram_contacts": limits.datagram_contacts,
        "conversations": limits.conversations,
        "known_processes": limits.known_processes,
        "known_cgroups": limits.known_cgroups,
        "own_addresses": limits.own_addresses,
        "identifying": limits.identifying,
        "contacts": plan.waiting.contacts,
        "waiting_flows": plan.waiting.flows,
        "kernel_bytes": attached.kernel_bytes,
        SINCE_BOOT: attached.since.boot_ns(),
        RESOLVERS: resolvers,
        "forgotten_resolvers": forgotten_resolvers,
    })
}
