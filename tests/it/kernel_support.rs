//! `docs/kernel-support.md` is what the kernel tests saw, and knows every kind.
//!
//! With `EGRESS_WRITE_PAGE` the page is written from the results below `docs/kernel-support`, which
//! `tests/vm/run` keeps there.
#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use egress_baseline::{
    canary::{Scope, kinds},
    capture::Backend,
};

const RESULTS: &str = "docs/kernel-support";
const PAGE: &str = "docs/kernel-support.md";

const HEAD: &str = "# Which kind of flow is seen on which kernel

For administrators who want to know what a recording on their kernel holds.

This page is written by the test runs (`make kernel-support`): programs made each kind of flow on Debian's kernels, each backend observed them, and what was recorded was compared with what was made: process, arguments, destination, outcome, counts, bytes and error number.

- **seen**: recorded with all of that.
- a code: recorded in part, or, with *not*, not at all; [the limits](limits.md) say what is missing.
- **–**: this kernel does not have it.
";

/// What one backend saw on one kernel.
struct Run {
    kernel: String,
    backend: String,
    release: String,
    verdicts: BTreeMap<String, String>,
}

/// `5.10` before `6.1` before `6.12`.
fn order_of(run: &Run) -> (Vec<u32>, Option<usize>) {
    let numbers = run
        .kernel
        .split('.')
        .map(|number| number.parse().unwrap())
        .collect();
    let backends = Backend::BY_PREFERENCE;
    let place = backends
        .iter()
        .position(|backend| backend.name() == run.backend);
    (numbers, place)
}

fn read_run(path: &Path) -> Run {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let (kernel, backend) = stem.split_once('-').unwrap();
    let text = fs::read_to_string(path).unwrap();
    let (head, lines) = text.split_once('\n').unwrap();
    let verdicts = lines
        .lines()
        .map(|line| {
            let (kind, verdict) = line.split_once('\t').unwrap();
            (kind.to_owned(), verdict.to_owned())
        })
        .collect();
    Run {
        kernel: kernel.to_owned(),
        backend: backend.to_owned(),
        release: head.trim_start_matches("# ").to_owned(),
        verdicts,
    }
}

/// None before the first runs were kept: then there must be no page either.
fn runs() -> Vec<Run> {
    let Ok(results) = fs::read_dir(RESULTS) else {
        assert!(!Path::new(PAGE).exists(), "{PAGE} stands on no results");
        return Vec::new();
    };
    let mut runs: Vec<Run> = results
        .map(|entry| read_run(&entry.unwrap().path()))
        .collect();
    runs.sort_by_key(order_of);
    runs
}

fn cell(verdict: Option<&String>) -> String {
    match verdict.map(|verdict| verdict.split_once('\t').unwrap_or((verdict, ""))) {
        Some(("seen", _)) => "seen".to_owned(),
        Some(("in part", code)) => format!("`{code}`"),
        Some(("unseen", code)) => format!("*not:* `{code}`"),
        Some(("not there", _)) => "–".to_owned(),
        other => format!("**{other:?}**"),
    }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn page(runs: &[Run]) -> String {
    let releases: BTreeMap<_, _> = runs
        .iter()
        .map(|run| {
            (
                order_of(run).0,
                format!("- {}: `{}`", run.kernel, run.release),
            )
        })
        .collect();
    let releases: Vec<_> = releases.into_values().collect();
    let heads = runs
        .iter()
        .map(|run| format!("{} {}", run.kernel, run.backend));
    let mut text = format!(
        "{HEAD}\n## Kernels\n\n{}\n\n## Kinds\n\n",
        releases.join("\n")
    );
    text += &row(std::iter::once("kind".to_owned()).chain(heads));
    text += &row(std::iter::repeat_n("---".to_owned(), runs.len() + 1));
    for kind in kinds().iter().filter(|kind| kind.scope == Scope::Egress) {
        let cells = runs.iter().map(|run| cell(run.verdicts.get(kind.name)));
        text += &row(std::iter::once(format!("`{}`", kind.name)).chain(cells));
    }
    text
}

#[test]
fn the_page_of_kernels_is_what_the_runs_saw() {
    let runs = runs();
    if runs.is_empty() {
        return;
    }
    let made = page(&runs);
    if env::var_os("EGRESS_WRITE_PAGE").is_some() {
        fs::write(PAGE, &made).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap();
    assert!(
        written == made,
        "{PAGE} is not up to date: make kernel-support"
    );
}

#[test]
fn every_kind_was_tried_on_every_kernel_and_none_was_missed() {
    let known: BTreeSet<&str> = kinds()
        .iter()
        .filter(|kind| kind.scope == Scope::Egress)
        .map(|kind| kind.name)
        .collect();
    let runs = runs();
    assert!(
        runs.is_empty() || runs.len() >= 8,
        "two backends on each of four kernels"
    );
    for run in &runs {
        let tried: BTreeSet<&str> = run.verdicts.keys().map(String::as_str).collect();
        assert_eq!(tried, known, "{} {}", run.kernel, run.backend);
        for (kind, verdict) in &run.verdicts {
            assert_ne!(
                verdict, "missed",
                "{kind} on {} {}",
                run.kernel, run.backend
            );
        }
    }
}
