//! Trials whose failure is told at once: a run that is cut off must show what it found.

use std::io::{self, Write};

use libtest_mimic::{Failed, Trial};

/// A trial that tells why it failed as soon as it does.
pub(crate) fn trial(
    name: impl Into<String>,
    judge: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::test(name, || {
        judge().inspect_err(|failed| {
            let cause = failed.message().unwrap_or("no cause was told");
            writeln!(io::stderr(), "{cause}").ok();
        })
    })
}
