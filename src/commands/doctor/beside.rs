//! The result of `doctor` beside what a running observer records.

use std::path::Path;

use anyhow::Context;

use super::DoctorError;
use crate::{
    capture,
    commands::observe,
    report::doctor::DoctorReport,
    store::{OpenWatchPeriod, Recorder},
};

/// The store of an observer that runs.
#[derive(Debug)]
pub(super) struct Beside {
    recorder: Recorder,
    /// The name of the backend that it records through.
    backend: String,
    database: String,
}

impl Beside {
    /// The observer that records into this database now.
    pub(super) fn observer_of(database: &Path) -> anyhow::Result<Self> {
        let shown = database.display().to_string();
        if !database.exists() {
            // Opening it would make one, which the observer may not be able to write.
            return Err(DoctorError::NoObserver(shown).into());
        }
        let recorder = Recorder::open(database)?;
        let database = shown;
        let open = open_period(&recorder, &database)?;
        Ok(Self {
            recorder,
            backend: open.backend.unwrap_or_default(),
            database,
        })
    }

    /// The backend that must be proved, unless another was asked for.
    pub(super) fn backend(
        &self,
        asked: Option<observe::Backend>,
    ) -> Result<capture::Backend, DoctorError> {
        let asked = asked.and_then(observe::Backend::hooks);
        let other = |asked: &str| DoctorError::OtherBackend {
            observer: self.backend.clone(),
            asked: asked.to_owned(),
        };
        match (self.backend.parse().ok(), asked) {
            (Some(own), None) => Ok(own),
            (Some(own), Some(asked)) if own == asked => Ok(own),
            (_, Some(asked)) => Err(other(asked.name())),
            // An observer of another version has backends of its own.
            (None, None) => Err(other("any that this program has")),
        }
    }

    /// Keeps the result with the watch period that is open by now: one may have ended meanwhile,
    /// because the clock was set, or the observer started anew.
    pub(super) fn record(&mut self, report: &DoctorReport) -> anyhow::Result<()> {
        let open = open_period(&self.recorder, &self.database)?;
        if open.backend.as_deref() != Some(&self.backend) {
            return Err(DoctorError::OtherBackend {
                observer: open.backend.unwrap_or_default(),
                asked: self.backend.clone(),
            }
            .into());
        }
        self.recorder
            .record_self_check(open.id, &report.self_check(&self.backend))
            .context("keep the result")
    }
}

fn open_period(recorder: &Recorder, database: &str) -> anyhow::Result<OpenWatchPeriod> {
    let open = recorder.open_watch_period()?;
    Ok(open.ok_or_else(|| DoctorError::NoObserver(database.to_owned()))?)
}
