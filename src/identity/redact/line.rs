//! Command lines within one text, as a shell reads them.

use super::redact_words;

/// A word and where it stands.
struct Word {
    start: usize,
    end: usize,
    text: String,
}

/// Redacts each word of `text`; what lies between them, and words without secrets, stay as they
/// are written.
pub(super) fn redact_line(text: &str, depth: u8) -> String {
    let words = words_of(text);
    let values: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let mut redacted = String::with_capacity(text.len());
    let mut written = 0;
    for (word, value) in words.iter().zip(redact_words(&values, depth)) {
        redacted.push_str(&text[written..word.start]);
        let source = &text[word.start..word.end];
        if value == word.text {
            redacted.push_str(source);
        } else {
            redacted.push_str(&as_written(source, value));
        }
        written = word.end;
    }
    redacted.push_str(&text[written..]);
    redacted
}

/// A changed word, quoted if the word that it replaces was.
fn as_written(source: &str, value: String) -> String {
    let was_quoted = source.contains(['"', '\'']);
    if !was_quoted && !value.contains(|character: char| character.is_whitespace()) {
        return value;
    }
    if value.contains('\'') {
        return shlex::try_quote(&value).map_or(value.clone(), std::borrow::Cow::into_owned);
    }
    format!("'{value}'")
}

/// Splits as a shell does, without expanding anything. A quote that is not closed reaches to the
/// end.
fn words_of(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert_with(|| Word {
            start: at,
            end: at,
            text: String::new(),
        });
        current.end = at + character.len_utf8();
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (mark, Some(open)) if mark == open => quote = None,
            ('\\', None | Some('"')) => {
                let escaped = characters
                    .next_if(|(_, next)| quote.is_none() || matches!(next, '"' | '\\' | '$' | '`'));
                let (at, literal) = escaped.unwrap_or((at, character));
                current.end = at + literal.len_utf8();
                current.text.push(literal);
            }
            _ => current.text.push(character),
        }
    }
    words.extend(word);
    words
}
