//! How much is known of each application, from when it met its destinations.

use std::collections::BTreeMap;

use crate::{
    analyze::completeness::{TARGET_NEW_PER_WEEK, completeness},
    model::{Application, Occurrences, Sampling, SamplingUnit, Timestamp},
    report::{applications::ApplicationsReport, coverage::Coverage},
    store::{ContactQuery, Reader, StoreError},
};

const DAY: i64 = 86_400_000_000_000;

/// Tells of each application in the report how much of what it does is known.
pub(super) fn learn(
    report: &mut ApplicationsReport,
    reader: &Reader,
    query: &ContactQuery,
) -> Result<(), StoreError> {
    // Of an application of which only some destinations are looked at nothing can be said.
    if query.to.is_some() {
        return Ok(());
    }
    let mut units: BTreeMap<&str, BTreeMap<&Application, SamplingUnit>> = BTreeMap::new();
    for host in &report.hosts {
        let of_host = host.applications.iter();
        let of_host = of_host.map(|one| (&one.application, one.unit));
        units.insert(&host.host, of_host.collect());
    }
    let unit_of = |host: &str, application: &Application| {
        units
            .get(host)
            .and_then(|of_host| of_host.get(application).copied())
    };
    let met = reader.occurrences(query, &unit_of)?.into_iter();
    let mut met: BTreeMap<(String, Application), Occurrences> = met
        .map(|one| ((one.host.clone(), one.application.clone()), one))
        .collect();
    for host in &mut report.hosts {
        for application in &mut host.applications {
            let key = (host.host.clone(), application.application.clone());
            if let Some(occurrences) = met.remove(&key) {
                let sampling = sampling(&host.coverage, &occurrences);
                let units = occurrences.met.iter().map(|one| &one.units);
                let known = completeness(&sampling, units, TARGET_NEW_PER_WEEK);
                application.learning = Some(known);
            }
        }
    }
    Ok(())
}

fn sampling(coverage: &Coverage, of: &Occurrences) -> Sampling {
    let first = of.active_days.first().unwrap_or(0);
    let since = Timestamp::from_unix_ns(i64::from(first).saturating_mul(DAY));
    Sampling {
        unit: of.unit,
        covered: match of.unit {
            SamplingUnit::Run => (0..of.runs).collect(),
            SamplingUnit::Day => coverage.days.clone(),
            SamplingUnit::Hour => coverage.hours.clone(),
        },
        covered_days: coverage.days.clone(),
        active_days: of.active_days.clone(),
        has_gaps: coverage.has_holes_since(since),
    }
}
