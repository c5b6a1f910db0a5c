//! One line's fields, taken one by one, with the field's name in every complaint.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::LineError;
use crate::model::{NameSource, Timestamp};

/// A complaint shows this much of a value: lines may hold megabytes.
const SHOWN_CHARACTERS: usize = 60;

/// A reason names what it found, and what it expected.
const REASON_CHARACTERS: usize = 200;

/// 2⁵³: every reader of JSON holds the whole numbers up to here exactly, and sums of counts below
/// it stay far from what the store can hold.
const LARGEST_COUNT: u64 = 1 << 53;

/// [`LARGEST_COUNT`] as a float, which is exact.
const EXACT_IN_FLOAT: f64 = 9_007_199_254_740_992.0;

/// The fields of one line. A field that is missing is null.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn of(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Takes a field; none if it is missing or null.
    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        match self.0.get_mut(field).map(Value::take) {
            None | Some(Value::Null) => None,
            Some(value) => Some(value),
        }
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<Option<String>, LineError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(bad(field, "text", &other)),
        }
    }

    /// A count of attempts or bytes.
    pub(super) fn count(&mut self, field: &'static str) -> Result<Option<u64>, LineError> {
        const EXPECTED: &str = "count (0 to 9007199254740992)";
        match self.whole(field, EXPECTED)? {
            Some(count) if count > LARGEST_COUNT => Err(bad(field, EXPECTED, &Value::from(count))),
            count => Ok(count),
        }
    }

    /// A whole number that is not summed: an id, or nanoseconds.
    pub(super) fn wide(&mut self, field: &'static str) -> Result<Option<u64>, LineError> {
        self.whole(field, "whole number")
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<Option<u32>, LineError> {
        self.narrow(field, "number from 0 to 4294967295")
    }

    pub(super) fn port(&mut self, field: &'static str) -> Result<Option<u16>, LineError> {
        self.narrow(field, "port (0 to 65535)")
    }

    pub(super) fn claim(&mut self, field: &'static str) -> Result<bool, LineError> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(claim)) => Ok(claim),
            Some(other) => Err(bad(field, "`true` or `false`", &other)),
        }
    }

    pub(super) fn time(&mut self, field: &'static str) -> Result<Option<Timestamp>, LineError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => match text.parse() {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(bad(field, "RFC 3339 time", &Value::String(text))),
            },
            Some(other) => Err(bad(field, "RFC 3339 time", &other)),
        }
    }

    /// An address; a zone (`fe80::1%eth0`) is dropped, an IPv4-mapped one is the IPv4 address.
    pub(super) fn address(&mut self, field: &'static str) -> Result<Option<IpAddr>, LineError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => match address_of(&text) {
                Some(address) => Ok(Some(address)),
                None => Err(bad(field, "IP address", &Value::String(text))),
            },
            Some(other) => Err(bad(field, "IP address", &other)),
        }
    }

    pub(super) fn name_source(
        &mut self,
        field: &'static str,
    ) -> Result<Option<NameSource>, LineError> {
        self.word(field, "source of a name")
    }

    /// One of a fixed set of words.
    pub(super) fn word<T: std::str::FromStr>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, LineError> {
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(word) => Ok(Some(word)),
            Err(_) => Err(bad(field, expected, &Value::String(text))),
        }
    }

    /// A structured value of a record of ours.
    pub(super) fn structured<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<T>, LineError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| LineError::Malformed {
                field,
                reason: cut(&error.to_string(), REASON_CHARACTERS),
            })
    }

    fn whole(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<u64>, LineError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        whole_number(&value)
            .map(Some)
            .ok_or_else(|| bad(field, expected, &value))
    }

    fn narrow<T: TryFrom<u64>>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, LineError> {
        let Some(number) = self.whole(field, expected)? else {
            return Ok(None);
        };
        T::try_from(number)
            .map(Some)
            .map_err(|_| bad(field, expected, &Value::from(number)))
    }
}

/// The value if it is there, else a complaint.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, LineError> {
    value.ok_or(LineError::Missing(field))
}

/// The complaint about a value, which may be long and is cut.
pub(super) fn bad(field: &'static str, expected: &'static str, value: &Value) -> LineError {
    let shown = match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("`{}`", shortened(text)),
        other => format!("`{}`", shortened(&other.to_string())),
    };
    LineError::Bad {
        field,
        expected,
        found: shown,
    }
}

/// The address that a text is, if it is one.
pub(super) fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.split_once('%').map_or(text, |(address, _)| address);
    bare.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

pub(super) fn shortened(text: &str) -> String {
    cut(text, SHOWN_CHARACTERS)
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Programs that hold tables with gaps (pandas is one) write whole numbers as `443.0`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked"
)]
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=EXACT_IN_FLOAT).contains(number))
            .map(|number| number as u64)
    })
}
