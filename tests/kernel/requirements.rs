//! What was not tried, and what must not be left untried.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::Mutex,
};

use egress_baseline::canary::kinds;
use libtest_mimic::{Completion, Failed};

static NOT_TRIED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The features that `EGRESS_TEST_REQUIRE` lists: this machine is known to have them.
pub(crate) fn required() -> BTreeSet<String> {
    env::var("EGRESS_TEST_REQUIRE")
        .unwrap_or_default()
        .split(',')
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The features that `EGRESS_TEST_REQUIRE` lists and nothing here is tried for: a misspelt word
/// would require nothing.
pub(crate) fn unknown_requirements() -> Vec<String> {
    let known: BTreeSet<&str> = kinds()
        .iter()
        .map(|kind| kind.group.word())
        .chain([
            "free_cgroups",
            "late_modules",
            "real_traffic",
            "dnsmasq",
            "curl",
            "musl",
            "bash",
        ])
        .collect();
    required()
        .into_iter()
        .filter(|word| !known.contains(word.as_str()))
        .collect()
}

/// Notes that `trial` was not tried because `feature` is lacking; a failure if it is required.
pub(crate) fn not_tried(trial: &str, feature: &str, why: &str) -> Result<Completion, Failed> {
    if required().contains(feature) {
        return Err(format!("`{feature}` is required here and lacking: {why}").into());
    }
    if let Ok(mut list) = NOT_TRIED.lock() {
        list.insert(trial.to_owned(), format!("{feature}: {why}"));
    }
    Ok(Completion::ignored_with(why))
}

/// The list with which the output ends.
pub(crate) fn list_of_not_tried() -> String {
    let list = NOT_TRIED
        .lock()
        .map(|list| list.clone())
        .unwrap_or_default();
    if list.is_empty() {
        return "not tried: nothing\n".to_owned();
    }
    let mut text = format!("not tried: {}\n", list.len());
    for (trial, why) in list {
        text.push_str(&format!("  {trial}: {why}\n"));
    }
    text
}
