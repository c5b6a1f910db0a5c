//! Secrets in command lines: where the rule says that one goes, it goes, whatever stands around it.
//!
//! The first byte picks how the secret is given, the second where; the rest are the other
//! arguments, with a NUL between each two.
#![no_main]

use egress_baseline::identity::{redact_argv, redact_line};
use harness::{Bytes, texts_of};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zq7hunter2Zq7";

const WAYS: [&[&str]; 13] = [
    &["--password", SECRET],
    &["--password=Zq7hunter2Zq7"],
    &["PGPASSWORD=Zq7hunter2Zq7"],
    &["https://bob:Zq7hunter2Zq7@host.example/x"],
    &["postgres://bob:Zq7hunter2Zq7@db.example/shop?sslmode=require"],
    &["Authorization: Bearer Zq7hunter2Zq7"],
    &["--token", SECRET],
    &["curl", "-u", "bob:Zq7hunter2Zq7"],
    &["mysql", "-pZq7hunter2Zq7"],
    &["sshpass", "-p", SECRET],
    &["{\"password\": \"Zq7hunter2Zq7\"}"],
    &["ghp_Zq7hunter2Zq7Zq7hunter2Zq7"],
    &["smtp.login('bob', 'Zq7hunter2Zq7')"],
];

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let way = WAYS[usize::from(input.byte()) % WAYS.len()];
    let position = usize::from(input.byte());
    let others = texts_of(input.0);
    if others.iter().any(|word| word.contains("hunter2")) {
        return;
    }
    let position = position % (others.len() + 1);
    let mut words = others.clone();
    words.splice(
        position..position,
        way.iter().map(|word| (*word).to_owned()),
    );

    let redacted = redact_argv(&words);
    assert_eq!(redacted.len(), words.len());
    assert_gone(&redacted.join("\n"), &words.join("\n"));
    // A quote or a backslash before it may make it part of something else.
    let before = others[..position].join(" ");
    if !before.contains(['"', '\'', '\\']) && way.iter().all(|word| !word.contains(['"', ' '])) {
        let line = words.join(" ");
        assert_gone(&redact_line(&line), &line);
    }
    let plain = redact_line(&others.join(" "));
    assert!(plain.len() <= 12 * (others.join(" ").len() + 1));
});

fn assert_gone(redacted: &str, from: &str) {
    assert!(!redacted.contains("hunter2"), "{from:?}: {redacted:?}");
}
