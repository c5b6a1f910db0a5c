//! The database of apk, a text file: `P:` package, `V:` version, `A:` architecture, then `F:` directory,
//! `R:` file in it and `Z:` its checksum.

use std::path::{Path, PathBuf};

use super::{Checksums, Owner};
use crate::{
    identity::facts::bytes_at,
    model::{Package, PackageCheck, text_of_bytes},
};

/// Where it is: from 3.22 on below `/usr` on new hosts.
const PLACES: [&str; 2] = ["usr/lib/apk/db/installed", "lib/apk/db/installed"];

pub(super) fn database(root: &Path) -> Option<PathBuf> {
    PLACES
        .iter()
        .map(|place| root.join(place))
        .find(|path| path.exists())
}

pub(super) fn owner_of(database: &Path, names: &[Vec<u8>], sums: &Checksums<'_>) -> Owner {
    let Some(text) = bytes_at(database) else {
        return Owner::Unreadable;
    };
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    let mut package = Package {
        manager: "apk".to_owned(),
        name: String::new(),
        version: None,
        architecture: None,
        check: PackageCheck::NotListed,
    };
    let mut directory: &[u8] = b"";
    while let Some(line) = lines.next() {
        let Some((field, value)) = line.split_at_checked(2) else {
            package.name.clear();
            directory = b"";
            continue;
        };
        match field {
            b"P:" => package.name = text_of_bytes(value),
            b"V:" => package.version = Some(text_of_bytes(value)),
            b"A:" => package.architecture = Some(text_of_bytes(value)),
            b"F:" => directory = value,
            b"R:" => {
                let path = match directory {
                    b"" => [b"/", value].concat(),
                    directory => [b"/", directory, b"/", value].concat(),
                };
                if !names.contains(&path) {
                    continue;
                }
                // Between the two stand owner and mode, where they are not the usual ones.
                let sum = std::iter::from_fn(|| {
                    lines.next_if(|line| line.starts_with(b"a:") || line.starts_with(b"Z:"))
                })
                .find_map(|line| line.strip_prefix(b"Z:"));
                package.check = check(
                    sum,
                    sums,
                    directory == b"etc" || directory.starts_with(b"etc/"),
                );
                return Owner::Package(package);
            }
            _ => {}
        }
    }
    Owner::Nobody
}

/// `Q1` and the SHA-1 in base64. What lies in `/etc` is kept when it was changed.
fn check(sum: Option<&[u8]>, sums: &Checksums<'_>, is_configuration: bool) -> PackageCheck {
    let Some(listed) = sum.and_then(|sum| sum.strip_prefix(b"Q1")) else {
        return PackageCheck::NotListed;
    };
    match sums.sha1.map(base64_of_hex) {
        None => PackageCheck::Unread,
        Some(own) if own.as_bytes() == listed && is_configuration => PackageCheck::Conffile,
        Some(own) if own.as_bytes() == listed => PackageCheck::Matches,
        Some(_) if is_configuration => PackageCheck::ConffileChanged,
        Some(_) => PackageCheck::Differs,
    }
}

fn base64_of_hex(hex: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0_usize, |bits, (at, byte)| {
            bits | usize::from(*byte) << (16 - 8 * at)
        });
        for at in 0..4 {
            text.push(match at <= three.len() {
                true => char::from(DIGITS[bits >> (18 - 6 * at) & 0x3f]),
                false => '=',
            });
        }
    }
    text
}
