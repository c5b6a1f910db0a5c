//! What several targets need.

pub mod reader;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// Bytes that are taken from the front, piece by piece; whatever is missing is zero.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// At most `length` bytes.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The texts between the NULs of an input.
pub fn texts_of(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// A directory in memory.
pub fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    tempfile::tempdir_in(parent).expect("a directory to work in")
}

/// A host in memory, with the directories that these files lie in.
pub fn host_for(files: &[&str]) -> TempDir {
    let root = scratch();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("a directory in memory");
    }
    root
}

/// Writes the parts of an input, which have NULs between them, to these files; what is left goes to the
/// last.
pub fn write_parts(root: &Path, files: &[&str], input: &[u8]) {
    let mut contents = input.splitn(files.len(), |byte| *byte == 0);
    for file in files {
        fs::write(root.join(file), contents.next().unwrap_or_default()).expect("a file in memory");
    }
}

/// What commands print is of no interest, and would bury what the fuzzer says.
pub fn silence_stdout() {
    let null = File::options().write(true).open("/dev/null");
    null.and_then(|null| rustix::stdio::dup2_stdout(null).map_err(io::Error::from))
        .expect("standard output can be turned away");
}

/// Fails on text that would act on a terminal.
pub fn assert_harmless(text: &str) {
    let acting = text.chars().find(|character| {
        (character.is_control() && *character != '\n')
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
    });
    assert_eq!(acting, None, "{text:?}");
}

/// Nothing in a name needs to be escaped, and nothing reads it as an address.
pub fn assert_is_name(name: &str) {
    assert!((1..=253).contains(&name.len()), "{name:?}");
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    assert!(name.bytes().all(is_plain), "{name:?}");
    assert!(!name.starts_with('.') && !name.ends_with('.') && !name.contains(".."));
    assert!(name.parse::<std::net::IpAddr>().is_err(), "{name:?}");
}
