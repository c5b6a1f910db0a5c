//! The ClientHello of TLS, which names the server that is asked for.
//!
//! Read by hand: no kept library reads every ClientHello without being a server that might refuse it
//! (docs/decisions). The format has not moved since TLS 1.0, only its extensions grew.

use super::host_name::{HostName, NotAName};

/// The handshake message that opens a connection.
const CLIENT_HELLO: u8 = 1;

/// Type and length of a handshake message.
pub(super) const HANDSHAKE_HEADER: usize = 4;

/// Longer ones are given up. Those with post-quantum keys take 2 KiB; a TLS record holds 16.
pub(super) const LONGEST_HELLO: usize = 16 * 1024;

const SERVER_NAME: u16 = 0;

/// RFC 9849.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// What came before it: it encrypts the server name alone and sends no other.
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

/// What a ClientHello says of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The name of the server. None if there is none, if an address stands in its place, or if no
    /// host can be called so.
    pub server_name: Option<HostName>,
    /// It says that the real ClientHello is encrypted inside. Then the name may be that of a front
    /// that many servers share. Browsers say so to every server, also where there is nothing inside:
    /// from outside the two cannot be told apart.
    pub is_encrypted: bool,
    /// A name was there that no host can have.
    pub has_unusable_name: bool,
}

/// How far a handshake message has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed.
    Unfinished,
    Read(ClientHello),
    /// It is another message.
    OtherMessage,
    TooLong,
    Unreadable,
}

/// Reads the handshake message that `bytes` begin with.
pub(super) fn read(bytes: &[u8]) -> Progress {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Progress::Unfinished;
    };
    if kind != CLIENT_HELLO {
        return Progress::OtherMessage;
    }
    let &[high, middle, low, ref body @ ..] = rest else {
        return Progress::Unfinished;
    };
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    if length > LONGEST_HELLO {
        return Progress::TooLong;
    }
    match body.get(..length) {
        None => Progress::Unfinished,
        Some(body) => hello(Reader(body)).map_or(Progress::Unreadable, Progress::Read),
    }
}

/// The body: version, random, session, ciphers, compressions, and extensions if there are any.
fn hello(mut body: Reader<'_>) -> Option<ClientHello> {
    // Servers answer a version that they do not know with one that they do, so any may stand here.
    body.take(2 + 32)?;
    body.take_with_length_of_1()
        .filter(|session| session.len() <= 32)?;
    body.take_with_length_of_2()
        .filter(|ciphers| !ciphers.is_empty() && ciphers.len() % 2 == 0)?;
    body.take_with_length_of_1()
        .filter(|methods| !methods.is_empty())?;
    let mut hello = ClientHello {
        server_name: None,
        is_encrypted: false,
        has_unusable_name: false,
    };
    if body.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(body.take_with_length_of_2()?);
    if !body.is_empty() {
        return None;
    }
    let mut has_server_name = false;
    while !extensions.is_empty() {
        let kind = extensions.number()?;
        let data = extensions.take_with_length_of_2()?;
        match kind {
            // A second one is an error (RFC 8446, section 4.2).
            SERVER_NAME if has_server_name => return None,
            SERVER_NAME => {
                has_server_name = true;
                match server_name(data)?.map(HostName::of_server_name) {
                    Some(Ok(name)) => hello.server_name = Some(name),
                    Some(Err(NotAName::Unusable)) => hello.has_unusable_name = true,
                    Some(Err(NotAName::Address)) | None => {}
                }
            }
            ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => hello.is_encrypted = true,
            _ => {}
        }
    }
    Some(hello)
}

/// The name of a host in the extension's list, if it has one; none if the list makes no sense, or has
/// two of them (RFC 6066, section 3).
fn server_name(extension: &[u8]) -> Option<Option<&[u8]>> {
    const HOST_NAME: u8 = 0;
    let mut extension = Reader(extension);
    let mut list = Reader(extension.take_with_length_of_2()?);
    if !extension.is_empty() {
        return None;
    }
    let mut name = None;
    // There are no other types, and how long one would be nobody knows: the rest is left alone.
    while list.byte() == Some(HOST_NAME) {
        if name.is_some() {
            return None;
        }
        name = Some(list.take_with_length_of_2()?);
    }
    Some(name)
}

/// Takes bytes from the front; none if there are not as many.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        self.take(2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn take_with_length_of_1(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    pub(super) fn take_with_length_of_2(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}
