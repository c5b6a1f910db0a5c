//! The bytes that a TCP connection begins with: the records of TLS, or the words of something else.

use super::{
    client_hello::{self, HANDSHAKE_HEADER, LONGEST_HELLO, Progress},
    opening::{Opening, Plain},
};

/// The content type of records that carry handshake messages.
const HANDSHAKE: u8 = 22;

/// The longest content of a record (RFC 8446, section 5.1).
const LONGEST_RECORD: usize = 16 * 1024;

const RECORD_HEADER: usize = 5;

/// Reads the records of a stream, in whatever pieces they come, until the ClientHello is whole.
#[derive(Debug, Default)]
pub(super) struct Records {
    has_begun: bool,
    header: Vec<u8>,
    /// How much of the record is still to come.
    left: usize,
    /// What the records carried.
    message: Vec<u8>,
}

impl Records {
    /// Takes the next piece; says what the stream begins with as soon as that is known.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Option<Opening> {
        if !self.has_begun && !bytes.is_empty() {
            self.has_begun = true;
            if let Some(plain) = plain(bytes) {
                return Some(Opening::Plain(plain));
            }
        }
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.push_header(bytes);
                if self.header.len() == RECORD_HEADER {
                    match self.record_length() {
                        Some(length) => self.left = length,
                        None => return Some(Opening::Unreadable),
                    }
                    self.header.clear();
                }
                continue;
            }
            let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
            bytes = rest;
            self.left -= content.len();
            let room = HANDSHAKE_HEADER + LONGEST_HELLO - self.message.len();
            self.message
                .extend_from_slice(&content[..content.len().min(room)]);
            if let Some(opening) = self.opening() {
                return Some(opening);
            }
        }
        None
    }

    /// Fills the header of the next record, and gives back what it did not need.
    fn push_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let missing = RECORD_HEADER - self.header.len();
        let (header, rest) = bytes.split_at(missing.min(bytes.len()));
        self.header.extend_from_slice(header);
        rest
    }

    /// The length of the record whose header was read; none if it carries no handshake.
    fn record_length(&self) -> Option<usize> {
        let &[HANDSHAKE, 3, _, high, low] = self.header.as_slice() else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Empty records of a handshake are forbidden (RFC 8446, section 5.1), and endless.
        (1..=LONGEST_RECORD).contains(&length).then_some(length)
    }

    fn opening(&self) -> Option<Opening> {
        match client_hello::read(&self.message) {
            Progress::Unfinished => None,
            Progress::Read(hello) => Some(Opening::ClientHello(hello)),
            Progress::OtherMessage => Some(Opening::Plain(Plain::Other)),
            Progress::TooLong => Some(Opening::TooLong),
            Progress::Unreadable => Some(Opening::Unreadable),
        }
    }
}

/// What a stream is that does not begin with a record of a handshake; none if it may.
fn plain(first: &[u8]) -> Option<Plain> {
    let (&kind, rest) = first.split_first()?;
    if kind == HANDSHAKE && rest.first().is_none_or(|major| *major == 3) {
        return None;
    }
    Some(match first {
        // A length with the highest bit set, the type, and a version up to TLS 1.2.
        [high, _, 1, 0, 2, ..] | [high, _, 1, 3, _, ..] if high & 0x80 != 0 => Plain::OldTls,
        [5, methods, rest @ ..] if rest.len() == usize::from(*methods) => Plain::Proxy,
        [4, 1 | 2, rest @ ..] if rest.len() >= 6 && rest.last() == Some(&0) => Plain::Proxy,
        _ if first.starts_with(b"CONNECT ") => Plain::Proxy,
        _ if may_start_tls(first) => Plain::MayStartTls,
        _ => Plain::Other,
    })
}

/// Whether a client that begins so may go over to TLS in the same stream.
fn may_start_tls(first: &[u8]) -> bool {
    /// PostgreSQL's request for TLS; that for GSSAPI.
    const POSTGRES: [[u8; 8]; 2] = [
        [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f],
        [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30],
    ];
    /// LDAP's request for it.
    const LDAP: &[u8] = b"1.3.6.1.4.1.1466.20037";
    /// SMTP, LMTP, POP3, FTP, NNTP; all but IMAP's, which has a tag before it.
    const WORDS: [&str; 8] = [
        "EHLO ", "LHLO ", "STLS", "CAPA", "AUTH TLS", "AUTH SSL", "STARTTLS", "FEAT",
    ];
    const TAGGED: [&str; 2] = ["STARTTLS", "CAPABILITY"];
    // MySQL's request for it: 32 bytes, number 1, and the flag CLIENT_SSL.
    let is_mysql = matches!(first, [32, 0, 0, 1, _, flags, ..] if flags & 0x08 != 0);
    if is_mysql
        || POSTGRES.iter().any(|request| first == request)
        || first
            .windows(LDAP.len())
            .take(64)
            .any(|window| window == LDAP)
        || first.starts_with(b"<?xml")
        || first.starts_with(b"<stream:stream")
    {
        return true;
    }
    let line = first
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let Ok(line) = std::str::from_utf8(&line[..line.len().min(512)]) else {
        return false;
    };
    let line = line.to_ascii_uppercase();
    let is_tagged = line
        .split_once(' ')
        .is_some_and(|(_, command)| TAGGED.contains(&command.trim_end()));
    is_tagged || WORDS.iter().any(|word| line.starts_with(word))
}
