//! Whether an observer writes when it should.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{WARNING, coverage::Watched, humane::duration};
use crate::model::Timestamp;

/// A flush that takes no longer than this is not late yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Up to when a running observer has written, if two flushes were due since: the disk may be full.
pub(super) fn not_written_since(at: Timestamp, watched: &Watched) -> Option<Timestamp> {
    let every = watched.period.settings.get("flush_every_ns")?.as_u64()?;
    let due = Duration::from_nanos(every)
        .saturating_mul(2)
        .saturating_add(PATIENCE);
    let until = watched.period.covered_until;
    (watched.is_running && at.since(until) > due).then_some(until)
}

/// Writes since when nothing was written, if that is late.
pub(super) fn write_lateness(
    at: Timestamp,
    not_written_since: Option<Timestamp>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(until) = not_written_since else {
        return Ok(());
    };
    writeln!(
        out,
        "  {WARNING}nothing was written for {}{WARNING:#}: it keeps counting in memory, as long as \
         there is room; the disk may be full",
        duration(at.since(until))
    )
}
