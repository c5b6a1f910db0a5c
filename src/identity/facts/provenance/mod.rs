//! Files that ran: opened, looked at, read and compared with their packages.
//!
//! A file is opened through the process that runs it, where that still lives, so that it is the file
//! that ran and not what has its name by now; device and inode must be those that the kernel told.
//! Reading is slow on purpose, and never waited for.

mod digest;
mod found;
mod place;
mod walk;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use digest::{Digests, Pace, Reading};
use found::{Found, find};
use place::{Homes, place_of};

use super::packages::{Checksums, Owner, Packages};
use crate::model::{
    FileFacts, FileRole, NoDigest, Ownership, PackageCheck, ProcessKey, Timestamp, bytes_of_text,
    text_of_bytes,
};

/// More than the files that run on a host; a full table starts over.
const MOST_KNOWN: usize = 1 << 14;

/// Files that are open at a time, waiting to be read.
const MOST_OPEN: usize = 256;

/// How much is read, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExamineLimits {
    /// Files beyond are not read, bytes.
    pub largest_file: u64,
    /// Bytes that are read in a second, over all files.
    pub bytes_per_second: u64,
    /// Files that may wait to be examined.
    pub waiting: usize,
}

impl Default for ExamineLimits {
    fn default() -> Self {
        Self {
            largest_file: 256_000_000,
            bytes_per_second: 10_000_000,
            waiting: 4_096,
        }
    }
}

/// A file that a process ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileQuestion {
    /// The process image.
    pub process: ProcessKey,
    /// What the file was to it.
    pub role: FileRole,
    /// Its path, as the process had it.
    pub path: String,
    /// The kernel's device number of the executable, also where a script is asked for.
    pub exe_device: u64,
    /// Inode of the executable likewise.
    pub exe_inode: u64,
    /// The process is in another mount namespace than the host.
    pub is_elsewhere: bool,
    /// The executable is not the host's file of that path.
    pub is_foreign: bool,
    /// The executable had no name any more, or never one.
    pub is_nameless: bool,
}

/// Told to whoever examines: no more reading.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Tells it.
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A version of a file: device, inode, size, change time.
type Version = (u64, u64, u64, i64);

/// Whose a version of a file at a path is.
type Owned = (Ownership, Option<crate::model::Package>);

/// A question with its answer.
pub type Answered = (FileQuestion, Arc<FileFacts>);

/// A version of a file that is being read, and who asks for it.
#[derive(Debug)]
struct Pending {
    version: Version,
    reading: Reading,
    questions: Vec<(FileQuestion, Found)>,
}

/// Examines files, each version of one only once.
#[derive(Debug)]
pub struct Examiner {
    root: PathBuf,
    host: String,
    limits: ExamineLimits,
    packages: Packages,
    packages_version: Vec<u64>,
    homes: Homes,
    pace: Pace,
    digests: HashMap<Version, Digests>,
    pending: Vec<Pending>,
    owners: HashMap<(Vec<u8>, Version), Owned>,
    shared: HashSet<Arc<FileFacts>>,
}

impl Examiner {
    /// An examiner of the files of `host`, whose root is `root`.
    pub fn of_host(root: &Path, host: &str, limits: ExamineLimits) -> Self {
        Self {
            root: root.to_owned(),
            host: host.to_owned(),
            limits,
            packages: Packages::of_host(root),
            packages_version: Vec::new(),
            homes: Homes::of_host(root),
            pace: Pace::new(limits.bytes_per_second),
            digests: HashMap::new(),
            pending: Vec::new(),
            owners: HashMap::new(),
            shared: HashSet::new(),
        }
    }

    /// What is known of a file, waited for. Once `stop` is told, what would have to be read stays unread.
    pub fn examine(&mut self, question: &FileQuestion, stop: &Stop) -> Arc<FileFacts> {
        let mut answers = self.take(question.clone(), stop);
        loop {
            if let Some(at) = answers.iter().position(|(of, _)| of == question) {
                return answers.swap_remove(at).1;
            }
            answers = self.go_on(stop);
        }
    }

    /// Takes a question, and opens the file before it may be gone. The answer comes at once where
    /// nothing has to be read, else by [`Examiner::go_on`].
    pub fn take(&mut self, question: FileQuestion, stop: &Stop) -> Vec<Answered> {
        let Some((file, found)) = find(&self.root, &question) else {
            let facts = self.facts_of_nothing(&question);
            return vec![(question, self.share(facts))];
        };
        let version = found.version();
        if let Some(known) = self.digests.get(&version) {
            let known = Ok(known.clone());
            return vec![self.answer(question, &found, known)];
        }
        let same = self.pending.iter_mut().find(|one| one.version == version);
        if let Some(same) = same {
            same.questions.push((question, found));
            return Vec::new();
        }
        let reading = match stop.is_told() {
            true => Err(NoDigest::Stopped),
            false => Reading::begin(&self.root, &file, &found, self.limits.largest_file),
        };
        match reading {
            Ok(reading) => {
                self.pending.push(Pending {
                    version,
                    reading,
                    questions: vec![(question, found)],
                });
                Vec::new()
            }
            Err(why) => vec![self.answer(question, &found, Err(why))],
        }
    }

    /// Reads a piece of the file of which least is left, so that a large one keeps nobody waiting.
    pub fn go_on(&mut self, stop: &Stop) -> Vec<Answered> {
        let next = (0..self.pending.len()).min_by_key(|at| self.pending[*at].reading.left());
        let Some(next) = next else {
            return Vec::new();
        };
        let read = match stop.is_told() {
            true => Some(Err(NoDigest::Stopped)),
            false => self.pending[next].reading.step(&mut self.pace),
        };
        let Some(read) = read else {
            return Vec::new();
        };
        let done = self.pending.swap_remove(next);
        if let Ok(digests) = &read {
            make_room(self.digests.len(), || self.digests.clear());
            self.digests.insert(done.version, digests.clone());
        }
        let questions = done.questions.into_iter();
        questions
            .map(|(question, found)| self.answer(question, &found, read.clone()))
            .collect()
    }

    /// Whether there is a file to go on with.
    pub fn is_reading(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether more questions have to wait where they are.
    pub fn is_full(&self) -> bool {
        let waiting: usize = self.pending.iter().map(|one| one.questions.len()).sum();
        self.pending.len() >= MOST_OPEN || waiting >= self.limits.waiting
    }

    fn answer(
        &mut self,
        question: FileQuestion,
        found: &Found,
        read: Result<Digests, NoDigest>,
    ) -> Answered {
        let facts = self.facts_of(&question, found, read);
        let facts = self.share(facts);
        (question, facts)
    }

    fn share(&mut self, facts: FileFacts) -> Arc<FileFacts> {
        if let Some(known) = self.shared.get(&facts) {
            return Arc::clone(known);
        }
        let facts = Arc::new(facts);
        make_room(self.shared.len(), || self.shared.clear());
        self.shared.insert(Arc::clone(&facts));
        facts
    }

    fn facts_of_nothing(&self, question: &FileQuestion) -> FileFacts {
        let is_executable = question.role == FileRole::Executable;
        FileFacts {
            host: self.host.clone(),
            path: question.path.clone(),
            device: is_executable.then_some(question.exe_device),
            inode: is_executable.then_some(question.exe_inode),
            no_sha256: Some(NoDigest::Gone),
            ownership: match question {
                FileQuestion {
                    is_nameless: true,
                    role: FileRole::Executable,
                    ..
                } => Ownership::NoName,
                FileQuestion {
                    is_foreign: true, ..
                } => Ownership::OtherNamespace,
                _ => Ownership::Gone,
            },
            ..FileFacts::default()
        }
    }

    fn facts_of(
        &mut self,
        question: &FileQuestion,
        found: &Found,
        digest: Result<Digests, NoDigest>,
    ) -> FileFacts {
        let status = found.status;
        let (ownership, package) = self.owner_of(found, digest.as_ref().ok());
        let named = found.named_path.as_deref();
        let path = bytes_of_text(&question.path);
        FileFacts {
            host: self.host.clone(),
            path: question.path.clone(),
            resolved_path: named.filter(|named| **named != *path).map(text_of_bytes),
            device: Some(found.device),
            inode: Some(found.inode),
            size: Some(status.size),
            changed: Some(status.changed),
            no_sha256: digest.as_ref().err().copied(),
            sha256: digest.map(|digests| digests.sha256).ok(),
            mode: Some(status.mode),
            owner_uid: Some(status.uid),
            owner_gid: Some(status.gid),
            capabilities: found.capabilities.clone(),
            place: named.and_then(|named| place_of(named, found.is_hosts, &mut self.homes)),
            writable_by_all: found.writable_by_all.as_deref().map(text_of_bytes),
            ownership,
            package,
        }
    }

    fn owner_of(&mut self, found: &Found, digests: Option<&Digests>) -> Owned {
        let Some(path) = &found.named_path else {
            return (Ownership::NoName, None);
        };
        if !found.is_hosts {
            return (Ownership::OtherNamespace, None);
        }
        let now = self.packages.version();
        if now != self.packages_version {
            self.owners.clear();
            self.packages_version = now;
        }
        let key = (path.clone(), found.version());
        if let Some(known) = self.owners.get(&key) {
            return known.clone();
        }
        let sums = digests.map_or_else(Checksums::default, Digests::sums);
        let owned = match self.packages.owner_of(path, &sums) {
            Owner::Package(package) => (Ownership::Packaged, Some(package)),
            Owner::Nobody => (Ownership::Unowned, None),
            Owner::Unreadable => (Ownership::DatabaseUnreadable, None),
            Owner::NoDatabase => (Ownership::NoDatabase, None),
            Owner::Unsettled => (Ownership::Unsettled, None),
        };
        if is_final(&owned) {
            make_room(self.owners.len(), || self.owners.clear());
            self.owners.insert(key, owned.clone());
        }
        owned
    }
}

fn is_final((ownership, package): &Owned) -> bool {
    let check = package.as_ref().map(|package| package.check);
    !matches!(
        ownership,
        Ownership::Unsettled | Ownership::DatabaseUnreadable
    ) && !matches!(check, Some(PackageCheck::Unsettled | PackageCheck::Unread))
}

fn make_room(length: usize, clear: impl FnOnce()) {
    if length >= MOST_KNOWN {
        clear();
    }
}

/// What `stat` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    size: u64,
    changed: Timestamp,
    /// When its content changed last, as far as its owner says.
    written: Timestamp,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Found {
    fn version(&self) -> Version {
        let status = self.status;
        (
            self.device,
            self.inode,
            status.size,
            status.changed.unix_ns(),
        )
    }
}
