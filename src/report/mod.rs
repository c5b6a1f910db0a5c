//! Everything that a person or a script reads.
//!
//! Each document is a value that serialises to JSON, and a function that writes the same value as
//! text to a `Write`. Text chosen by other programs is made visible before it is written as text;
//! JSON carries it as it is.

pub mod applications;
pub mod applications_text;
pub mod coverage;
pub mod doctor;
pub mod explain;
mod explain_process;
pub mod explain_text;
mod facts;
pub mod files;
pub mod gaps;
mod humane;
mod lateness;
pub mod learning;
pub mod marks;
mod marks_text;
mod resolver;
mod sanitize;
pub mod self_check;
pub mod status;
pub mod status_text;
mod stretches;
mod table;
mod watched;
mod wrap;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

pub use humane::{bytes, count, counted};
pub use sanitize::visible;

/// Version of the JSON documents.
pub const DOCUMENT_VERSION: u32 = 1;

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const FAILURE: Style = AnsiColor::Red.on_default();
const GOOD: Style = AnsiColor::Green.on_default();

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; none where it is no terminal, and lines may be as long as they are.
    pub width: Option<usize>,
    /// Whether what is left out for brevity is written too.
    pub detail: Detail,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What is usually wanted.
    #[default]
    Usual,
    /// Everything.
    Full,
}

/// Writes a document as JSON.
pub fn write_json(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}
