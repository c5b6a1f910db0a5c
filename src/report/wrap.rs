//! Text in lines of a bounded width.

use unicode_width::UnicodeWidthStr;

/// The text in lines of at most `width` columns, broken between words; a word that is longer has a
/// line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_between_words_and_never_within_one() {
        let lines: Vec<_> = wrapped("one two three incomprehensibilities four", 9).collect();
        assert_eq!(lines, ["one two", "three", "incomprehensibilities", "four"]);
        assert_eq!(wrapped("", 9).collect::<Vec<_>>(), [""]);
    }
}
