//! Why a part of an application is called what it is.

use serde::Serialize;

/// The rule that named a part of an application, and what it was told by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// `context`, `program` or `script`.
    pub part: &'static str,
    /// What it is called.
    pub value: String,
    /// The rule, as half a sentence.
    pub rule: String,
    /// What was seen: a cgroup, a path, arguments; none where the rule says it all.
    pub evidence: Vec<String>,
}
