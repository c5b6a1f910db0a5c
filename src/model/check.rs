//! Whether each kind of flow is really seen, as canary flows proved it.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Outcome, Protocol, Timestamp};

/// What came of one kind of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Recorded as it was made, or left out as it should be.
    Seen,
    /// Recorded, without what a declared blind spot leaves out.
    InPart,
    /// Not recorded, as a declared blind spot says.
    Blind,
    /// Not recorded, or recorded wrongly, though the backend claims to see it.
    Missed,
    /// Not made: this kernel or this place lacks what it needs.
    NotMade,
}

impl Verdict {
    /// All verdicts, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Missed,
        Self::Seen,
        Self::InPart,
        Self::Blind,
        Self::NotMade,
    ];

    /// The word for it in the store and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::InPart => "in_part",
            Self::Blind => "blind",
            Self::Missed => "missed",
            Self::NotMade => "not_made",
        }
    }

    /// What it means to an operator, as half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::InPart => "seen in part, as a blind spot says",
            Self::Blind => "not seen, as a blind spot says",
            Self::Missed => "missed",
            Self::NotMade => "not made here",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.word() == text)
            .ok_or(())
    }
}

/// One kind of flow and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedKind {
    /// Name of the kind, such as `udp4-sendmmsg`.
    pub kind: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Code of the blind spot that explains it.
    pub blind_spot: Option<String>,
    /// Why it was missed or not made.
    pub detail: Option<String>,
}

/// Canary flows that were made while an observer ran, and what it recorded of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelfCheck {
    /// When it was over.
    pub at: Timestamp,
    /// Release of the kernel that ran.
    pub kernel: Option<String>,
    /// The backend that was checked.
    pub backend: String,
    /// Why nothing could be checked.
    pub obstacle: Option<String>,
    /// What came of each kind.
    pub kinds: Vec<CheckedKind>,
}

impl SelfCheck {
    /// How many kinds ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.kinds
            .iter()
            .filter(|kind| kind.verdict == verdict)
            .count()
    }

    /// How many kinds were made.
    pub fn made(&self) -> usize {
        self.kinds.len() - self.count(Verdict::NotMade)
    }
}

/// What was recorded of a canary flow, as far as a person wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAs {
    /// Process id.
    pub pid: Option<u32>,
    /// Executable.
    pub exe: Option<String>,
    /// Protocol.
    pub protocol: Protocol,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Errno of a failure.
    pub errno: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn verdicts_survive_writing_and_reading() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.word().parse(), Ok(verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
