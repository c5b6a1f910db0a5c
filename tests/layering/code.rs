//! Reads Rust as far as the plan needs it: words and paths outside of comments and quotes.

use std::collections::BTreeSet;

/// The first two parts of each path that begins at the root of the crate, each once.
pub(super) fn imports_of(place: &str, code: &str) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    let packed: String = code
        .split_whitespace()
        .fold(String::new(), |mut text, word| {
            // `use crate as x` must not become one word.
            let last = text.chars().last().unwrap_or(' ');
            if is_of_word(last) && word.starts_with(is_of_word) {
                text.push(' ');
            }
            text.push_str(word);
            text
        });
    let is_inner = place.ends_with("/mod");
    let depth = place.split('/').count() - usize::from(is_inner);
    let to_root = "super::".repeat(depth);
    let outside_of_tests = packed.split("#[cfg(test)]").next().unwrap();
    let is_root = |text: &str, at: usize| !text[..at].ends_with("super::");
    for (at, start) in packed
        .match_indices("crate::")
        .chain(packed.match_indices("egress_baseline::"))
    {
        if !packed[..at].ends_with(|last: char| is_of_word(last) && last != '$') {
            imports.extend(paths_at(&packed[at + start.len()..]));
        }
    }
    for (at, start) in outside_of_tests.match_indices(&to_root) {
        if is_root(outside_of_tests, at) {
            imports.extend(paths_at(&outside_of_tests[at + start.len()..]));
        }
    }
    if packed.contains("crate as ") {
        imports.insert("the whole crate".to_owned());
    }
    imports
}

/// The paths at the start of `text`: `a::b`, or those of a group `{a::b::c, d}`.
fn paths_at(text: &str) -> Vec<String> {
    let Some(group) = text.strip_prefix('{') else {
        return paths_with_second(text);
    };
    let mut paths = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if start < at {
                    paths.extend(paths_with_second(&group[start..at]));
                }
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    paths
}

fn paths_with_second(text: &str) -> Vec<String> {
    let name: String = text.chars().take_while(|c| is_of_word(*c)).collect();
    if name.is_empty() {
        return vec!["*".to_owned()];
    }
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if rest.starts_with('{') => paths_at(rest)
            .into_iter()
            .map(|second| format!("{name}::{}", second.split("::").next().unwrap()))
            .collect(),
        Some(rest) => {
            let second: String = rest.chars().take_while(|c| is_of_word(*c)).collect();
            vec![format!("{name}::{second}")]
        }
        None => vec![name],
    }
}

pub(super) fn words_of(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character| !is_of_word(character))
        .filter(|word| !word.is_empty())
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// The source without comments and without what stands in quotes.
pub(super) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let is_after_word = code.ends_with(is_of_word);
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if character == '"' {
            quoted_length(rest)
        } else if rest.starts_with('r') && !is_after_word {
            raw_length(&rest[1..]).map_or(0, |length| length + 1)
        } else if character == '\'' {
            character_length(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// Length of the string literal that `text` begins with.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of what follows the `r` of a raw string literal.
fn raw_length(text: &str) -> Option<usize> {
    let hashes = text.bytes().take_while(|byte| *byte == b'#').count();
    let body = text[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = body
        .find(&closing)
        .map_or(body.len(), |at| at + closing.len());
    Some(hashes + 1 + end)
}

/// Length of the character literal that `text` begins with; 0 if it is a lifetime.
fn character_length(text: &str) -> usize {
    let body = &text[1..];
    let first = body.chars().next().unwrap_or(' ');
    if first == '\\' {
        let escaped = body.chars().nth(1).map_or(0, char::len_utf8);
        let end = body[1 + escaped..].find('\'');
        return end.map_or(0, |at| 1 + 1 + escaped + at + 1);
    }
    let is_literal = body[first.len_utf8().min(body.len())..].starts_with('\'');
    if is_literal {
        1 + first.len_utf8() + 1
    } else {
        0
    }
}
