//! How a host resolves names, from files that anybody may have written.
#![expect(
    clippy::unwrap_used,
    reason = "a tree of files that cannot be made fails the test"
)]

use std::{fs, net::IpAddr, os::unix::fs::symlink, path::Path};

use egress_baseline::{
    model::ResolverConfiguration,
    resolver::{configuration_of, stamp_of},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support_cli::Place;

fn host(files: &[(&str, &str)]) -> TempDir {
    let root = tempdir().unwrap();
    for (path, text) in files {
        put(root.path(), path, text);
    }
    root
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const STUB: &str = "# managed\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch a.example\n\
    search corp.example lan # the last one counts\n";

#[test]
fn a_host_with_resolved_tells_its_stub_and_whom_that_asks() {
    let root = host(&[
        ("run/systemd/resolve/stub-resolv.conf", STUB),
        (
            "run/systemd/resolve/resolv.conf",
            "nameserver 192.0.2.53\nnameserver fe80::1%eth0\n",
        ),
        (
            "etc/systemd/resolved.conf",
            "[Resolve]\n#DNS=9.9.9.9\nFallbackDNS=192.0.2.1 192.0.2.2#dns.example\nLLMNR=no\n",
        ),
        (
            "etc/nsswitch.conf",
            "passwd: files\nhosts:  files resolve [!UNAVAIL=return] dns # usual\n",
        ),
        (
            "etc/hosts",
            "127.0.0.1 localhost\n::1 ip6-localhost\n198.51.100.9\tdb.example db # ours\n0.0.0.0 ads.example\n",
        ),
    ]);
    let target = "../run/systemd/resolve/stub-resolv.conf";
    symlink(target, root.path().join("etc/resolv.conf")).unwrap();
    let read = configuration_of(root.path());
    assert_eq!(read.resolv_conf.as_deref(), Some(target));
    assert_eq!(read.nameservers, addresses(&["127.0.0.53"]));
    assert_eq!(read.options, ["edns0", "trust-ad"]);
    assert_eq!(read.search, ["corp.example", "lan"]);
    assert_eq!(
        read.hosts_sources,
        ["files", "resolve", "[!UNAVAIL=return]", "dns"]
    );
    assert_eq!(read.unseen_sources(), ["resolve"]);
    let resolved = read.resolved.unwrap();
    assert_eq!(resolved.asks, addresses(&["192.0.2.53", "fe80::1"]));
    assert_eq!(
        resolved.fallback_servers,
        ["192.0.2.1", "192.0.2.2#dns.example"]
    );
    assert_eq!(resolved.servers, Vec::<String>::new());
    assert_eq!(resolved.llmnr.as_deref(), Some("no"));
    let lines: Vec<_> = read.hosts.iter().map(|line| line.address).collect();
    assert_eq!(lines, addresses(&["198.51.100.9"]));
    assert_eq!(read.hosts[0].names, ["db.example", "db"]);
    assert_eq!(read.left_out, 0);
}

#[test]
fn drop_ins_come_in_order_of_their_names_and_the_stronger_place_hides_the_weaker() {
    let root = host(&[
        (
            "usr/lib/systemd/resolved.conf",
            "[Resolve]\nDNS=192.0.2.99\n",
        ),
        ("etc/systemd/resolved.conf", "[Resolve]\nDNS=192.0.2.1\n"),
        (
            "etc/systemd/resolved.conf.d/20-more.conf",
            "[Other]\nDNS=192.0.2.66\n[Resolve]\nDNS=192.0.2.2\nDNSOverTLS=yes\n",
        ),
        (
            "usr/lib/systemd/resolved.conf.d/20-more.conf",
            "[Resolve]\nDNS=192.0.2.67\n",
        ),
        (
            "run/systemd/resolved.conf.d/30-late.conf",
            "[Resolve]\nDomains=\nDomains=~corp.example\nDNSOverTLS=no\n",
        ),
        (
            "run/systemd/resolved.conf.d/30-late.txt",
            "[Resolve]\nDNS=192.0.2.68\n",
        ),
    ]);
    let resolved = configuration_of(root.path()).resolved.unwrap();
    assert_eq!(resolved.servers, ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(resolved.domains, ["~corp.example"]);
    assert_eq!(resolved.dns_over_tls.as_deref(), Some("no"));
    // An empty value begins the list anew.
    put(
        root.path(),
        "etc/systemd/resolved.conf.d/40-last.conf",
        "[Resolve]\nDNS=\nDNS=192.0.2.3\n",
    );
    let resolved = configuration_of(root.path()).resolved.unwrap();
    assert_eq!(resolved.servers, ["192.0.2.3"]);
}

#[test]
fn drop_ins_beyond_those_that_are_read_are_counted_and_other_files_take_no_room() {
    let root = host(&[("etc/systemd/resolved.conf", "[Resolve]\n")]);
    let place = "etc/systemd/resolved.conf.d";
    for number in 10..80 {
        put(
            root.path(),
            &format!("{place}/{number}.conf"),
            &format!("[Resolve]\nDomains=d{number}.example\n"),
        );
        put(root.path(), &format!("{place}/{number}.bak"), "[Resolve]\n");
    }
    let read = configuration_of(root.path());
    let domains = read.resolved.unwrap().domains;
    // There is room for some of the domains, in the order of the files; 64 of these were read.
    assert_eq!(domains.first().map(String::as_str), Some("d10.example"));
    let of_files = (80 - 10) - 64;
    let of_words = 64 - domains.len() as u64;
    assert_eq!(read.left_out, of_files + of_words);
}

#[test]
fn a_host_without_any_of_the_files_is_no_error() {
    let root = tempdir().unwrap();
    assert_eq!(
        configuration_of(root.path()),
        ResolverConfiguration::default()
    );
}

#[test]
fn whatever_the_files_hold_is_bounded_and_what_has_no_room_is_counted() {
    let servers = "nameserver 192.0.2.1\n".repeat(20) + "nameserver what\n\u{1b}[2J\n";
    let hosts = "198.51.100.1 a b c d e f g h i j\nnobody here\n".to_owned()
        + &"198.51.100.2 x\n".repeat(200)
        + &"0.0.0.0 blocked.example\n".repeat(9_000);
    let long = "x".repeat(300);
    let root = host(&[
        ("etc/resolv.conf", &(servers + &format!("search {long}\n"))),
        ("etc/hosts", &hosts),
        (
            "etc/nsswitch.conf",
            &format!("hosts: {}\n", "dns ".repeat(40)),
        ),
    ]);
    let read = configuration_of(root.path());
    assert_eq!(read.nameservers.len(), 16);
    assert_eq!(read.hosts.len(), 128);
    assert_eq!(read.hosts[0].names.len(), 8);
    assert_eq!(read.hosts_sources.len(), 32);
    assert_eq!(read.search, Vec::<String>::new());
    // Servers, one that is none, a line; a long word; names, a line that is none, lines, a file that
    // is longer than is read; sources.
    assert_eq!(read.left_out, (4 + 1 + 1) + 1 + (2 + 1 + 73 + 1) + 8);
    // What is no plain file is not waited for.
    fs::remove_file(root.path().join("etc/hosts")).unwrap();
    let fifo = root.path().join("etc/hosts");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(configuration_of(root.path()).hosts.len(), 0);
    fs::write(root.path().join("etc/resolv.conf"), [0xff; 4_000]).unwrap();
    assert_eq!(configuration_of(root.path()).nameservers.len(), 0);
}

#[test]
fn a_change_of_any_file_shows() {
    let root = host(&[
        ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
        ("etc/systemd/resolved.conf.d/a.conf", "[Resolve]\n"),
    ]);
    let mut before = stamp_of(root.path());
    assert_eq!(stamp_of(root.path()), before);
    for (path, text) in [
        ("etc/resolv.conf", "nameserver 192.0.2.22\n"),
        ("etc/nsswitch.conf", "hosts: files\n"),
        ("etc/hosts", "198.51.100.1 a\n"),
        ("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.2\n"),
        ("etc/systemd/resolved.conf.d/a.conf", "[Resolve]\nDNS=\n"),
        ("run/nscd/socket", ""),
    ] {
        put(root.path(), path, text);
        let after = stamp_of(root.path());
        assert_ne!(after, before, "{path}");
        before = after;
    }
}

const WATCHED: &str = r#"{"kind":"store","id":"0123456789abcdef","last_flow":0}
{"kind":"watch_period","id":1,"origin":"observe","host":"web1","boot_id":null,"program_version":"0.1.0","backend":"kprobe","backend_failures":[],"blind_spots":[],"settings":RESOLVERS,"source":null,"started":"2026-11-20T06:00:00Z","covered_until":"2026-11-20T07:00:00Z","ended":"2026-11-20T07:00:00Z"}
"#;

#[test]
fn status_tells_it_in_one_line_and_as_json() {
    let resolvers = serde_json::json!({"resolvers": [
        {"at": "2026-11-20T06:00:00Z", "nameservers": ["192.0.2.1"]},
        {
            "at": "2026-11-20T06:30:00Z",
            "nameservers": ["127.0.0.53"],
            "resolved": {"asks": ["192.0.2.53"]},
            "hosts_sources": ["files", "mdns4_minimal", "[NOTFOUND=return]", "dns", "\u{1b}[2J"],
            "has_nscd": true,
            "of_a_later_version": 1,
        },
    ]});
    let place = Place::with(&WATCHED.replace("RESOLVERS", &resolvers.to_string()));
    let text = place.run(&["status"]).told();
    let line = text.lines().find(|line| line.starts_with("Resolver"));
    insta::assert_snapshot!(line.unwrap_or(&text), @r"Resolver  127.0.0.53 (systemd-resolved asks 192.0.2.53), hosts from files mdns4_minimal [NOTFOUND=return] dns \u{1b}[2J: names through mdns4_minimal \u{1b}[2J nscd are known of the host only");
    let status: Value =
        serde_json::from_str(&place.run(&["status", "--format", "json"]).told()).unwrap();
    assert_eq!(status["resolver"]["at"], "2026-11-20T06:30:00Z");
    assert_eq!(status["resolver"]["nameservers"][0], "127.0.0.53");
    assert_eq!(status["resolver"]["resolved"]["asks"][0], "192.0.2.53");
    // Another's settings, or an older version's, say nothing.
    for settings in ["{}", r#"{"resolvers":7}"#, r#"{"resolvers":[{"at":1}]}"#] {
        let place = Place::with(&WATCHED.replace("RESOLVERS", settings));
        let text = place.run(&["status"]).told();
        assert!(!text.contains("Resolver"), "{text}");
    }
}
