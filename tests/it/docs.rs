//! Documents agree with the code and with each other.
#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use egress_baseline::{
    capture::Backend,
    identity::layouts,
    model::{LossCause, NameSource, Outcome},
};

/// What is made, not written. (`.git` is a file in a second work tree.)
const MADE: [&str; 3] = [".git", "target", "node_modules"];

fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// The files of the repository, in order.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if MADE.iter().any(|made| entry.file_name() == *made) {
                continue;
            }
            if kind.is_file() {
                files.push(entry.path());
            } else if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

fn documents() -> Vec<PathBuf> {
    let mut files = files();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn words_of_the_store_are_explained() {
    let pages = read("docs/glossary.md") + &read("docs/limits.md");
    let words = LossCause::ALL.map(LossCause::word).into_iter();
    let words = words.chain(Outcome::ALL.map(Outcome::word));
    let words = words.chain(NameSource::ALL.map(NameSource::word));
    let missing: Vec<String> = words
        .map(|word| format!("`{word}`"))
        .filter(|word| !pages.contains(word.as_str()))
        .collect();
    assert_none(&missing);
}

#[test]
fn the_page_of_limits_lists_the_blind_spots_of_each_backend_and_no_others() {
    let page = read("docs/limits.md");
    let of_backend = |backend: Backend| {
        let mut spots = backend.blind_spots();
        spots.extend(backend.possible_blind_spots());
        spots
            .into_iter()
            .map(|spot| spot.code)
            .collect::<BTreeSet<_>>()
    };
    let common = listed_below(&page, "## Every backend");
    for backend in Backend::BY_PREFERENCE {
        let own = listed_below(&page, &format!("## Backend `{backend}`"));
        let listed: BTreeSet<_> = own.union(&common).cloned().collect();
        assert_eq!(listed, of_backend(backend), "{backend}");
    }
}

/// The codes that begin the items of a section.
fn listed_below(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(heading).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let items = section.lines().filter_map(|line| line.strip_prefix("- "));
    let codes = items
        .filter_map(|item| item.split_once(": "))
        .flat_map(|(codes, _)| codes.split(", "));
    codes
        .map(|code| code.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_page_of_names_lists_the_layouts_that_are_folded_and_no_others() {
    let page = read("docs/identity.md");
    let told = layouts().iter().map(|layout| {
        let path = layout.path.replace('|', "\\|");
        format!("| {} | `{path}` |", layout.of)
    });
    let told: Vec<String> = told.collect();
    let table: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "| whose | path |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(table, told);
}

#[test]
fn every_module_is_on_the_map() {
    let map = read("docs/architecture.md");
    let missing: Vec<String> = fs::read_dir("src")
        .unwrap()
        .map(|entry| entry.unwrap().path().with_extension(""))
        .map(|module| format!("`{}`", module.display()))
        .filter(|module| !map.contains(module.as_str()))
        .collect();
    assert_none(&missing);
}

#[test]
fn no_test_file_is_forgotten() {
    let main = read("tests/it/main.rs");
    let forgotten: Vec<String> = fs::read_dir("tests/it")
        .unwrap()
        .map(|entry| entry.unwrap().path().with_extension(""))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "main" && name != "snapshots")
        .filter(|name| !main.lines().any(|line| line == format!("mod {name};")))
        .collect();
    assert_none(&forgotten);
}

#[test]
fn no_file_speaks_of_the_machine_that_it_was_written_on() {
    // In two parts, so that this file does not.
    let path = concat!("/wo", "rk/");
    let mut faults = Vec::new();
    for file in files() {
        for (number, line) in (1..).zip(read(&file).lines()) {
            if line.contains(path) {
                faults.push(format!("{}:{number}: {line}", file.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for document in documents() {
        for link in links_in(&read(&document)) {
            let (target, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let path = if target.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(target)
            };
            let is_there = path.exists()
                && (anchor.is_empty()
                    || anchors_in(&read(&path)).iter().any(|name| name == anchor));
            if !is_there {
                faults.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn decisions_are_numbered_without_a_gap() {
    let mut names: Vec<String> = fs::read_dir("docs/decisions")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for (number, name) in (1..).zip(&names) {
        assert!(name.starts_with(&format!("{number:04}-")), "{name}");
        let page = read(Path::new("docs/decisions").join(name));
        assert!(page.starts_with(&format!("# {number}. ")), "{name}");
    }
}

#[test]
fn the_changelog_has_a_place_for_the_next_version() {
    assert!(
        read("CHANGELOG.md")
            .lines()
            .any(|line| line == "## Unreleased")
    );
}

#[test]
fn links_are_found_outside_of_code() {
    let page = "See [a](b.md) and [c](https://example.org), `[d](e.md)`.\n```\n[f](g.md)\n```\n[h](i.md#j)";
    assert_eq!(links_in(page), ["b.md", "i.md#j"]);
    assert_eq!(anchors_in("# A\n## B `c` d: e\n"), ["a", "b-c-d-e"]);
}

/// The targets of links that lead to a file.
fn links_in(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut is_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        // Every other part stands between backquotes.
        let text: String = line.split('`').step_by(2).collect();
        for (at, start) in text.match_indices("](") {
            let target = text[at + start.len()..].split(')').next().unwrap();
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push(target.to_owned());
            }
        }
    }
    links
}

/// The names under which headings can be linked to.
fn anchors_in(page: &str) -> Vec<String> {
    page.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect::<String>()
                .to_lowercase()
        })
        .collect()
}
