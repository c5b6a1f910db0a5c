//! Text that other programs chose, made harmless for a terminal and for the reader's eye.

use std::{borrow::Cow, fmt::Write as _};

/// The text with everything escaped that would act on a terminal, break a line, reorder what
/// stands beside it, or not be seen: line ends and tabs as `\n`, `\r`, `\t`, the rest as
/// `\u{hex}`.
///
/// This is for people's eyes and not reversible: a backslash stays one, since Windows paths and
/// shell quoting are full of them. Programs read JSON, which carries the text as it is.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.bytes().all(is_plain) || !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            hidden if is_hidden(hidden) => {
                write!(shown, "\\u{{{:x}}}", u32::from(hidden)).expect("a string takes any text");
            }
            plain => shown.push(plain),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character has no honest glyph of its own.
fn is_hidden(character: char) -> bool {
    if character.is_control() || (character.is_whitespace() && character != ' ') {
        return true;
    }
    matches!(
        character,
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul and Khmer fillers, Mongolian
        // selectors: drawn as nothing.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Zero width, joiners, marks, embeddings, overrides, isolates, invisible operators.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Braille blank: drawn as a space.
            | '\u{2800}'
        // Variation selectors, byte order mark, interlinear annotation, object replacement.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}'
        // Musical and shorthand controls.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags and further variation selectors.
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{is_hidden, visible};

    #[test]
    fn what_would_act_on_a_terminal_is_shown_instead() {
        assert_eq!(visible("a\u{1b}[31mred"), "a\\u{1b}[31mred");
        assert_eq!(
            visible("\u{9b}2J\u{7}\u{7f}\0"),
            "\\u{9b}2J\\u{7}\\u{7f}\\u{0}"
        );
        assert_eq!(visible("one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
        assert_eq!(visible("\u{2028}x\u{85}"), "\\u{2028}x\\u{85}");
    }

    #[test]
    fn what_misleads_the_eye_is_shown() {
        assert_eq!(visible("exe\u{202e}gpj.sh"), "exe\\u{202e}gpj.sh");
        assert_eq!(visible("exam\u{200b}ple.org"), "exam\\u{200b}ple.org");
        assert_eq!(visible("a\u{a0}b\u{3000}c"), "a\\u{a0}b\\u{3000}c");
        assert_eq!(visible("x\u{e0041}"), "x\\u{e0041}");
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        for text in [
            "/usr/bin/curl",
            "c:\\windows\\new.exe",
            "bücher.example",
            "例え.jp",
            "हिन्दी",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            assert!(!visible(&text).chars().any(is_hidden));
        }
    }
}
