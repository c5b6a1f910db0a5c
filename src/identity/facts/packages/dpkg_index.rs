//! What dpkg has installed, so that a file's package is found without reading all lists again.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hasher as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::identity::facts::bytes_at;

/// A package of `status`.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub(super) version: Vec<u8>,
    pub(super) architecture: Vec<u8>,
    /// Paths, and the MD5 of what the package put there.
    conffiles: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Installed {
    /// The MD5 of a configuration file as it came.
    pub(super) fn conffile(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.conffiles.iter().find(|(path, _)| path == name);
        found.map(|(_, md5)| md5.as_slice())
    }
}

/// The lists by digests of the paths in them: a host has hundreds of thousands.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<(u64, u32)>,
    /// Names of lists, without `.list`.
    lists: Vec<Vec<u8>>,
    packages: HashMap<Vec<u8>, Vec<Installed>>,
    /// From where, to where, by which package (`:` if by nobody's).
    pub(super) diversions: Vec<[Vec<u8>; 3]>,
}

impl Index {
    pub(super) fn read(place: &Path) -> Option<Self> {
        let packages = packages_in(&bytes_at(&place.join("status"))?);
        let info = place.join("info");
        let mut lists = Vec::new();
        for entry in fs::read_dir(&info).ok()?.filter_map(Result::ok) {
            if let Some(list) = entry.file_name().as_bytes().strip_suffix(b".list") {
                lists.push(list.to_vec());
            }
        }
        lists.sort_unstable();
        let mut entries = Vec::new();
        for (number, list) in (0_u32..).zip(&lists) {
            let Some(lines) = bytes_at(&below(&info, &[list, b".list".as_slice()].concat())) else {
                continue;
            };
            let mut lines = lines.split(|byte| *byte == b'\n').peekable();
            while let Some(line) = lines.next() {
                // Directories stand before what is in them, in every list.
                let is_directory = lines
                    .peek()
                    .and_then(|next| next.strip_prefix(line))
                    .is_some_and(|rest| rest.starts_with(b"/"));
                if !line.is_empty() && !is_directory {
                    entries.push((digest_of(line), number));
                }
            }
        }
        entries.sort_unstable();
        entries.shrink_to_fit();
        Some(Self {
            entries,
            lists,
            packages,
            diversions: diversions_in(&bytes_at(&place.join("diversions")).unwrap_or_default()),
        })
    }

    /// The lists that have a path; a digest that is alike is not enough.
    pub(super) fn lists_with(&self, info: &Path, path: &[u8]) -> Vec<&[u8]> {
        let digest = digest_of(path);
        let start = self.entries.partition_point(|(of, _)| *of < digest);
        self.entries[start..]
            .iter()
            .take_while(|(of, _)| *of == digest)
            .filter_map(|(_, number)| self.lists.get(usize::try_from(*number).ok()?))
            .map(Vec::as_slice)
            .filter(|list| {
                let lines = bytes_at(&below(info, &[list, b".list".as_slice()].concat()));
                lines.is_some_and(|lines| {
                    lines.split(|byte| *byte == b'\n').any(|line| line == path)
                })
            })
            .collect()
    }

    /// The package that a list is of.
    pub(super) fn installed(&self, name: &[u8], architecture: Option<&[u8]>) -> Option<&Installed> {
        let packages = self.packages.get(name)?;
        packages
            .iter()
            .find(|package| architecture.is_none_or(|of| package.architecture == of))
    }
}

pub(super) fn below(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

fn digest_of(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path);
    hasher.finish()
}

/// Three lines each.
fn diversions_in(text: &[u8]) -> Vec<[Vec<u8>; 3]> {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let diversions = lines.chunks_exact(3);
    diversions
        .map(|lines| [lines[0].to_vec(), lines[1].to_vec(), lines[2].to_vec()])
        .collect()
}

/// Paragraphs of fields; a line that begins with a blank goes on with the field above.
fn packages_in(status: &[u8]) -> HashMap<Vec<u8>, Vec<Installed>> {
    let mut packages = HashMap::<Vec<u8>, Vec<Installed>>::new();
    let (mut name, mut package) = (Vec::new(), Installed::default());
    let mut is_in_conffiles = false;
    for line in status.split(|byte| *byte == b'\n').chain([b"".as_slice()]) {
        if line.is_empty() {
            if !name.is_empty() {
                let installed = std::mem::take(&mut package);
                packages
                    .entry(std::mem::take(&mut name))
                    .or_default()
                    .push(installed);
            }
            is_in_conffiles = false;
        } else if let Some(entry) = line.strip_prefix(b" ") {
            if is_in_conffiles {
                package.conffiles.extend(conffile_in(entry));
            }
        } else {
            is_in_conffiles = line == b"Conffiles:";
            if let Some(value) = line.strip_prefix(b"Package: ") {
                name = value.to_vec();
            } else if let Some(value) = line.strip_prefix(b"Version: ") {
                package.version = value.to_vec();
            } else if let Some(value) = line.strip_prefix(b"Architecture: ") {
                package.architecture = value.to_vec();
            }
        }
    }
    packages
}

/// `/etc/x MD5`, and words such as `obsolete`; the path may have blanks.
fn conffile_in(entry: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const DIGITS: usize = 32;
    let words: Vec<&[u8]> = entry.split(|byte| *byte == b' ').collect();
    let is_md5 = |word: &[u8]| word.len() == DIGITS && word.iter().all(u8::is_ascii_hexdigit);
    let at = words.iter().rposition(|word| is_md5(word))?;
    (at > 0).then(|| (words[..at].join(&b' '), words[at].to_vec()))
}
