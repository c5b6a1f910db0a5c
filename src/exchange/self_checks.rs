//! The line of a self-check: what canary flows proved while something watched.

use serde::Serialize;

use super::{
    LineError,
    fields::{Fields, required},
};
use crate::model::{CheckedKind, Record, SelfCheck, Timestamp};

#[derive(Serialize)]
struct SelfCheckLine<'a> {
    kind: &'static str,
    watch_period_id: u64,
    at: Timestamp,
    kernel: Option<&'a str>,
    backend: &'a str,
    obstacle: Option<&'a str>,
    kinds: &'a [CheckedKind],
}

/// The line of a self-check.
pub(super) fn render(watch_period_id: u64, check: &SelfCheck) -> Result<String, serde_json::Error> {
    serde_json::to_string(&SelfCheckLine {
        kind: "self_check",
        watch_period_id,
        at: check.at,
        kernel: check.kernel.as_deref(),
        backend: &check.backend,
        obstacle: check.obstacle.as_deref(),
        kinds: &check.kinds,
    })
}

/// The self-check that a line holds.
pub(super) fn parse(fields: &mut Fields) -> Result<Record, LineError> {
    Ok(Record::SelfCheck {
        watch_period_id: required("watch_period_id", fields.wide("watch_period_id")?)?,
        check: SelfCheck {
            at: required("at", fields.time("at")?)?,
            kernel: fields.text("kernel")?,
            backend: required("backend", fields.text("backend")?)?,
            obstacle: fields.text("obstacle")?,
            kinds: fields.structured("kinds")?.unwrap_or_default(),
        },
    })
}
