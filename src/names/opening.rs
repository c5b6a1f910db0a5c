//! What a flow begins with.

use super::{ClientHello, HostName};

/// What the first bytes of a flow say of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A ClientHello, of TLS or inside of QUIC.
    ClientHello(ClientHello),
    /// Neither TLS nor QUIC.
    Plain(Plain),
    /// A ClientHello that is longer than is read, or spread over too many packets.
    TooLong,
    /// It began like TLS or QUIC and made no sense.
    Unreadable,
    /// It was never whole, or gave way to newer ones.
    GivenUp,
}

impl Opening {
    /// The name of the server, if there is one.
    pub fn server_name(&self) -> Option<&HostName> {
        match self {
            Self::ClientHello(hello) => hello.server_name.as_ref(),
            Self::Plain(_) | Self::TooLong | Self::Unreadable | Self::GivenUp => None,
        }
    }
}

/// A beginning that is neither TLS nor QUIC. Nothing of what follows is read, so that no name is
/// taken from what somebody tunnels through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plain {
    /// `CONNECT` of HTTP, or SOCKS: the server that is meant stands behind a proxy.
    Proxy,
    /// A protocol that may go over to TLS later (STARTTLS and its like).
    MayStartTls,
    /// A ClientHello in the format of SSL 2, which has no place for a name.
    OldTls,
    /// Anything else.
    Other,
}
