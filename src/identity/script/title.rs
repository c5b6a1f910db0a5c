//! Processes that wrote a title over their arguments.

use super::interpreter::is_interpreter;

/// What such a title says of the script, or `None` if the words are arguments.
///
/// npm, Puma, Gunicorn and Celery do so: `npm view left-pad`, `puma 6.4.0 (tcp://…) [shop]`. What changes
/// while they run is left out.
pub(super) fn script_in(words: &[String]) -> Option<String> {
    let (title, rest) = words.split_first()?;
    // Where the title is shorter than the arguments were, nothing but zeros is left.
    if rest.iter().any(|word| !word.is_empty()) {
        return None;
    }
    if let Some(pool) = title.strip_prefix("php-fpm: pool ") {
        return word(pool).map(|pool| format!("pool {pool}"));
    }
    let (first, further) = title.split_once(char::is_whitespace)?;
    let name = word(first.trim_start_matches('[').trim_end_matches(':'))?;
    if is_interpreter(name) {
        return None;
    }
    // Others keep numbers between such brackets.
    let application = further
        .rsplit_once('[')
        .and_then(|(_, end)| word(end.strip_suffix(']')?))
        .filter(|_| matches!(name, "gunicorn" | "puma"));
    Some(match application {
        Some(application) => format!("{name} [{application}]"),
        None => name.to_owned(),
    })
}

/// A name as people give it: no path, and short.
fn word(text: &str) -> Option<&str> {
    const LONGEST: usize = 64;
    let text = text.trim();
    let is_name = !text.is_empty()
        && text.len() <= LONGEST
        && !text.starts_with('-')
        && text
            .chars()
            .all(|character| character.is_alphanumeric() || "._-:@+".contains(character));
    is_name.then_some(text)
}
