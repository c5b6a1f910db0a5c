//! Clocks of a machine in which a nanosecond is an instruction.

use std::fs;

use anyhow::{Context, ensure};
use rustix::time::{ClockId, clock_gettime};

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let whole = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000;
    whole + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Refuses a machine whose clock passes at another rate than its instructions: the kernel must take
/// the counter, which goes up with each, for one of 1 GHz.
pub(crate) fn prove_that_they_count() -> anyhow::Result<()> {
    let path = "/proc/cpuinfo";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("cpu MHz")?.split(": ").nth(1))
        .and_then(|megahertz| megahertz.parse::<f64>().ok());
    ensure!(
        rate.is_some_and(|megahertz| (megahertz - 1000.0).abs() < 0.1),
        "the clock of this machine does not count instructions (benches/kernel/run starts one \
         that does)"
    );
    Ok(())
}

/// What the calling thread has taken, interrupts that came meanwhile included.
pub(crate) fn of_this_thread() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// What has passed at all.
pub(crate) fn of_the_machine() -> u64 {
    nanoseconds(ClockId::MonotonicRaw)
}

/// What all tasks have taken up to the last switch between two of them; idling is none.
pub(crate) fn of_all_tasks() -> anyhow::Result<u64> {
    let path = "/proc/schedstat";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    text.lines()
        .filter_map(|line| line.strip_prefix("cpu"))
        .filter_map(|line| line.split(' ').nth(7))
        .map(|field| {
            field
                .parse::<u64>()
                .context("read a number of the scheduler")
        })
        .sum()
}
