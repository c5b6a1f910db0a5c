//! Files that say how names are resolved, which administrators and network managers write.
//!
//! An input is the contents of the files, with a NUL between each two.
#![no_main]

use std::path::Path;

use egress_baseline::{
    model::ResolverConfiguration,
    resolver::{configuration_of, stamp_of},
};
use harness::{host_for, write_parts};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const FILES: [&str; 6] = [
    "etc/resolv.conf",
    "etc/nsswitch.conf",
    "etc/hosts",
    "etc/systemd/resolved.conf",
    "run/systemd/resolve/resolv.conf",
    "etc/systemd/resolved.conf.d/50-more.conf",
];

/// Far below what a database should hold of one host's configuration.
const LARGEST: usize = 1 << 19;

thread_local! {
    static HOST: TempDir = host_for(&FILES);
}

fuzz_target!(|input: &[u8]| HOST.with(|host| read(host.path(), input)));

fn read(root: &Path, input: &[u8]) {
    write_parts(root, &FILES, input);
    let found = configuration_of(root);
    assert!(found.nameservers.len() <= 16 && found.hosts_sources.len() <= 32);
    assert!(found.hosts.len() <= 128);
    for line in &found.hosts {
        assert!(line.names.len() <= 8 && !line.address.is_loopback());
    }
    let text = serde_json::to_string(&found).expect("a configuration has a JSON form");
    assert!(text.len() <= LARGEST, "{} bytes", text.len());
    let again: ResolverConfiguration = serde_json::from_str(&text).expect("it is read again");
    assert_eq!(again, found);
    assert_eq!(stamp_of(root), stamp_of(root));
    assert!(found.unseen_sources().len() <= found.hosts_sources.len() + 1);
}
