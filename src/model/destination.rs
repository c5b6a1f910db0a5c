//! Where a flow goes.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// An IP protocol number; `None` where it was not seen (a frame, an import that does not say).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub Option<u8>);

impl Protocol {
    /// TCP, 6.
    pub const TCP: Self = Self(Some(6));
    /// UDP, 17.
    pub const UDP: Self = Self(Some(17));
    /// ICMP of IPv4, 1.
    pub const ICMP: Self = Self(Some(1));
    /// ICMP of IPv6, 58. Written `icmp` too: the address tells the two apart.
    pub const ICMPV6: Self = Self(Some(58));
    /// Not known.
    pub const UNKNOWN: Self = Self(None);

    /// Whether its destinations have ports.
    pub fn has_ports(self) -> bool {
        // TCP, UDP, DCCP, SCTP, UDP-Lite.
        matches!(self.0, Some(6 | 17 | 33 | 132 | 136))
    }

    /// Reads what [`Protocol`] writes; `icmp` is that of the family of `address`.
    pub fn parse(text: &str, address: Option<IpAddr>) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        Some(match lower.as_str() {
            "icmp" if address.is_some_and(|address| address.is_ipv6()) => Self::ICMPV6,
            "tcp" | "tcp6" => Self::TCP,
            "udp" | "udp6" => Self::UDP,
            "icmp" => Self::ICMP,
            "icmp6" | "icmpv6" | "ipv6-icmp" => Self::ICMPV6,
            "sctp" => Self(Some(132)),
            "dccp" => Self(Some(33)),
            "udplite" => Self(Some(136)),
            "unknown" | "unknown_transport" => Self::UNKNOWN,
            number => Self(Some(number.parse().ok()?)),
        })
    }

    /// The word for it beside `address`: `tcp`, `udp`, `icmp`, a number, or `unknown`.
    pub fn word(self, address: Option<IpAddr>) -> String {
        match self.0 {
            Some(6) => "tcp".to_owned(),
            Some(17) => "udp".to_owned(),
            Some(1) if !address.is_some_and(|address| address.is_ipv6()) => "icmp".to_owned(),
            Some(58) if address.is_some_and(|address| address.is_ipv6()) => "icmp".to_owned(),
            Some(number) => number.to_string(),
            None => "unknown".to_owned(),
        }
    }
}

/// Where a name came from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// The TLS or QUIC server name of that very flow.
    ServerName,
    /// A DNS answer that was delivered to that process.
    DnsAnswer,
    /// The server name of that very flow, beside an encrypted one: it may be that of a front.
    OuterServerName,
    /// A DNS answer that somebody on the host got.
    HostDnsAnswer,
    /// The same application's earlier name for that address.
    Inferred,
    /// A file that was imported said so.
    Imported,
}

impl NameSource {
    const WORDS: [(Self, &'static str); 6] = [
        (Self::ServerName, "server_name"),
        (Self::DnsAnswer, "dns_answer"),
        (Self::OuterServerName, "outer_server_name"),
        (Self::HostDnsAnswer, "host_dns_answer"),
        (Self::Inferred, "inferred"),
        (Self::Imported, "imported"),
    ];

    /// All sources, best first.
    pub const ALL: [Self; 6] = [
        Self::ServerName,
        Self::DnsAnswer,
        Self::OuterServerName,
        Self::HostDnsAnswer,
        Self::Inferred,
        Self::Imported,
    ];

    /// Where it came from, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ServerName => "the server name in the flow itself",
            Self::DnsAnswer => "a DNS answer to this process, which asked for it",
            Self::OuterServerName => "the server name in the flow itself, perhaps of a front",
            Self::HostDnsAnswer => "a DNS answer to somebody on the host; who asked is not known",
            Self::Inferred => "an earlier name of this application for the address",
            Self::Imported => "the file that was imported",
        }
    }

    /// The word for it in the store and in JSON.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(source, _)| *source == self)
            .map_or("imported", |(_, word)| word)
    }
}

impl FromStr for NameSource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::WORDS
            .iter()
            .find(|(_, word)| *word == text)
            .map(|(source, _)| *source)
            .ok_or(())
    }
}

/// The name that a process asked for, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The name.
    pub text: String,
    /// How it is known.
    pub source: NameSource,
}

/// What a contact is kept for: a name, or an address where no name is known; port; protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The name, if known.
    pub name: Option<String>,
    /// The address, kept only where there is no name.
    pub address: Option<IpAddr>,
    /// The port; none for protocols without ports.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: Protocol,
}

impl fmt::Display for Destination {
    /// `name tcp/443`, `192.0.2.1 udp/53`, `2001:db8::1 icmp`, `(unknown) unknown`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.address) {
            (Some(name), _) => f.write_str(name)?,
            (None, Some(address)) => address.fmt(f)?,
            (None, None) => f.write_str("(unknown)")?,
        }
        write!(f, " {}", self.protocol.word(self.address))?;
        match self.port {
            Some(port) => write!(f, "/{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NameSource, Protocol};

    #[test]
    fn every_protocol_survives_writing_and_reading() {
        for address in [None, "192.0.2.1".parse().ok(), "2001:db8::1".parse().ok()] {
            for protocol in (0..=255)
                .map(|number| Protocol(Some(number)))
                .chain([Protocol(None)])
            {
                let word = protocol.word(address);
                assert_eq!(
                    Protocol::parse(&word, address),
                    Some(protocol),
                    "{word} {address:?}"
                );
            }
        }
    }

    #[test]
    fn a_protocol_that_is_no_protocol_is_refused() {
        assert_eq!(Protocol::parse("256", None), None);
        assert_eq!(Protocol::parse("tpc", None), None);
    }

    #[test]
    fn name_sources_survive() {
        for (source, word) in NameSource::WORDS {
            assert_eq!(word.parse(), Ok(source));
            assert_eq!(serde_json::to_value(source).unwrap(), word);
        }
    }
}
