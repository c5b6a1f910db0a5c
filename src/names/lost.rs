//! What could not be named for want of room or sense, by cause.

/// Why a name may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// A query that was given up for newer ones: its answer counts as unproven.
    QueriesFull,
    /// A name that an asker was told, given up for newer ones.
    AnswersFull,
    /// A name that somebody on the host was told, given up for newer ones.
    HostAnswersFull,
    /// A name that went because the address has more names than are kept.
    SharedAddressFull,
    /// A DNS message of which not everything could be read.
    MessageUnreadable,
    /// A DNS connection of which nothing more is read: it stopped within a message, or there were too
    /// many such.
    DnsStreamDropped,
    /// A name with bytes or a length that no name of a host has, or one that is not multicast DNS's to
    /// give away.
    NameUnusable,
    /// The opening of a flow, given up for newer ones.
    OpeningsFull,
    /// The opening of a flow that was never complete.
    OpeningUnfinished,
    /// A ClientHello that is longer than is read.
    OpeningTooLong,
    /// An opening that began like TLS or QUIC and made no sense.
    OpeningUnreadable,
    /// That a flow's opening had been read, given up for newer ones.
    OpeningForgotten,
}

impl Lost {
    /// All causes.
    pub const ALL: [Self; 12] = [
        Self::QueriesFull,
        Self::AnswersFull,
        Self::HostAnswersFull,
        Self::SharedAddressFull,
        Self::MessageUnreadable,
        Self::DnsStreamDropped,
        Self::NameUnusable,
        Self::OpeningsFull,
        Self::OpeningUnfinished,
        Self::OpeningTooLong,
        Self::OpeningUnreadable,
        Self::OpeningForgotten,
    ];
}

/// How often each of them happened.
#[derive(Debug, Default)]
pub(super) struct Counts([u64; Lost::ALL.len()]);

impl Counts {
    pub(super) fn add(&mut self, cause: Lost, times: u64) {
        let count = &mut self.0[cause as usize];
        *count = count.saturating_add(times);
    }

    pub(super) fn add_if(&mut self, happened: bool, cause: Lost) {
        self.add(cause, u64::from(happened));
    }

    /// What happened since the last time that this was asked.
    pub(super) fn take(&mut self) -> Vec<(Lost, u64)> {
        let counts = std::mem::take(&mut self.0);
        Lost::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Lost};

    #[test]
    fn each_cause_has_a_count_of_its_own() {
        let mut counts = Counts::default();
        for (times, cause) in (1..).zip(Lost::ALL) {
            counts.add(cause, times);
        }
        counts.add_if(false, Lost::QueriesFull);
        let expected: Vec<_> = Lost::ALL.into_iter().zip(1..).collect();
        assert_eq!(counts.take(), expected);
        assert_eq!(counts.take(), []);
    }
}
