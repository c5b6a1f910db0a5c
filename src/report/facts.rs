//! Labelled facts, one a line.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{HEADING, visible, wrap::wrapped};

/// Columns between a label and its value.
const BETWEEN: usize = 2;

/// However narrow a terminal is.
const LEAST: usize = 20;

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

    /// Columns of the longest label.
    pub(super) fn label_width(&self) -> usize {
        let labels = self.lines.iter().map(|(label, _)| label.width());
        labels.max().unwrap_or(0)
    }

    /// Writes them below one another; a fact with the label of the one above has it only once.
    pub(super) fn write(&self, indent: usize, out: &mut dyn Write) -> io::Result<()> {
        self.write_within(None, indent, out)
    }

    /// The same in lines of so many columns, broken between words.
    pub(super) fn write_within(
        &self,
        columns: Option<usize>,
        indent: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let width = self.label_width();
        let mut above = "";
        for (label, value) in &self.lines {
            let shown = if *label == above { "" } else { *label };
            let value = visible(value);
            let left = columns.map(|columns| columns.saturating_sub(indent + width + BETWEEN));
            let lines: Vec<String> = match left {
                Some(left) if value.width() > left => wrapped(&value, left.max(LEAST)).collect(),
                _ => vec![value.into_owned()],
            };
            for (number, line) in lines.iter().enumerate() {
                let shown = if number == 0 { shown } else { "" };
                writeln!(
                    out,
                    "{:indent$}{HEADING}{shown:<width$}{HEADING:#}{:BETWEEN$}{line}",
                    "", ""
                )?;
            }
            above = label;
        }
        Ok(())
    }
}
