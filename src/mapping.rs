//! Raw identities → applications, for a whole store: done anew when the rules have changed.

use crate::{
    identity::{RULES_VERSION, application_of},
    store::{Recorder, StoreError},
};

/// Maps all identities of a store by the present rules, unless they were mapped by these before.
pub fn map_by_present_rules(recorder: &mut Recorder) -> Result<(), StoreError> {
    if recorder.rules_version()? == Some(RULES_VERSION) {
        return Ok(());
    }
    let identities = recorder.identities()?;
    let mapping = identities
        .into_iter()
        .map(|(id, raw)| (id, application_of(&raw)))
        .collect();
    recorder.set_applications(RULES_VERSION, mapping)
}
