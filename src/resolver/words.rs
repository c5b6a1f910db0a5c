//! Words and addresses of files that anybody may have written.

use std::net::IpAddr;

/// No name, option or path in these files is longer.
const LONGEST_WORD: usize = 256;

/// Words, as many as there is room for.
#[derive(Debug)]
pub(super) struct Taken {
    words: Vec<String>,
    most: usize,
    left_out: u64,
}

impl Taken {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            words: Vec::new(),
            most,
            left_out: 0,
        }
    }

    /// Takes the words that are left on a line, up to a comment.
    pub(super) fn extend<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words.take_while(|word| !word.starts_with(['#', ';'])) {
            if self.words.len() < self.most && word.len() <= LONGEST_WORD {
                self.words.push(word.to_owned());
            } else {
                self.left_out += 1;
            }
        }
    }

    /// Forgets what was taken: a list in a file begins anew.
    pub(super) fn clear(&mut self) {
        self.words.clear();
    }

    pub(super) fn into_words(self, left_out: &mut u64) -> Vec<String> {
        *left_out += self.left_out;
        self.words
    }
}

/// The address that a word is; a zone (`fe80::1%eth0`) is dropped.
pub(super) fn address_of(word: &str) -> Option<IpAddr> {
    let bare = word.split_once('%').map_or(word, |(address, _)| address);
    bare.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}
