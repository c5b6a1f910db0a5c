//! How a command ended.

use std::process::ExitCode;

/// How a command ended. Where several hold, 2 goes before 1 before 3 before 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, nothing to report.
    Done,
    /// Done, and there is something to look at.
    Findings,
    /// Could not do it.
    Failed,
    /// Cannot tell: the observer was blind.
    CannotTell,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Failed => 2,
            Exit::CannotTell => 3,
        })
    }
}
