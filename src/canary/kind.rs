//! What a kind of flow is: how it is made, and what must be recorded of it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use super::isolation::Isolation;
use crate::model::{Outcome, Protocol};

/// Families of kinds that a kernel has or lacks as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// TCP.
    Tcp,
    /// Multipath TCP.
    Mptcp,
    /// Submitted through io_uring.
    IoUring,
    /// UDP.
    Udp,
    /// UDP-Lite.
    UdpLite,
    /// Ping sockets.
    Ping,
    /// Raw IP sockets.
    Raw,
    /// Sockets below IP.
    Packet,
    /// SCTP.
    Sctp,
    /// DCCP.
    Dccp,
    /// L2TP over IP.
    L2tp,
    /// Needs a packet filter in the laboratory.
    Firewall,
}

impl Group {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Mptcp => "mptcp",
            Self::IoUring => "io_uring",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Ping => "ping",
            Self::Raw => "raw",
            Self::Packet => "packet",
            Self::Sctp => "sctp",
            Self::Dccp => "dccp",
            Self::L2tp => "l2tp",
            Self::Firewall => "firewall",
        }
    }
}

/// Whom a kind of flow concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It leaves the namespace of its maker: egress.
    Egress,
    /// It stays on loopback or the maker's own addresses: recorded on request only.
    Local,
    /// It looks like a flow and is none.
    NoFlow,
}

/// What the peer does for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerRole {
    /// Nothing.
    Absent,
    /// Accepts connections of this protocol.
    Accepts(i32),
    /// Takes datagrams of this protocol and keeps silent.
    Takes(i32),
    /// Sends datagrams to the maker's port first.
    WritesFirst,
    /// Connects to the maker's port first.
    ConnectsFirst,
}

/// What must be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The protocol.
    pub protocol: Protocol,
    /// The destination address; none if it is not IP.
    pub address: Option<IpAddr>,
    /// The destination port, if the protocol has ports.
    pub port: Option<u16>,
    /// How it ends.
    pub outcome: Outcome,
}

/// What was made, as its maker saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Calls that tried to send or connect.
    pub attempts: u64,
    /// Packets that these calls became, where that is another number.
    pub packets: u64,
    /// Bytes handed over.
    pub bytes_out: u64,
    /// Those of them that are no header which the maker wrote itself.
    pub payload_bytes: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Errno (positive) that the maker was told.
    pub errno: Option<i32>,
    /// The local port.
    pub source_port: Option<u16>,
}

impl Made {
    /// `attempts` that each became one packet.
    pub(super) fn attempts(attempts: u64, bytes_out: u64) -> Self {
        Self {
            attempts,
            packets: attempts,
            bytes_out,
            payload_bytes: bytes_out,
            ..Self::default()
        }
    }

    pub(super) fn with_source_port(self, source_port: Option<u16>) -> Self {
        Self {
            source_port,
            ..self
        }
    }

    /// One call of `bytes_out` bytes that the kernel refused.
    pub(super) fn refused_datagram(bytes_out: usize, errno: i32) -> Self {
        Self {
            packets: 0,
            ..Self::attempts(1, bytes_out as u64)
        }
        .failing_with(Some(errno))
    }

    pub(super) fn failing_with(self, errno: Option<i32>) -> Self {
        Self { errno, ..self }
    }
}

/// Why a flow was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// This kernel or laboratory lacks what the kind needs.
    #[error("not available here: {0}")]
    Lacking(String),
    /// It should have worked.
    #[error("{doing}: {cause}")]
    Broken {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        cause: String,
    },
}

impl NotMade {
    pub(super) fn broken(doing: &'static str, cause: impl fmt::Display) -> Self {
        Self::Broken {
            doing,
            cause: cause.to_string(),
        }
    }
}

/// Where a maker sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The address that the kind is about.
    pub(super) address: IpAddr,
    /// The kind's own port.
    pub(super) port: u16,
}

impl Target {
    pub(super) fn socket_address(self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// The same as an address of an IPv6 socket, IPv4 mapped.
    pub(super) fn mapped(self) -> SocketAddr {
        let address = match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        SocketAddr::new(address.into(), self.port)
    }
}

pub(super) type Maker = fn(Target) -> Result<Made, NotMade>;

/// One kind of flow.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Stable name, such as `udp4-sendmmsg`.
    pub name: &'static str,
    /// What a kernel must have for it.
    pub group: Group,
    /// Whether it is egress.
    pub scope: Scope,
    pub(super) peer: PeerRole,
    protocol: Protocol,
    shows_address: bool,
    has_port: bool,
    outcome: Outcome,
    target: Target,
    make: Maker,
}

impl Kind {
    pub(super) fn new(
        name: &'static str,
        group: Group,
        protocol: Protocol,
        address: impl Into<IpAddr>,
        make: Maker,
    ) -> Self {
        Self {
            name,
            group,
            scope: Scope::Egress,
            peer: PeerRole::Absent,
            protocol,
            shows_address: true,
            has_port: protocol.has_ports(),
            outcome: Outcome::Sent,
            target: Target {
                address: address.into(),
                port: 0,
            },
            make,
        }
    }

    pub(super) fn peer(self, peer: PeerRole) -> Self {
        Self { peer, ..self }
    }

    pub(super) fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    pub(super) fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(super) fn without_address(self) -> Self {
        Self {
            shows_address: false,
            ..self
        }
    }

    /// The same at this port.
    pub(super) fn at_port(mut self, port: u16) -> Self {
        self.target.port = port;
        self
    }

    /// The port that is this kind's own.
    pub fn port(&self) -> u16 {
        self.target.port
    }

    /// Whether both ends must have TCP Fast Open switched on for it.
    pub(super) fn needs_fast_open(&self) -> bool {
        self.name.starts_with("tcp-fastopen")
    }

    /// Whether its maker waits until the peer has written first.
    pub(super) fn is_begun_by_peer(&self) -> bool {
        matches!(self.peer, PeerRole::WritesFirst | PeerRole::ConnectsFirst)
    }

    /// What must be recorded of it, where flows of its scope are recorded.
    pub fn expected(&self) -> Option<Expected> {
        if self.scope == Scope::NoFlow {
            return None;
        }
        Some(Expected {
            protocol: self.protocol,
            address: self.shows_address.then_some(self.target.address),
            port: self.has_port.then_some(self.target.port),
            outcome: self.outcome,
        })
    }

    /// Makes the flow once.
    pub fn make(&self, _: &Isolation) -> Result<Made, NotMade> {
        (self.make)(self.target)
    }
}
