//! Files of the kernel and the host that say who and where: `/proc`, `/etc/passwd` and `/etc/group`.
//!
//! An input is the contents of the files, with a NUL between each two.
#![no_main]

use std::path::Path;

use egress_baseline::identity::facts::{
    Accounts, account_named, arguments_of, boot_id, host_name, own_addresses,
};
use harness::{host_for, write_parts};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const FILES: [&str; 8] = [
    "proc/1/net/fib_trie",
    "proc/1/net/if_inet6",
    "etc/passwd",
    "etc/group",
    "proc/1/stat",
    "proc/sys/kernel/hostname",
    "proc/sys/kernel/random/boot_id",
    // The last: its parts have NULs between them.
    "proc/1/cmdline",
];

/// What the seeds say of process 1.
const STARTED: u64 = 12_340_000_000;

thread_local! {
    static HOST: TempDir = host_for(&FILES);
}

fuzz_target!(|input: &[u8]| HOST.with(|host| read(host.path(), input)));

fn read(root: &Path, input: &[u8]) {
    write_parts(root, &FILES, input);
    let addresses = own_addresses(root, 1).expect("the files are there");
    assert!(addresses.len() <= input.len());
    for name in Accounts::of_host(root).names().values() {
        assert!(!name.is_empty() && !name.contains([':', '\n']), "{name:?}");
        drop(account_named(root, name));
    }
    if let Some(arguments) = arguments_of(root, 1, STARTED) {
        assert!(!arguments.words.is_empty() && arguments.words.concat().len() <= 4_096);
    }
    for line in [host_name(root), boot_id(root)].into_iter().flatten() {
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
    }
}
