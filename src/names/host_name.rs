//! Which texts are names of hosts.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The longest name that DNS can carry, written with dots.
const LONGEST_NAME: usize = 253;

/// The longest part between two dots.
const LONGEST_LABEL: usize = 63;

/// The name of a host, in lower case and without a final dot.
///
/// Letters, digits, hyphens and underscores between dots, and where a program appended a port to the
/// server name, that: nothing in it needs to be escaped anywhere, and nothing in it reads as an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The name that the labels of a DNS name make; none if they make no name of a host.
    pub(super) fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut text = String::new();
        for label in labels {
            let is_fit = (1..=LONGEST_LABEL).contains(&label.len())
                && label
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !is_fit {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.extend(
                label
                    .iter()
                    .map(|byte| char::from(byte.to_ascii_lowercase())),
            );
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_name = !text.is_empty() && text.len() <= LONGEST_NAME && !is_number(last);
        is_name.then(|| Self(text.into()))
    }

    /// The name that a server name of TLS is; an address in place of one is none.
    ///
    /// Some programs append the port. It is kept as it was sent: what the server was asked for is the
    /// whole text, and servers choose by it.
    pub(super) fn of_server_name(bytes: &[u8]) -> Result<Self, NotAName> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAName::Unusable)?;
        if is_address(text) {
            return Err(NotAName::Address);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let name = Self::of_labels(host.as_bytes().split(|byte| *byte == b'.'))
            .ok_or(NotAName::Unusable)?;
        match port {
            None => Ok(name),
            Some(port)
                if port.bytes().all(|byte| byte.is_ascii_digit())
                    && port.parse::<u16>().is_ok() =>
            {
                Ok(Self(format!("{name}:{port}").into()))
            }
            Some(_) => Err(NotAName::Unusable),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies below `domain`.
    pub(super) fn is_below(&self, domain: &str) -> bool {
        self.0
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    }

    /// What is left without the leading labels that begin with an underscore: the host of
    /// `_8443._https.example.org`.
    pub(super) fn without_service(&self) -> Option<Self> {
        let mut rest = self.as_str();
        while rest.starts_with('_') {
            (_, rest) = rest.split_once('.')?;
        }
        Some(Self(rest.into()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a server name is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAName {
    /// It is an address.
    Address,
    /// It has bytes or a length that no name has.
    Unusable,
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, each also with a port.
fn is_address(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// Resolvers read a name whose last label is a number as an address: `127.1`, `0x7f000001`.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::{HostName, NotAName};

    fn sent(text: &str) -> Result<String, NotAName> {
        HostName::of_server_name(text.as_bytes()).map(|name| name.to_string())
    }

    #[test]
    fn names_are_lower_case_and_without_a_final_dot() {
        for (text, name) in [
            ("example.org", "example.org"),
            ("WWW.Example.ORG.", "www.example.org"),
            ("localhost", "localhost"),
            ("a_b-c.example", "a_b-c.example"),
            ("1.example", "1.example"),
            ("server4:443", "server4:443"),
        ] {
            assert_eq!(sent(text).as_deref(), Ok(name));
        }
    }

    #[test]
    fn an_address_in_place_of_a_server_name_is_no_name() {
        for text in [
            "192.0.2.1",
            "192.0.2.1:443",
            "2001:db8::1",
            "[2001:db8::1]",
            "[2001:db8::1]:443",
            "::ffff:192.0.2.1",
        ] {
            assert_eq!(sent(text), Err(NotAName::Address), "{text}");
        }
    }

    #[test]
    fn what_no_host_is_called_is_refused() {
        let long = format!("{}.org", "a".repeat(64));
        let longer = ["abcdefg"; 40].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\0b",
            "a\nb",
            "a\u{1b}[31m",
            "b\u{fc}cher.example",
            "127.1",
            "0x7f000001",
            "example.org:",
            "example.org:https",
            "example.org:99999",
            "example.org:+1",
            "a:b:1",
            &long,
            &longer,
        ] {
            assert_eq!(sent(text), Err(NotAName::Unusable), "{text:?}");
        }
        assert_eq!(
            HostName::of_server_name(b"\xff.org"),
            Err(NotAName::Unusable)
        );
        let dotted: [&[u8]; 2] = [b"a.b", b"org"];
        assert_eq!(HostName::of_labels(dotted.into_iter()), None);
    }
}
