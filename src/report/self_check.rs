//! What a self-check found, in one line and in the few that must not be overlooked.

use std::io::{self, Write};

use super::{WARNING, humane::minute, visible};
use crate::model::{SelfCheck, Verdict};

/// What was found, in one line without its time.
pub fn finding(check: &SelfCheck) -> String {
    if let Some(obstacle) = &check.obstacle {
        return format!("could not run: {obstacle}");
    }
    let count = |verdict| check.count(verdict);
    let (seen, in_part) = (count(Verdict::Seen), count(Verdict::InPart));
    let mut text = format!("{} of {} kinds of flow seen", seen + in_part, check.made());
    let beside: Vec<String> = [
        (in_part, "in part"),
        (count(Verdict::Blind), "in blind spots"),
        (count(Verdict::NotMade), "not made here"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    if !beside.is_empty() {
        text.push_str(&format!(" ({})", beside.join(", ")));
    }
    match count(Verdict::Missed) {
        0 => text,
        missed => format!("{text}, {missed} MISSED"),
    }
}

/// The same with its time.
pub(super) fn dated_finding(check: &SelfCheck) -> String {
    format!("{}, {}", finding(check), minute(check.at))
}

/// Writes what was missed, a line each.
pub(super) fn write_missed(check: &SelfCheck, out: &mut dyn Write) -> io::Result<()> {
    let missed = check
        .kinds
        .iter()
        .filter(|kind| kind.verdict == Verdict::Missed);
    for kind in missed {
        let detail = kind.detail.as_deref().unwrap_or("not recorded");
        let (name, detail) = (visible(&kind.kind), visible(detail));
        writeln!(out, "  {WARNING}MISSED{WARNING:#}  {name}: {detail}")?;
    }
    Ok(())
}
