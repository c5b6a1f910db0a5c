//! Holds the house to its plan: who may import whom, one door per library, and the size of files.
//!
//! The table below is the plan. A new module at the top fails until it has a line here.
#![expect(
    clippy::unwrap_used,
    reason = "a tree that cannot be read fails the test"
)]

#[path = "layering/code.rs"]
mod code;

use std::{
    fs,
    path::{Path, PathBuf},
};

use code::{code_of, imports_of, words_of};

/// What a module at the top may import from its siblings.
enum Imports {
    Only(&'static [&'static str]),
    AnythingBut(&'static [&'static str]),
    Anything,
}

use Imports::{Anything, AnythingBut, Only};

/// Stages know the vocabulary and nobody else; they meet in the modules that may import anything.
const MODULES: [(&str, Imports); 22] = [
    ("model", Only(&[])),
    ("allowlist", Only(&["model"])),
    ("analyze", Only(&["model"])),
    ("canary", Only(&["model"])),
    ("capture", Only(&["model"])),
    ("config", Only(&["model"])),
    ("exchange", Only(&["model"])),
    ("firewall", Only(&["model"])),
    ("identity", Only(&["model"])),
    ("names", Only(&["model"])),
    ("report", Only(&["model"])),
    ("resolver", Only(&["model"])),
    ("store", Only(&["model"])),
    // Takes facts as values: `identity::facts` reads files and is not for it.
    ("pipeline", Only(&["model", "identity", "names"])),
    // What was made beside what was recorded; who records is not its business.
    ("proof", Only(&["canary", "model"])),
    ("mapping", Only(&["identity", "store"])),
    ("daemon", AnythingBut(&["cli", "commands", "failure"])),
    ("commands", AnythingBut(&["cli", "failure"])),
    ("cli", Only(&["commands"])),
    ("failure", AnythingBut(&["cli"])),
    ("lib", Anything),
    ("main", Anything),
];

/// Words of the language or names of libraries, and the only places below `src` that may say them.
const DOORS: [(&str, &[&str]); 8] = [
    ("libbpf_rs", &["capture"]),
    ("libbpf_sys", &["capture"]),
    ("rusqlite", &["store"]),
    ("rustls", &["names"]),
    ("simple_dns", &["names"]),
    ("tokio", &["daemon", "commands/observe"]),
    ("clap", &["cli", "commands"]),
    ("unsafe", &["capture", "canary"]),
];

/// A file that is longer answers more than one question.
const LONGEST_FILE: usize = 400;

/// A hook connects a reader with a body and does nothing else.
const LONGEST_HOOK: usize = 6;

#[test]
fn every_source_file_keeps_to_the_plan() {
    let mut faults = Vec::new();
    let sources = files_below("src", &["rs"]);
    assert!(!sources.is_empty());
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix("src").unwrap().to_str().unwrap();
        faults.extend(faults_in(path, &source));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_question_needs() {
    let mut files = files_below("src", &["rs"]);
    files.extend(files_below("bpf", &["c", "h"]));
    let long: Vec<String> = files
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn hooks_only_connect() {
    let mut long = Vec::new();
    for path in files_below("bpf/hooks", &["h"]) {
        let source = fs::read_to_string(&path).unwrap();
        for (program, lines) in programs_in(&source) {
            if lines > LONGEST_HOOK {
                long.push(format!("{}: {program} has {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let planted = [
        ("store/read.rs", "use crate::report::Table;"),
        ("store/mod.rs", "use super::identity;"),
        ("store/read/rows.rs", "use super::super::super::identity;"),
        ("report/mod.rs", "fn f() { crate::store::open(); }"),
        (
            "report.rs",
            "use crate::{model::Flow, store::{self, Recorder}};",
        ),
        (
            "analyze/mod.rs",
            "use crate::{\n    model::{Flow, Loss},\n    capture,\n};",
        ),
        ("model/flow.rs", "use crate::identity::run_of;"),
        ("identity/mod.rs", "use crate as everything;"),
        ("identity/mod.rs", "use crate::*;"),
        (
            "identity/mod.rs",
            "const MARK: char = '\"'; use crate::store::Recorder; // \"",
        ),
        ("pipeline.rs", "use crate::store::Recorder;"),
        ("pipeline/mod.rs", "use crate::identity::facts;"),
        (
            "pipeline/mod.rs",
            "use crate::identity::{facts::Accounts, run_of};",
        ),
        ("commands/prune.rs", "use crate::{cli::Cli, store};"),
        ("daemon/mod.rs", "use crate::commands::Exit;"),
        ("cli.rs", "use crate::store::Recorder;"),
        ("report/mod.rs", "use rusqlite::Connection;"),
        ("commands/status.rs", "#[tokio::main]"),
        ("report/text.rs", "#[derive(clap::ValueEnum)]"),
        ("store/mod.rs", "unsafe { read() }"),
        ("helpers/mod.rs", ""),
    ];
    for (path, source) in planted {
        assert!(!faults_in(path, source).is_empty(), "{path}: {source}");
    }
}

#[test]
fn what_the_plan_allows_is_no_violation() {
    let allowed = [
        (
            "store/read.rs",
            "use crate::model::{Flow, Loss};\nuse super::Recorder;",
        ),
        (
            "store/read.rs",
            "/// See [`crate::report`].\n// use crate::report;\n/* crate::cli */",
        ),
        (
            "store/read.rs",
            r##"const A: &str = "crate::report"; const B: &str = r#"unsafe ""#;"##,
        ),
        (
            "store/read.rs",
            "fn f<'a>(a: &'a str) {}\nuse crate::store::Recorder;",
        ),
        ("store/mod.rs", "use super::model::Flow;"),
        (
            "store/mod.rs",
            "#[cfg(test)]\nmod tests { use super::report; }",
        ),
        ("pipeline.rs", "use crate::{identity, model, names};"),
        (
            "commands/observe.rs",
            "use crate::{capture, store};\nuse tokio::signal;",
        ),
        (
            "capture/mod.rs",
            "use libbpf_rs::Map; fn f() { unsafe { g() } }",
        ),
        ("lib.rs", "#![deny(unsafe_code)]\npub(crate) mod model;"),
    ];
    for (path, source) in allowed {
        assert_eq!(faults_in(path, source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn long_hooks_are_counted() {
    let source = "SEC(\"?kprobe/a\")\nint BPF_KPROBE(a, int b)\n{\n\tone();\n\n\ttwo();\n}\n\n\
        SEC(\"?kprobe/b\")\nint b(struct pt_regs *ctx) {\n\treturn 0;\n}\n";
    let programs: Vec<_> = programs_in(source);
    assert_eq!(
        programs,
        [
            ("SEC(\"?kprobe/a\")".to_owned(), 2),
            ("SEC(\"?kprobe/b\")".to_owned(), 1)
        ]
    );
}

/// What in a file below `src` is against the plan.
fn faults_in(path: &str, source: &str) -> Vec<String> {
    let place = path.strip_suffix(".rs").unwrap();
    let own = place.split('/').next().unwrap();
    let code = code_of(source);
    let Some((_, imports)) = MODULES.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{path}: `{own}` has no line in tests/layering.rs")];
    };
    let mut faults = Vec::new();
    for import in imports_of(place, &code) {
        let top = import.split("::").next().unwrap();
        let is_allowed = match imports {
            Only(allowed) => allowed.contains(&top),
            AnythingBut(forbidden) => !forbidden.contains(&top),
            Anything => true,
        };
        if top != own && !is_allowed {
            faults.push(format!("{path}: `{own}` must not import `{import}`"));
        }
        if own == "pipeline" && import == "identity::facts" {
            faults.push(format!("{path}: facts enter the pipeline as values"));
        }
    }
    for (word, places) in DOORS {
        let is_open = places
            .iter()
            .any(|door| place == *door || place.starts_with(&format!("{door}/")));
        if !is_open && words_of(&code).any(|found| found == word) {
            faults.push(format!("{path}: only {places:?} may say `{word}`"));
        }
    }
    faults
}

/// The programs of a file of hooks, by their sections, each with the lines of its body.
fn programs_in(source: &str) -> Vec<(String, usize)> {
    let mut programs = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("SEC(") {
            continue;
        }
        let body = lines
            .by_ref()
            .skip_while(|line| !line.ends_with('{'))
            .skip(1)
            .take_while(|line| *line != "}")
            .filter(|line| !line.trim().is_empty())
            .count();
        programs.push((line.to_owned(), body));
    }
    programs
}

/// Files below a folder of the package with one of the extensions, in order; none if there is no
/// such folder.
fn files_below(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                files.push(Path::new(&path).to_owned());
            }
        }
    }
    files.sort();
    files
}
