//! Bytes that other programs chose, as text and back without loss.

/// Returns `bytes` as text that keeps every byte: valid UTF-8 as it is, any other byte as `\xNN`.
///
/// A backslash that stands before an `x` is itself written `\x5c`, so that no file name can
/// imitate an escape and [`bytes_of_text`] restores exactly what was seen. Control characters
/// stay as they are: what prints them escapes them.
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\\' && characters.peek() == Some(&'x') {
                text.push_str("\\x5c");
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Returns the bytes that [`text_of_bytes`] was given.
pub fn bytes_of_text(text: &str) -> Vec<u8> {
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len());
    let mut at = 0;
    while at < source.len() {
        let escape = source[at..]
            .strip_prefix(b"\\x")
            .and_then(|rest| rest.get(..2))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escape {
            bytes.push(byte);
            at += 4;
        } else {
            bytes.push(source[at]);
            at += 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{bytes_of_text, text_of_bytes};
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_name_cannot_imitate_an_escape() {
        assert_eq!(text_of_bytes(b"/tmp/\xff"), "/tmp/\\xff");
        assert_eq!(text_of_bytes(b"/tmp/\\xff"), "/tmp/\\x5cxff");
    }

    #[test]
    fn an_invalid_byte_after_a_backslash_is_not_taken_for_an_escape() {
        assert_eq!(bytes_of_text(&text_of_bytes(b"\\\xffx41")), b"\\\xffx41");
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes in any::<Vec<u8>>()) {
            assert_eq!(bytes_of_text(&text_of_bytes(&bytes)), bytes);
        }

        #[test]
        fn names_full_of_backslashes_survive(name in "[\\\\x0-9a-f]{0,40}") {
            assert_eq!(bytes_of_text(&text_of_bytes(name.as_bytes())), name.as_bytes());
        }
    }
}
