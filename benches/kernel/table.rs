//! The result, as a table in Markdown.

use std::io::Write;

use super::{
    arms::{Arm, Round, Sample},
    calls::{CALLS, EXCHANGE, SENDTO},
};

/// What is in a row: a call, or the difference of two.
type Measured = fn(&[Sample], usize) -> Option<Sample>;

fn call(samples: &[Sample], at: usize) -> Option<Sample> {
    samples.get(at).copied()
}

fn receiving(samples: &[Sample], _: usize) -> Option<Sample> {
    let (exchange, sending) = (samples.get(EXCHANGE)?, samples.get(SENDTO)?);
    Some(Sample {
        caller: exchange.caller - sending.caller,
        others: exchange.others - sending.others,
    })
}

/// Writes a line for each call and arm: medians over the rounds, and of the differences from nothing
/// in the same round also the lowest and the highest.
pub(crate) fn print(out: &mut impl Write, arms: &[Arm], rounds: &[Round]) -> std::io::Result<()> {
    writeln!(
        out,
        "| call | with | instructions | more | lowest to highest | in other tasks | more in all |"
    )?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |")?;
    for (at, kind) in CALLS.iter().enumerate() {
        print_row(out, arms, rounds, kind.name, (call, at))?;
    }
    print_row(
        out,
        arms,
        rounds,
        "UDP receiving: the pair less `sendto()`",
        (receiving, 0),
    )
}

fn print_row(
    out: &mut impl Write,
    arms: &[Arm],
    rounds: &[Round],
    name: &str,
    (measured, place): (Measured, usize),
) -> std::io::Result<()> {
    for (at, arm) in arms.iter().enumerate() {
        let pairs: Vec<(Sample, Sample)> = rounds
            .iter()
            .filter_map(|round| {
                Some((
                    measured(round.first()?, place)?,
                    measured(round.get(at)?, place)?,
                ))
            })
            .collect();
        let caller = median(pairs.iter().map(|(_, with)| with.caller));
        let others = median(pairs.iter().map(|(_, with)| with.others));
        if arm.is_watcher() {
            let more = || {
                pairs
                    .iter()
                    .map(|(without, with)| with.caller - without.caller)
            };
            let in_all = pairs
                .iter()
                .map(|(without, with)| with.caller + with.others - without.caller - without.others);
            let lowest = more().fold(f64::INFINITY, f64::min);
            let highest = more().fold(f64::NEG_INFINITY, f64::max);
            writeln!(
                out,
                "| | {} | {caller:.0} | {:+.0} | {lowest:+.0} to {highest:+.0} | {others:.0} | {:+.0} |",
                arm.name,
                median(more()),
                median(in_all)
            )?;
        } else {
            writeln!(
                out,
                "| {name} | {} | {caller:.0} | | | {others:.0} | |",
                arm.name
            )?;
        }
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values.get(middle).copied().unwrap_or(f64::NAN),
        _ => values
            .get(middle - 1..=middle)
            .map_or(f64::NAN, |two| two.iter().sum::<f64>() / 2.0),
    }
}
