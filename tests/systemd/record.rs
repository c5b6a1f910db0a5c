//! What the observer recorded, as its own commands tell it.

use std::net::IpAddr;

use egress_baseline::model::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::guest::{SERVICE, property, run};

/// One line of a flow.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flow {
    pub(crate) ts: Timestamp,
    pub(crate) exe: Option<String>,
    /// Not the host's file of that name.
    #[serde(default)]
    pub(crate) exe_is_foreign: bool,
    pub(crate) context: Option<String>,
    pub(crate) uid: Option<u32>,
    pub(crate) dst_ip: Option<IpAddr>,
    pub(crate) dst_port: Option<u16>,
    pub(crate) dst_name: Option<String>,
    pub(crate) name_source: Option<String>,
    pub(crate) attempts: u64,
}

/// A stretch of time that was watched.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WatchPeriod {
    pub(crate) id: i64,
    pub(crate) backend: Option<String>,
    pub(crate) settings: Value,
    pub(crate) started: Timestamp,
    pub(crate) covered_until: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

/// Everything that was recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) flows: Vec<Flow>,
    /// In the order in which they began.
    pub(crate) periods: Vec<WatchPeriod>,
    pub(crate) losses: Vec<Value>,
    pub(crate) self_checks: Vec<Value>,
}

impl Record {
    pub(crate) fn read() -> Result<Self, String> {
        let mut record = Self::default();
        for line in run("egress-baseline", &["dump", "--all"])?.lines() {
            record
                .take(line)
                .map_err(|cause| format!("{cause} in line `{line}`"))?;
        }
        record.periods.sort_by_key(|period| period.id);
        Ok(record)
    }

    fn take(&mut self, line: &str) -> serde_json::Result<()> {
        let value: Value = serde_json::from_str(line)?;
        match value["kind"].as_str() {
            Some("flow") => self.flows.push(serde_json::from_value(value)?),
            Some("watch_period") => self.periods.push(serde_json::from_value(value)?),
            Some("loss") => self.losses.push(value),
            Some("self_check") => self.self_checks.push(value),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn last_period(&self) -> Result<&WatchPeriod, String> {
        self.periods
            .last()
            .ok_or_else(|| "nothing was watched".to_owned())
    }

    /// Attempts to a port, of flows at times that `is_right`.
    pub(crate) fn attempts_to(&self, port: u16, is_right: impl Fn(Timestamp) -> bool) -> u64 {
        self.flows
            .iter()
            .filter(|flow| flow.dst_port == Some(port) && is_right(flow.ts))
            .map(|flow| flow.attempts)
            .sum()
    }
}

/// What `status` tells.
pub(crate) fn status() -> Result<Value, String> {
    let text = run("egress-baseline", &["status", "--format", "json"])?;
    serde_json::from_str(&text).map_err(|cause| cause.to_string())
}

/// Whether the service runs with its hooks on.
pub(crate) fn is_active() -> Result<bool, String> {
    Ok(property(SERVICE, "ActiveState")? == "active")
}
