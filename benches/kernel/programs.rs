//! Which BPF programs the instructions of a call are in.

use std::{collections::BTreeMap, fs, io::Write, thread, time::Duration};

use anyhow::Context;
use egress_baseline::canary::Isolation;
use libbpf_rs::query::ProgInfoIter;

use super::{
    arms::Arm,
    calls::{CALLS, Far, LAP},
};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The observer has seen process and destinations by then, and written them.
const SETTLE: Duration = Duration::from_secs(11);

#[derive(Clone, Debug, Default)]
struct Taken {
    name: String,
    runs: u64,
    instructions: u64,
}

/// Writes a line for each arm, call and program. What the kernel takes to get to a program is not in
/// its instructions; what it takes to count them partly is.
pub(crate) fn print(
    isolation: &Isolation,
    far: &Far,
    arms: &[Arm],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "\n| call | with | program | runs a call | instructions a run | instructions a call |"
    )?;
    writeln!(out, "| --- | --- | --- | ---: | ---: | ---: |")?;
    fs::write(SWITCH, "1").with_context(|| format!("write {SWITCH}"))?;
    for arm in arms.iter().filter(|arm| arm.is_watcher()) {
        arm.tell("start")?;
        for call in &CALLS {
            (call.lap)(isolation, far)?;
        }
        thread::sleep(SETTLE);
        for call in &CALLS {
            let before = all();
            for _ in 0..call.laps {
                (call.lap)(isolation, far)?;
            }
            let calls = u64::from(call.laps * LAP);
            for (id, taken) in all() {
                let start = before.get(&id).cloned().unwrap_or_default();
                write_line(out, (call.name, &arm.name), &start, &taken, calls)?;
            }
        }
        arm.tell("stop")?;
    }
    fs::write(SWITCH, "0").with_context(|| format!("write {SWITCH}"))
}

fn write_line(
    out: &mut impl Write,
    (call, arm): (&str, &str),
    start: &Taken,
    end: &Taken,
    calls: u64,
) -> anyhow::Result<()> {
    let runs = end.runs - start.runs;
    // A few runs are those of other sockets than the ones of the call.
    if runs * 20 < calls {
        return Ok(());
    }
    let instructions = end.instructions - start.instructions;
    let tenths = runs * 10 / calls;
    writeln!(
        out,
        "| {call} | {arm} | {} | {}.{} | {} | {} |",
        end.name,
        tenths / 10,
        tenths % 10,
        instructions / runs,
        instructions / calls
    )?;
    Ok(())
}

fn all() -> BTreeMap<u32, Taken> {
    ProgInfoIter::default()
        .map(|program| {
            let taken = Taken {
                name: program.name.to_string_lossy().into_owned(),
                runs: program.run_cnt,
                instructions: program.run_time_ns,
            };
            (program.id, taken)
        })
        .collect()
}
