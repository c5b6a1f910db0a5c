//! How often the intervals of learning hold on made-up traffic, and how wide they are: the table of
//! `docs/learning.md`.
//!
//! `cargo bench --bench learning` takes 2,000 series for each line; another number can be given.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot print must say so loudly"
)]

#[path = "../tests/it/support_sources.rs"]
mod support_sources;
#[path = "../tests/it/support_traffic.rs"]
mod support_traffic;

use std::io::{Write as _, stdout};

use support_traffic::{COLUMNS, LINES, Score, score};

const SERIES: u32 = 2_000;

fn main() {
    let series = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(SERIES);
    let mut out = stdout().lock();
    writeln!(out, "{series} series for each line.\n").unwrap();
    writeln!(out, "| traffic | units | {} |", COLUMNS.join(" | ")).unwrap();
    let rules = COLUMNS.map(|_| "---:").join(" | ");
    writeln!(out, "| --- | ---: | {rules} |").unwrap();
    for (traffic, lengths) in LINES {
        for units in lengths {
            let cells = cells(&score(traffic, *units, series));
            writeln!(out, "| {traffic:?} | {units} | {} |", cells.join(" | ")).unwrap();
        }
    }
}

/// In the order of the columns.
fn cells(score: &Score) -> [String; 7] {
    let stable = match score.stable.asked {
        0 => "none".to_owned(),
        asked => format!("{} of {asked}", score.stable.held),
    };
    let [coverage, next_unit, next_week, came, plain] = [
        &score.coverage,
        &score.next_unit,
        &score.next_week,
        &score.came_in_week,
        &score.plain,
    ]
    .map(|held| match held.asked {
        0 => "not said".to_owned(),
        _ => {
            let percent = held.share() * 100.0;
            format!("{percent:.1} % ({:.2} / {:.2})", held.width(), held.truth())
        }
    });
    let chance = format!("{:.1} %", score.chance.share() * 100.0);
    [coverage, next_unit, next_week, came, chance, stable, plain]
}
