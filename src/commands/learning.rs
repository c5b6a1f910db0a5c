//! How much is known of each application, from when it met its destinations.

use std::collections::BTreeMap;

use crate::{
    analyze::completeness::{TARGET_NEW_PER_WEEK, completeness},
    model::{Application, Occurrence, Occurrences, Sampling, SamplingUnit, Timestamp, Units},
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
    let mut met: BTreeMap<(String, Application), Occurrences> = reader
        .occurrences(query)?
        .into_iter()
        .map(|one| ((one.host.clone(), one.application.clone()), one))
        .collect();
    for host in &mut report.hosts {
        for application in &mut host.applications {
            let key = (host.host.clone(), application.application.clone());
            if let Some(occurrences) = met.remove(&key) {
                let sampling = sampling(application.unit, &host.coverage, &occurrences);
                let units = occurrences
                    .met
                    .iter()
                    .map(|one| units_of(application.unit, one));
                let known = completeness(&sampling, units, TARGET_NEW_PER_WEEK);
                application.learning = Some(known);
            }
        }
    }
    Ok(())
}

fn units_of(unit: SamplingUnit, occurrence: &Occurrence) -> &Units {
    match unit {
        SamplingUnit::Run => &occurrence.runs,
        SamplingUnit::Day => &occurrence.days,
        SamplingUnit::Hour => &occurrence.hours,
    }
}

fn sampling(unit: SamplingUnit, coverage: &Coverage, of: &Occurrences) -> Sampling {
    let first = of.active_days.first().unwrap_or(0);
    let since = Timestamp::from_unix_ns(i64::from(first).saturating_mul(DAY));
    Sampling {
        unit,
        covered: match unit {
            SamplingUnit::Run => (0..of.runs).collect(),
            SamplingUnit::Day => coverage.days.clone(),
            SamplingUnit::Hour => coverage.hours.clone(),
        },
        covered_days: coverage.days.clone(),
        active_days: of.active_days.clone(),
        has_gaps: coverage.has_holes_since(since),
    }
}
