//! `explain` of what ran, from a database.
#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read fails the test"
)]

use egress_baseline::{
    model::{FileFacts, FileRole, FileSeen, Ownership, Package, PackageCheck, Timestamp},
    report::{
        Layout,
        explain::{AroundFlow, explain_flow},
        explain_text::write_flow,
        files::explain_files,
    },
    store::Reader,
};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::support_cli::{OBSERVED, Place};

const HOSTILE: &str = "/tmp/\u{1b}[2Jevil\u{202e}gpj";

/// What ran behind the flows of the fixture: apt's method in two versions of which the second was
/// written to, and a script with a hostile name.
fn with_files() -> String {
    let file = |id: u64, version: &str, digit: &str, check: &str| {
        json!({"kind": "file", "id": id, "host": "web1", "path": "/usr/lib/apt/methods/http",
            "device": 8_388_609, "inode": 4_710 + id, "size": 51_200,
            "changed": "2026-11-01T10:00:00Z", "sha256": digit.repeat(64), "mode": 0o755,
            "owner_uid": 0, "owner_gid": 0, "ownership": "packaged",
            "package": {"manager": "dpkg", "name": "apt", "version": version,
                "architecture": "amd64", "check": check}})
    };
    let script = json!({"kind": "file", "id": 3, "host": "web1", "path": HOSTILE,
        "no_sha256": "too_large", "mode": 0o4757, "owner_uid": 1000, "owner_gid": 1000,
        "capabilities": "2000", "place": "temporary", "writable_by_all": HOSTILE,
        "ownership": "unowned"});
    let uses = |file: u64, role: &str, day: u64| {
        json!({"kind": "file_use", "file_id": file, "identity_id": 1, "role": role,
            "first": format!("2026-11-{day}T06:03:12Z"), "last": format!("2026-11-{day}T06:03:13Z")})
    };
    let name = json!({"kind": "name_address", "store": "0123456789abcdef", "host": "web1",
        "name": "mirror\u{1b}.example.org", "address": "192.0.2.80", "first": "2026-11-20T06:00:00Z",
        "last": "2026-11-20T07:00:00Z", "attempts": 7});
    let mut lines: Vec<String> = Vec::new();
    for line in OBSERVED.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        if value["kind"] == "process" {
            value["exe_file_id"] = json!(2);
            value["script_file_id"] = json!(3);
            value["tty"] = json!("pts0");
            value["audit_session"] = json!(3);
            for record in [
                file(1, "2.6.1", "a", "matches"),
                file(2, "2.6.1", "b", "differs"),
                script.clone(),
            ] {
                lines.push(record.to_string());
            }
        }
        let is_identity = value["kind"] == "identity" && value["id"] == 1;
        lines.push(value.to_string());
        if is_identity {
            for record in [
                uses(1, "executable", 20),
                uses(2, "executable", 21),
                uses(3, "script", 21),
            ] {
                lines.push(record.to_string());
            }
        }
    }
    lines.push(name.to_string());
    lines.join("\n")
}

#[test]
fn a_flow_is_explained_with_the_files_that_ran_and_the_source_of_each_statement() {
    let place = Place::with(&with_files());
    let told = place.run(&["explain", "0123456789abcdef-2"]).told();
    let (_, told) = told.split_once("Bytes").unwrap();
    let (told, _) = told.split_once("Identity at").unwrap();
    insta::assert_snapshot!(told, @r"
            400 B out, 4.0 kB in
    Called so by
      context  unit by its cgroup: cgroup /system.slice/apt-daily.service
      program  path of the executable
    Process
      pid          1234
      started      2026-11-20 06:03:00
      executable   /usr/lib/apt/methods/http
                   device 8:1, inode 4711
      command      http
      arguments    /usr/lib/apt/methods/http
      directory    /
      parents      apt-get (1200) ← systemd (1)
      users        uid 42, euid 42, audit session 3
      terminal     pts0
      cgroup       /system.slice/apt-daily.service
      namespaces   net 4026531840, mnt 4026531841, pid 4026531836, user 4026531837
      interactive  yes: terminal pts0, login session 3 (audit)
    File of the executable
      path     /usr/lib/apt/methods/http
      package  apt 2.6.1 amd64 (by dpkg), BUT THE FILE IS NOT WHAT THE PACKAGE PUT THERE
      changed  THE CONTENT, AND NOT THE VERSION OF ITS PACKAGE (SHA-256 before: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)
      SHA-256  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      file     device 8:1, inode 4712, 51 kB, changed 2026-11-01 10:00:00
      mode     0755, of uid 0, gid 0
      ran      2026-11-21 06:03:12 to 2026-11-21 06:03:13
    File of the script
      path     /tmp/\u{1b}[2Jevil\u{202e}gpj
      package  none: no package has this file
      SHA-256  not known: larger than files that are read
      mode     4757, setuid, of uid 1000, gid 1000
      gives    capabilities cap_net_raw
      place    a directory for temporary files: everybody may put one there
               everybody may write to /tmp/\u{1b}[2Jevil\u{202e}gpj
      ran      2026-11-21 06:03:12 to 2026-11-21 06:03:13
    ");
}

#[test]
fn an_application_shows_each_version_and_what_changed_without_its_package() {
    let place = Place::with(&with_files());
    let told = place.run(&["explain", "/usr/lib/apt/methods/http"]).told();
    assert_eq!(told.matches("File of the executable").count(), 2);
    assert_eq!(told.matches("BUT THE FILE IS NOT WHAT").count(), 1);
    assert_eq!(told.matches("THE CONTENT, AND NOT THE VERSION").count(), 1);
    assert!(told.contains("ring_full"), "{told}");
    assert!(
        !told.contains('\u{1b}') && !told.contains('\u{202e}'),
        "{told}"
    );
}

#[test]
fn json_carries_files_names_losses_and_rules_as_they_are() {
    let place = Place::with(&with_files());
    let words = ["explain", "0123456789abcdef-2", "--format", "json"];
    let flow: Value = serde_json::from_str(&place.run(&words).told()).unwrap();
    assert_eq!(flow["reasons"][0]["part"], "context");
    assert_eq!(
        flow["reasons"][0]["evidence"][0],
        "cgroup /system.slice/apt-daily.service"
    );
    let files = flow["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0]["package"]["check"], "differs");
    assert_eq!(files[0]["flags"], json!(["differs_from_package"]));
    assert_eq!(files[0]["change"]["how"], "without_package");
    assert_eq!(files[0]["change"]["earlier_sha256"], "a".repeat(64));
    assert_eq!(files[1]["path"], HOSTILE);
    assert_eq!(
        files[1]["flags"],
        json!([
            "no_package",
            "temporary_place",
            "writable_by_all",
            "setuid",
            "capabilities"
        ])
    );
    assert_eq!(flow["interactive"]["is_interactive"], true);
    assert_eq!(flow["other_names"][0]["name"], "mirror\u{1b}.example.org");
    assert_eq!(flow["other_names"][0]["attempts"], 7);
    assert_eq!(flow["losses_meanwhile"], json!([]));
    let words = ["explain", "0123456789abcdef-3", "--format", "json"];
    let flow: Value = serde_json::from_str(&place.run(&words).told()).unwrap();
    // The loss was over three minutes before.
    assert_eq!(flow["losses_meanwhile"], json!([]));
}

#[test]
fn a_loss_while_the_flow_went_on_is_told_with_it() {
    let lines = with_files().replace("2026-11-21T06:00:10Z", "2026-11-21T06:03:12.5Z");
    let place = Place::with(&lines);
    let told = place.run(&["explain", "0123456789abcdef-2"]).told();
    assert!(
        told.contains("Lost on this host meanwhile\n  ring_full  34 attempts"),
        "{told}"
    );
}

#[test]
fn explanations_keep_to_the_columns_of_a_terminal() {
    let place = Place::with(&with_files());
    let reader = Reader::open(&place.path().join("flows.db")).unwrap();
    let recorded = reader.flow("0123456789abcdef-2").unwrap().unwrap();
    let files = reader.files_of_flow(&recorded).unwrap();
    assert_eq!(files.len(), 2);
    for columns in [80, 110] {
        let around = AroundFlow {
            reasons: egress_baseline::identity::reasons_of(&recorded.identity),
            files_of_application: files.clone(),
            files: files.clone(),
            ..AroundFlow::default()
        };
        let explained = explain_flow(&recorded, None, around);
        let mut text = Vec::new();
        let layout = Layout {
            width: Some(columns),
            ..Layout::default()
        };
        write_flow(&explained, layout, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut wide = 0;
        for line in anstream::adapter::strip_str(&text).to_string().lines() {
            // A word that is longer than that has a line of its own.
            let is_one_word = line.split_whitespace().count() <= 2;
            assert!(line.width() <= columns || is_one_word, "{columns}: {line}");
            wide = wide.max(line.width());
        }
        assert!(wide > 60, "{text}");
    }
}

fn seen(day: i64, sha256: Option<&str>, version: Option<&str>) -> FileSeen {
    let at = Timestamp::from_unix_ns(day * 86_400_000_000_000);
    FileSeen {
        role: FileRole::Executable,
        first: at,
        last: at,
        file: FileFacts {
            path: "/usr/bin/tool".to_owned(),
            inode: Some(day.unsigned_abs()),
            sha256: sha256.map(str::to_owned),
            ownership: match version {
                Some(_) => Ownership::Packaged,
                None => Ownership::Unowned,
            },
            package: version.map(|version| Package {
                manager: "dpkg".to_owned(),
                name: "tool".to_owned(),
                version: Some(version.to_owned()),
                architecture: None,
                check: PackageCheck::Matches,
            }),
            ..FileFacts::default()
        },
    }
}

#[test]
fn what_changed_is_told_against_the_version_that_ran_before() {
    let how = |files: &[FileSeen]| -> Vec<Option<&'static str>> {
        let explained = explain_files(files);
        explained
            .iter()
            .map(|file| file.change.as_ref().map(|change| change.how))
            .collect()
    };
    let (one, two) = (Some("1"), Some("2"));
    assert_eq!(
        how(&[
            seen(1, Some("a"), one),
            seen(2, Some("b"), two),
            seen(3, Some("c"), two),
            // Back to what it was: that is a change too.
            seen(4, Some("b"), two),
        ]),
        [
            None,
            Some("with_package"),
            Some("without_package"),
            Some("without_package")
        ]
    );
    assert_eq!(
        how(&[seen(1, Some("a"), None), seen(2, Some("b"), None)]),
        [None, Some("unpackaged")]
    );
    assert_eq!(
        how(&[seen(1, Some("a"), one), seen(2, None, one)]),
        [None, Some("unknown")]
    );
    // The same content at another place of the disk is no change.
    assert_eq!(
        how(&[seen(1, Some("a"), one), seen(2, Some("a"), one)]),
        [None, None]
    );
}
