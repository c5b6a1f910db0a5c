//! The row that is recorded.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Name, Protocol, Timestamp};

/// How attempts ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A connect that has no answer yet.
    Pending,
    /// A connection was established.
    Established,
    /// The peer, or somebody on the way in its name, refused.
    Refused,
    /// No route, or the network reported the destination as unreachable.
    Unreachable,
    /// No answer came before the kernel or the program gave up.
    TimedOut,
    /// This host forbade it (EPERM, EACCES).
    Denied,
    /// A datagram, raw packet or frame was handed to the network; nobody can say what became of it.
    Sent,
    /// A datagram was sent of which nobody knows whether it was an answer: the two may have been
    /// talking before they were watched.
    MaybeReply,
    /// It failed otherwise; the flow carries the errno where it is known.
    Failed,
    /// Not known; counts as made.
    Unknown,
}

impl Outcome {
    /// All outcomes, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Established,
        Self::Sent,
        Self::MaybeReply,
        Self::Unknown,
        Self::Pending,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Denied,
        Self::Failed,
    ];

    /// The word for it in the store, in JSON and in text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Established => "established",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Denied => "denied",
            Self::Sent => "sent",
            Self::MaybeReply => "maybe_reply",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the attempt came to nothing. Such attempts never allow anything.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Refused | Self::Unreachable | Self::TimedOut | Self::Denied | Self::Failed => {
                true
            }
            Self::Pending | Self::Established | Self::Sent | Self::MaybeReply | Self::Unknown => {
                false
            }
        }
    }

    /// The outcome that an errno (positive, Linux numbering) stands for.
    pub fn of_errno(errno: i32) -> Self {
        match errno {
            libc::ECONNREFUSED | libc::ECONNRESET => Self::Refused,
            libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN => {
                Self::Unreachable
            }
            // A blackhole route answers EINVAL, but so does an address that makes no sense.
            libc::ETIMEDOUT => Self::TimedOut,
            libc::EPERM | libc::EACCES => Self::Denied,
            _ => Self::Failed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Outcome {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.word() == text)
            .ok_or(())
    }
}

/// What the first bytes of a flow say, where they do not say which server is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpeningKind {
    /// A ClientHello says that the real one is encrypted inside, or pretends to.
    EncryptedClientHello,
    /// A proxy is asked for the server that is meant (CONNECT, SOCKS).
    Proxy,
    /// A protocol that may go over to TLS later (STARTTLS and its like).
    MayStartTls,
}

impl OpeningKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::EncryptedClientHello, Self::Proxy, Self::MayStartTls];

    /// The word for it in the store and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::EncryptedClientHello => "encrypted_client_hello",
            Self::Proxy => "proxy",
            Self::MayStartTls => "may_start_tls",
        }
    }

    /// What it means to an operator, as half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::EncryptedClientHello => {
                "an encrypted ClientHello: the name may be that of a front"
            }
            Self::Proxy => "a proxy is asked for another server, which is not read",
            Self::MayStartTls => "may go over to TLS later, where no server name is read",
        }
    }
}

impl FromStr for OpeningKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|opening| opening.word() == text)
            .ok_or(())
    }
}

/// The attempts of one process image (and uid, and cgroup) to one destination with one name and
/// one outcome in one flush interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The id that an import gave; the store makes one otherwise.
    pub flow_id: Option<String>,
    /// First attempt.
    pub start: Timestamp,
    /// Last attempt, or the end of the connection.
    pub end: Option<Timestamp>,
    /// The socket's own user id, which is what a firewall matches.
    pub socket_uid: Option<u32>,
    /// Path of the socket's own cgroup, which is what a firewall matches.
    pub socket_cgroup: Option<String>,
    /// Inode of the network namespace that it was sent from.
    pub network_namespace: Option<u32>,
    /// Source port; none if there were several or none.
    pub source_port: Option<u16>,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port; none for protocols without ports.
    pub port: Option<u16>,
    /// Protocol.
    pub protocol: Protocol,
    /// The name that the process asked for.
    pub name: Option<Name>,
    /// What it began with, if that hides which server is meant.
    pub opening: Option<OpeningKind>,
    /// How it ended.
    pub outcome: Outcome,
    /// Errno (positive) of a failure, where it is known.
    pub errno: Option<i32>,
    /// What an import said of the outcome, in its own words.
    pub state: Option<String>,
    /// Attempts; 0 in a row that only adds bytes to a connection of an earlier one.
    pub attempts: u64,
    /// Payload bytes sent; for datagrams the bytes handed over by the program.
    pub bytes_out: Option<u64>,
    /// Payload bytes received.
    pub bytes_in: Option<u64>,
    /// Time from connect to close, summed over the connections that ended in this row.
    pub duration: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::{OpeningKind, Outcome};

    #[test]
    fn outcomes_survive_writing_and_reading() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.word().parse(), Ok(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
        }
    }

    #[test]
    fn openings_survive_writing_and_reading() {
        for opening in OpeningKind::ALL {
            assert_eq!(opening.word().parse(), Ok(opening));
            assert_eq!(serde_json::to_value(opening).unwrap(), opening.word());
        }
    }
}
