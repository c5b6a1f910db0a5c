//! How this host resolves names: read at the start, at each reload, when the files have changed, and on
//! each UTC day.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    model::{DatedResolver, Timestamp},
    resolver::{Stamp, configuration_of, stamp_of},
};

/// How often the files are looked at: names that are asked of another server from now on are news for
/// days, not for seconds.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Configurations of one watch period that are kept, the latest. A laptop that goes from network to
/// network has a few on a day.
const MOST_KEPT: usize = 8;

/// The configurations of a watch period, oldest first.
#[derive(Debug)]
pub(super) struct Resolvers {
    root: &'static Path,
    kept: Vec<DatedResolver>,
    forgotten: u64,
    stamp: Stamp,
    day: i64,
    looked: Instant,
    /// There is one that the store has not.
    has_news: bool,
}

impl Resolvers {
    /// What the files below `root` say at the start of a watch period.
    pub(super) fn of(root: &'static Path, now: Timestamp) -> Self {
        let mut resolvers = Self {
            root,
            kept: Vec::new(),
            forgotten: 0,
            stamp: Stamp::new(),
            day: now.day(),
            looked: Instant::now(),
            has_news: false,
        };
        resolvers.read(now);
        resolvers.has_news = false;
        resolvers
    }

    /// Looks at the files if it is time to, and says whether the store has to be told.
    pub(super) fn look(&mut self, now: Timestamp) -> bool {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.day != now.day() || self.stamp != stamp_of(self.root) {
                self.read(now);
            }
        }
        self.has_news
    }

    /// Reads the files.
    pub(super) fn read(&mut self, now: Timestamp) {
        self.day = now.day();
        // Before the files: what changes meanwhile is read again.
        self.stamp = stamp_of(self.root);
        let configuration = configuration_of(self.root);
        let latest = self.kept.last().map(|kept| &kept.configuration);
        if latest == Some(&configuration) {
            return;
        }
        if self.kept.len() >= MOST_KEPT {
            self.kept.remove(0);
            self.forgotten += 1;
        }
        self.kept.push(DatedResolver {
            at: now,
            configuration,
        });
        self.has_news = true;
    }

    /// The store was told.
    pub(super) fn told(&mut self) {
        self.has_news = false;
    }

    /// As they are kept among the settings of the watch period: the list, and how many earlier ones are
    /// not in it any more.
    pub(super) fn settings(&self) -> (Value, u64) {
        (json!(self.kept), self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::Resolvers;
    use crate::model::Timestamp;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn what_was_read_before_is_kept_as_long_as_there_is_room_and_counted_after_that() {
        let directory = tempfile::tempdir().unwrap();
        // Lives as long as the process, as the root of a host does.
        let root: &'static Path = Box::leak(directory.path().into());
        fs::create_dir(root.join("etc")).unwrap();
        let at = |hour: i64| Timestamp::from_unix_ns(hour * HOUR);
        let mut resolvers = Resolvers::of(root, at(0));
        assert!(!resolvers.look(at(0)), "the watch period begins with it");
        for hour in 1..=10 {
            let text = format!("nameserver 192.0.2.{hour}\n");
            fs::write(root.join("etc/resolv.conf"), text).unwrap();
            resolvers.read(at(hour));
            assert!(resolvers.look(at(hour)));
            resolvers.told();
            // The same again is no news.
            resolvers.read(at(hour));
            assert!(!resolvers.look(at(hour)));
        }
        let (kept, forgotten) = resolvers.settings();
        assert_eq!(forgotten, 3);
        assert_eq!(kept.as_array().map(Vec::len), Some(8));
        assert_eq!(kept[7]["nameservers"][0], "192.0.2.10");
        assert_eq!(kept[7]["at"], "1970-01-01T10:00:00Z");
    }
}
