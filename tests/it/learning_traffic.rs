//! Intervals hold on made-up traffic, and are no wider than `docs/learning.md` says.
//!
//! This takes fewer series than the table there, which `cargo bench --bench learning` makes.

use crate::{
    support_sources::Traffic,
    support_traffic::{COLUMNS, Held, LINES, score},
};

const SERIES: u32 = 200;

/// What an interval of 95 % must hold at least, in percent.
const MUST_HOLD: f64 = 90.0;

/// Of what 200 series and up to five lengths give, 90 % is found within three standard deviations.
const TOLERANCE: f64 = 3.0;

/// The mean width of 200 series is this near to that of 2,000; some are twenty times the mean.
const WIDER: f64 = 1.3;

/// By how many points of a hundred 200 series may hold less often than 2,000 do: four standard
/// deviations, where nine of ten hold.
const LESS: f64 = 8.0;

/// A line of the table: for the first four columns, the percentage that held and the width.
struct Line {
    traffic: String,
    units: u32,
    cells: Vec<Option<(f64, f64)>>,
}

fn table() -> Vec<Line> {
    let page = include_str!("../../docs/learning.md");
    let head = format!("| traffic | units | {} |", COLUMNS.join(" | "));
    let lines = page.lines().skip_while(|line| *line != head).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            Line {
                traffic: cells[0].to_owned(),
                units: cells[1].parse().expect("units are a number"),
                cells: cells[2..6]
                    .iter()
                    .map(|cell| held_and_width(cell))
                    .collect(),
            }
        })
        .collect()
}

/// `97.5 % (1.25 / 0.50)`
fn held_and_width(cell: &str) -> Option<(f64, f64)> {
    let (held, rest) = cell.split_once(" % (")?;
    let (width, _) = rest.split_once(" / ")?;
    Some((held.parse().ok()?, width.parse().ok()?))
}

#[test]
fn the_table_has_all_lines_and_intervals_that_hold() {
    let table = table();
    let lines = LINES
        .iter()
        .flat_map(|(traffic, lengths)| lengths.iter().map(move |units| (traffic, units)));
    let expected: Vec<_> = lines
        .map(|(traffic, units)| (format!("{traffic:?}"), *units))
        .collect();
    let found: Vec<_> = table
        .iter()
        .map(|line| (line.traffic.clone(), line.units))
        .collect();
    assert_eq!(found, expected);
    for line in table {
        for (held, _) in line.cells.into_iter().flatten() {
            assert!(
                held >= MUST_HOLD,
                "{} after {}: {held} %",
                line.traffic,
                line.units
            );
        }
    }
}

#[test]
fn intervals_hold_and_are_no_wider_than_documented() {
    let table = table();
    for (traffic, lengths) in LINES {
        let mut together = [Held::default(); 4];
        for units in lengths {
            let score = score(traffic, *units, SERIES);
            let now = [
                score.coverage,
                score.next_unit,
                score.next_week,
                score.came_in_week,
            ];
            assert_as_documented(traffic, *units, &now, &table);
            for (sum, held) in together.iter_mut().zip(now) {
                sum.held += held.held;
                sum.asked += held.asked;
            }
        }
        for (held, column) in together.iter().zip(COLUMNS) {
            let percent = held.share() * 100.0;
            assert!(
                percent >= MUST_HOLD - TOLERANCE,
                "{traffic:?}, {column}: {percent} %"
            );
        }
    }
}

fn assert_as_documented(traffic: Traffic, units: u32, now: &[Held; 4], table: &[Line]) {
    let name = format!("{traffic:?}");
    let is_it = |line: &&Line| line.traffic == name && line.units == units;
    let line = table.iter().find(is_it).expect("the table has it");
    for ((held, cell), column) in now.iter().zip(&line.cells).zip(COLUMNS) {
        let what = format!("{name} after {units}, {column}");
        match cell {
            None => assert_eq!(held.asked, 0, "{what} is said"),
            // The table has two digits.
            Some((documented, width)) => {
                let percent = held.share() * 100.0;
                let is_near = percent >= documented - LESS;
                assert!(is_near, "{what}: {percent} %, not {documented} %");
                let (now, truth) = (held.width(), held.truth());
                let is_near = now <= width * WIDER + 0.01;
                assert!(is_near, "{what}: {now} around {truth}, not {width}");
            }
        }
    }
}
