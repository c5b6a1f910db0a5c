//! Labelled facts, one a line.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{HEADING, visible};

/// Facts in the order in which they are shown. Labels are ours; values may be anybody's.
#[derive(Debug, Default)]
pub(super) struct Facts {
    lines: Vec<(&'static str, String)>,
}

impl Facts {
    pub(super) fn add(&mut self, label: &'static str, value: impl Into<String>) {
        self.lines.push((label, value.into()));
    }

    pub(super) fn add_if(&mut self, label: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    /// Writes them below one another; a fact with the label of the one above has it only once.
    pub(super) fn write(&self, indent: usize, out: &mut dyn Write) -> io::Result<()> {
        let width = self
            .lines
            .iter()
            .map(|(label, _)| label.width())
            .max()
            .unwrap_or(0);
        let mut above = "";
        for (label, value) in &self.lines {
            let shown = if *label == above { "" } else { *label };
            writeln!(
                out,
                "{:indent$}{HEADING}{shown:<width$}{HEADING:#}  {}",
                "",
                visible(value)
            )?;
            above = label;
        }
        Ok(())
    }
}
