//! Names with values inside a text: `--password=…`, `TOKEN=…`, `"secret": "…"`, headers, parameters
//! of URLs, connection strings.

use super::{
    REDACTED, is_scheme,
    names::{is_harmless, is_secret_name, is_secret_parameter, looks_like_path, may_name_a_file},
};

/// How far the value of a pair reaches that the text begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// To the end: the text is one argument, and the value may hold anything.
    Text,
    /// To the next white space: the text is a script.
    Word,
}

/// A value as it stands in the text.
struct Value {
    start: usize,
    end: usize,
}

/// Replaces the values whose names say that they are secret.
pub(super) fn redact_pairs(text: &str, extent: Extent) -> String {
    let bytes = text.as_bytes();
    let mut redacted = String::with_capacity(text.len());
    let mut written = 0;
    let mut at = 0;
    while at < bytes.len() {
        if !is_of_name(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + length_while(&bytes[at..], is_of_name);
        match secret_of(text, at, end, extent) {
            Some(value) => {
                redacted.push_str(&text[written..value.start]);
                redacted.push_str(REDACTED);
                written = value.end;
                at = value.end;
            }
            None => at = end,
        }
    }
    redacted.push_str(&text[written..]);
    redacted
}

/// The value that belongs to the name `text[start..end]`, if it is to be replaced.
fn secret_of(text: &str, start: usize, end: usize, extent: Extent) -> Option<Value> {
    let bytes = text.as_bytes();
    let before = start.checked_sub(1).map_or(b' ', |before| bytes[before]);
    let name = &text[start..end];
    let is_secret = match before {
        b'?' | b'&' => is_secret_parameter(name),
        _ => is_secret_name(name),
    };
    if !is_secret {
        return None;
    }
    let separator = separator_after(bytes, end)?;
    // `registry/token:latest` and `user@secret:path` are no pairs.
    if separator.is_colon && matches!(before, b'/' | b'@') {
        return None;
    }
    let value = value_at(text, start, &separator, extent);
    let secret = &text[value.start..value.end];
    let is_kept = secret.is_empty()
        || secret.starts_with(REDACTED)
        || is_harmless(secret)
        || may_name_a_file(name) && looks_like_path(secret);
    (!is_kept).then_some(value)
}

struct Separator {
    end: usize,
    is_colon: bool,
}

/// `=`, `:`, `:=`, `=>`, with blanks, after a name that may stand in quotes.
fn separator_after(bytes: &[u8], name_end: usize) -> Option<Separator> {
    let is_blank = |byte: u8| byte == b' ' || byte == b'\t';
    let mut at = name_end + length_while(&bytes[name_end..], |byte| byte == b'\\');
    if matches!(bytes.get(at), Some(b'"' | b'\'')) {
        at += 1;
    }
    at += length_while(&bytes[at..], is_blank);
    let sign = *bytes.get(at)?;
    let next = bytes.get(at + 1).copied().unwrap_or(b' ');
    let length = match (sign, next) {
        (b':', b':') => return None,
        (b':', b'=') | (b'=', b'>') => 2,
        (b':' | b'=', _) => 1,
        _ => return None,
    };
    at += length;
    if bytes[at..].starts_with(b"//") && sign == b':' {
        return None;
    }
    at += length_while(&bytes[at..], is_blank);
    Some(Separator {
        end: at,
        is_colon: sign == b':',
    })
}

fn value_at(text: &str, name_start: usize, separator: &Separator, extent: Extent) -> Value {
    let bytes = text.as_bytes();
    let start = separator.end;
    let before = &text[..name_start];
    // An option or an assignment, perhaps of an assignment (`--env=PASSWORD=…`), begins the text.
    let begins_text = before.bytes().all(|byte| is_of_name(byte) || byte == b'=');
    if begins_text && !separator.is_colon && (extent == Extent::Text || text.starts_with('-')) {
        let end = text.len();
        return Value { start, end };
    }
    // JSON inside a quoted text has its quotes escaped: `{\"token\":\"…\"}`.
    let escapes = length_while(&bytes[start..], |byte| byte == b'\\');
    if let Some(quote @ (b'"' | b'\'')) = bytes.get(start + escapes).copied() {
        let start = start + escapes + 1;
        let end = start + quoted_length(&bytes[start..], quote, escapes);
        return Value { start, end };
    }
    let start = start + scheme_length(&text[start..]);
    let is_header = separator.is_colon && before.bytes().all(|byte| matches!(byte, b'"' | b'\''));
    if is_header {
        let end = start + length_while(&bytes[start..], |byte| byte != b'\n');
        return Value { start, end };
    }
    let is_inside = |byte: u8| {
        !byte.is_ascii_whitespace()
            && !matches!(
                byte,
                b'&' | b';' | b',' | b'"' | b'\'' | b')' | b'}' | b'|' | b'<' | b'>'
            )
    };
    Value {
        start,
        end: start + length_while(&bytes[start..], is_inside),
    }
}

/// Length of `Bearer ` and its like at the start of a value.
fn scheme_length(value: &str) -> usize {
    match value.split_once(' ') {
        Some((word, rest)) if is_scheme(word) && !rest.is_empty() => word.len() + 1,
        _ => 0,
    }
}

/// Length up to the quote that closes, which has as many backslashes before it as the one that
/// opened.
fn quoted_length(bytes: &[u8], quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (index, byte) in bytes.iter().enumerate() {
        match *byte {
            b'\\' => backslashes += 1,
            byte if byte == quote && backslashes <= escapes => return index - backslashes,
            _ => backslashes = 0,
        }
    }
    bytes.len()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

pub(super) fn length_while(bytes: &[u8], is_inside: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !is_inside(*byte))
        .unwrap_or(bytes.len())
}
