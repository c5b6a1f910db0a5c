//! DNS over TCP: each message follows its length.

/// The length before each message.
const LENGTH: usize = 2;

/// One direction of a connection, cut into messages.
#[derive(Debug, Default)]
pub(super) struct Framing {
    buffer: Vec<u8>,
}

impl Framing {
    /// Takes the next piece; gives the messages that are whole with it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut rest = self.buffer.as_slice();
        while let Some((length, body)) = rest.split_first_chunk::<LENGTH>()
            && let Some((message, after)) =
                body.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        {
            messages.push(message.to_vec());
            rest = after;
        }
        // In place: whoever sends single bytes must not have the rest copied for each of them.
        self.buffer.drain(..self.buffer.len() - rest.len());
        messages
    }

    /// Whether nothing is waiting for its other half.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Framing;

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let stream = b"\0\x05first\0\0\0\x06second\0\x09unfin";
        let expected: [&[u8]; 3] = [b"first", b"", b"second"];
        for size in 1..=stream.len() {
            let mut framing = Framing::default();
            let messages: Vec<_> = stream
                .chunks(size)
                .flat_map(|piece| framing.push(piece))
                .collect();
            assert_eq!(messages, expected, "{size}");
            assert!(!framing.is_empty());
        }
    }
}
