//! Secrets that programs hand to functions: `login('bob', '…')`, `auth=('bob', '…')`.

use super::{REDACTED, names::names_a_login, pairs::length_while};

/// Replaces the texts in quotes that are arguments of a function which logs somebody in. Which of
/// them is the secret differs, so all go.
pub(super) fn redact_calls(text: &str) -> String {
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
        let arguments = names_a_login(&text[at..end])
            .then(|| arguments_at(bytes, end))
            .flatten();
        at = end;
        let Some(start) = arguments else { continue };
        at = start;
        let mut depth = 0_usize;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'(' => depth += 1,
                b')' if depth <= 1 => break,
                b')' => depth -= 1,
                b';' | b'\n' if depth == 0 => break,
                b'"' | b'\'' => {
                    let literal = at + 1;
                    let close = literal + length_while(&bytes[literal..], |inside| inside != *byte);
                    // The quotes of a program that stands in a shell's are escaped.
                    let end = literal + text[literal..close].trim_end_matches('\\').len();
                    if end > literal && !text[literal..end].starts_with(REDACTED) {
                        redacted.push_str(&text[written..literal]);
                        redacted.push_str(REDACTED);
                        written = end;
                    }
                    at = close;
                }
                _ => {}
            }
            at += 1;
        }
    }
    redacted.push_str(&text[written..]);
    redacted
}

/// Where the arguments begin: at a parenthesis, perhaps behind `=`; or, as Ruby has it, at a quote
/// behind a blank.
fn arguments_at(bytes: &[u8], name_end: usize) -> Option<usize> {
    let is_blank = |byte: u8| byte == b' ';
    let mut at = name_end + length_while(&bytes[name_end..], is_blank);
    match bytes.get(at)? {
        b'(' => Some(at),
        b'=' => {
            at += 1;
            at += length_while(&bytes[at..], is_blank);
            (bytes.get(at) == Some(&b'(')).then_some(at)
        }
        b'"' | b'\'' if at > name_end => Some(at),
        _ => None,
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
