//! Why a command could not do what it was asked; `failure` has the hints.

use crate::exchange::LineError;

/// What commands themselves complain about.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing that is stored has that name or id.
    #[error("no flow and no application is `{what}`")]
    NothingIs {
        /// What was asked for.
        what: String,
    },
    /// A window to leave out is not two times.
    #[error("`{text}` is no window")]
    BadExcept {
        /// What was given.
        text: String,
    },
    /// A window ends before it begins.
    #[error("the window ends at {until}, before it begins at {since}")]
    EmptyWindow {
        /// Start.
        since: String,
        /// End.
        until: String,
    },
    /// A line of an import is no record.
    #[error("{file}:{line}")]
    BadLine {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        source: LineError,
    },
    /// A file held something else when it was read again.
    #[error("`{file}` changed while it was read")]
    ChangedWhileRead {
        /// The file.
        file: String,
    },
}
