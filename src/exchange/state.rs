//! What the `state` of a line says about the outcome.

use serde_json::Value;

use super::{
    LineError,
    fields::{Fields, bad},
};
use crate::model::Outcome;

/// A connect that is under way answers so; it did not fail.
const IN_PROGRESS: i32 = libc::EINPROGRESS;

/// How a flow ended, as its line tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) errno: Option<i32>,
    /// The line's own text, where it is not a word of ours.
    pub(super) state: Option<String>,
}

/// Takes `state`, `outcome` and `errno`.
///
/// `outcome` is written beside a `state` that came from elsewhere, so that a dump of an imported
/// flow comes back as it was whatever its text would mean today.
pub(super) fn take_ending(fields: &mut Fields) -> Result<Ending, LineError> {
    let state = state_text(fields)?;
    let outcome = fields.word::<Outcome>("outcome", "outcome")?;
    let errno = errno(fields)?;
    if let Some(outcome) = outcome {
        return Ok(Ending {
            outcome,
            errno,
            state,
        });
    }
    let Some(state) = state else {
        return Ok(Ending {
            outcome: Outcome::Unknown,
            errno,
            state: None,
        });
    };
    Ok(match state.parse::<Outcome>() {
        Ok(outcome) => Ending {
            outcome,
            errno,
            state: None,
        },
        Err(()) => {
            let (outcome, stated) = meaning(&state);
            Ending {
                outcome,
                errno: errno.or(stated),
                state: Some(state),
            }
        }
    })
}

/// `state` is text or a number (an errno).
fn state_text(fields: &mut Fields) -> Result<Option<String>, LineError> {
    match fields.take("state") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(bad("state", "text or errno", &other)),
    }
}

fn errno(fields: &mut Fields) -> Result<Option<i32>, LineError> {
    let Some(value) = fields.take("errno") else {
        return Ok(None);
    };
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| bad("errno", "errno", &value))
}

/// What another program's word means; each is argued for in `docs/ndjson.md`.
fn meaning(state: &str) -> (Outcome, Option<i32>) {
    if let Some(errno) = negative_errno(state) {
        return if errno == IN_PROGRESS {
            (Outcome::Unknown, None)
        } else {
            (Outcome::of_errno(errno), Some(errno))
        };
    }
    let outcome = match state {
        "REJ" => Outcome::Refused,
        // No answer was seen: a lone first packet, or the sender gave up after it.
        "S0" | "SH" | "RSTOS0" => Outcome::TimedOut,
        "S1" | "S2" | "S3" | "SF" | "RSTO" | "RSTR" | "closed" => Outcome::Established,
        _ => Outcome::Unknown,
    };
    (outcome, None)
}

fn negative_errno(state: &str) -> Option<i32> {
    let digits = state.strip_prefix('-')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|errno| *errno > 0)
}
