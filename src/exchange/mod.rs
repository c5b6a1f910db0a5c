//! Flows and records as lines of JSON, both ways; `docs/ndjson.md` is the format's description.
//!
//! Pure: a line in, a record out, and back. What a line means for the store is decided by who
//! reads it.

mod fields;
mod files;
mod flow;
mod records;
mod self_checks;
mod state;

use serde_json::{Map, Value};

use crate::model::{Record, RecordedFlow};

/// No record needs a longer line; a reader need not hold more of one than a byte beyond.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line is longer than any record is.
    #[error("longer than {} MiB", MAX_LINE_BYTES >> 20)]
    TooLong,
    /// The line is not UTF-8.
    #[error("not UTF-8 at byte {0}")]
    NotText(usize),
    /// The line is not JSON.
    #[error("not valid JSON: {0}")]
    NotJson(String),
    /// The line is JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field holds what it cannot.
    #[error("`{field}`: {found} is no {expected}")]
    Bad {
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds, shortened.
        found: String,
    },
    /// A structured field does not have the shape that is written by `dump --all`.
    #[error("`{field}`: {reason}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A kind of record that this version does not know.
    #[error("unknown kind of record `{0}`")]
    UnknownKind(String),
}

/// The flow's line as every reader understands it, without a line end.
pub fn render_flow(flow: &RecordedFlow) -> Result<String, serde_json::Error> {
    render_marked_flow(flow, None)
}

/// The same, marked with how many names its address has, if it has several.
pub fn render_marked_flow(
    flow: &RecordedFlow,
    shared_names: Option<u64>,
) -> Result<String, serde_json::Error> {
    let line = flow::FlowLine::of(flow, flow::Ids::Omitted);
    serde_json::to_string(&line.marked(shared_names))
}

/// The record's line with everything that ties the records of one dump together, without a line
/// end. [`parse_line`] restores the record from it.
pub fn render_record(record: &Record) -> Result<String, serde_json::Error> {
    match record {
        Record::Flow(flow) => serde_json::to_string(&flow::FlowLine::of(flow, flow::Ids::Written)),
        other => records::render(other),
    }
}

/// The record that a line holds; none for a blank line.
///
/// A flow of another program comes without ids: its identity and process are what the line says,
/// and a host that it does not name is empty.
pub fn parse_line(line: &[u8]) -> Result<Option<Record>, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    let line = std::str::from_utf8(line)
        .map_err(|error| LineError::NotText(error.valid_up_to() + 1))?
        .trim();
    if line.is_empty() {
        return Ok(None);
    }
    let value: Value =
        serde_json::from_str(line).map_err(|error| LineError::NotJson(error.to_string()))?;
    let Value::Object(object) = value else {
        return Err(LineError::NotAnObject);
    };
    record_of(object).map(Some)
}

fn record_of(object: Map<String, Value>) -> Result<Record, LineError> {
    let mut fields = fields::Fields::of(object);
    let kind = fields.text("kind")?;
    match kind.as_deref() {
        None | Some("flow") => flow::parse(&mut fields).map(|flow| Record::Flow(Box::new(flow))),
        Some(kind) => records::parse(kind, &mut fields),
    }
}
