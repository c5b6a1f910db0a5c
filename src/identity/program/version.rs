//! Versions within names of directories and files.

use std::net::Ipv4Addr;

/// What stands for a folded part. As a glob it matches what it replaced.
pub(super) const FOLDED: &str = "*";

/// How much of a version a chunk must be to be taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// A number, where only versions stand.
    Number,
    /// `1.2`.
    OneDot,
    /// `1.2.3`: below `/usr` packages keep several lines of a library side by side under `1.2`.
    TwoDots,
}

impl Proof {
    fn dots(self) -> usize {
        match self {
            Self::Number => 0,
            Self::OneDot => 1,
            Self::TwoDots => 2,
        }
    }
}

/// Words that may follow a version and are part of it.
const STAGES: [&str; 13] = [
    "alpha", "beta", "canary", "dev", "final", "ga", "insider", "nightly", "pre", "preview", "rc",
    "release", "snapshot",
];

/// `app-1.2.3-rc1-linux` → `app-*-linux`, or `None` if there is no version in it.
pub(super) fn without_version(component: &str, proof: Proof) -> Option<String> {
    // A directory that is named after a host is no version of it.
    if component.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    let mut folded = String::with_capacity(component.len());
    let mut is_after_version = false;
    let mut has_version = false;
    for (separator, chunk) in chunks_of(component) {
        if is_after_version && belongs_to_version(chunk) {
            continue;
        }
        folded.push_str(separator);
        // A number is believed once: `1091-linux-64` ends in an architecture.
        let proof = if has_version {
            proof.max(Proof::OneDot)
        } else {
            proof
        };
        is_after_version = chunk == FOLDED || is_version(chunk, proof);
        if is_after_version {
            has_version = true;
            folded.push_str(FOLDED);
        } else {
            folded.push_str(chunk);
        }
    }
    has_version.then_some(folded)
}

/// Whether there is nothing but a version, or what stands for one.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// As short as tools cut a commit.
pub(super) fn is_hash(text: &str) -> bool {
    const SHORTEST: usize = 7;
    text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The parts between `-` and `@`, each with what stands before it; and between `_` where a version
/// follows, since `x86_64` is one word.
fn chunks_of(component: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(component);
    let mut separator = "";
    std::iter::from_fn(move || {
        let text = rest?;
        let before = separator;
        let end = text.char_indices().find_map(|(at, character)| {
            let follows = || {
                let next = &text[at + 1..];
                is_version(&next[..next.find('-').unwrap_or(next.len())], Proof::OneDot)
            };
            let is_end = match character {
                '-' | '@' => true,
                '_' => follows(),
                _ => false,
            };
            is_end.then_some(at)
        });
        match end {
            Some(end) => {
                separator = &text[end..=end];
                rest = Some(&text[end + 1..]);
                Some((before, &text[..end]))
            }
            None => {
                rest = None;
                Some((before, text))
            }
        }
    })
}

/// `1.2.3`, `v1.2`, `1.2.3rc1`, `20.1.0+build.7`.
fn is_version(chunk: &str, proof: Proof) -> bool {
    let text = chunk.strip_prefix(['v', 'V']).unwrap_or(chunk);
    let mut dots = 0;
    let mut rest = text;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        rest = &rest[digits..];
        match rest.strip_prefix('.') {
            Some(after) if after.starts_with(|next: char| next.is_ascii_digit()) => {
                dots += 1;
                rest = after;
            }
            _ => break,
        }
    }
    let is_suffix = rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._+~".contains(&byte));
    // A number is all that there is: `7zip` is a name.
    let is_proven = dots >= proof.dots() && (dots > 0 || rest.is_empty());
    is_proven && is_suffix
}

/// What follows a version and changes with it: a build number, a stage, a commit.
fn belongs_to_version(chunk: &str) -> bool {
    let chunk = without_architecture(chunk);
    let is_build = chunk.starts_with(|first: char| first.is_ascii_digit())
        && chunk
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let lower = chunk.to_ascii_lowercase();
    let is_stage = STAGES.iter().any(|stage| {
        lower.strip_prefix(stage).is_some_and(|rest| {
            rest.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
    });
    let is_commit = |text: &str| is_hash(text) && text.bytes().any(|byte| byte.is_ascii_digit());
    // `git describe` writes the commit after a `g`.
    is_build
        || is_release(chunk)
        || is_stage
        || is_commit(chunk)
        || chunk.strip_prefix('g').is_some_and(is_commit)
}

/// `2.el8`, `1.fc39`, `0+deb12u1`, `1ubuntu3`: which build of a version a distribution has.
fn is_release(chunk: &str) -> bool {
    const DISTRIBUTIONS: [&str; 11] = [
        "alt", "amzn", "bp", "deb", "el", "fc", "lp", "mga", "oe", "suse", "ubuntu",
    ];
    let name = chunk.trim_start_matches(|first: char| {
        first.is_ascii_digit() || matches!(first, '.' | '+' | '~')
    });
    DISTRIBUTIONS.iter().any(|distribution| {
        name.strip_prefix(distribution)
            .is_some_and(|number| number.starts_with(|next: char| next.is_ascii_digit()))
    })
}

/// Packages of rpm have it behind their release.
fn without_architecture(chunk: &str) -> &str {
    const ARCHITECTURES: [&str; 6] = [
        ".aarch64", ".i686", ".noarch", ".ppc64le", ".s390x", ".x86_64",
    ];
    let end = ARCHITECTURES.iter().find_map(|end| chunk.strip_suffix(end));
    end.unwrap_or(chunk)
}
