//! Columns that line up.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::FAINT;

const BETWEEN: usize = 2;

/// Which side a column's text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// One cell. Its text is written as it is: what others chose was made visible before.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    style: Style,
    width: usize,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        Self {
            width: text.width(),
            text,
            style,
        }
    }
}

/// A table with a heading. A column that is empty in every row is left out.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
    /// The widest cell of each column, headings left out.
    widest: Vec<usize>,
}

impl Table {
    pub(super) fn new(headings: Vec<(&'static str, Side)>) -> Self {
        Self {
            widest: vec![0; headings.len()],
            headings,
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: Vec<Cell>) {
        for (widest, cell) in self.widest.iter_mut().zip(&row) {
            *widest = cell.width.max(*widest);
        }
        self.rows.push(row);
    }

    /// Columns of the widest line, without an indent.
    pub(super) fn width(&self) -> usize {
        let widths: Vec<usize> = self
            .widths()
            .into_iter()
            .filter(|width| *width > 0)
            .collect();
        widths.iter().sum::<usize>() + BETWEEN * widths.len().saturating_sub(1)
    }

    pub(super) fn write(&self, indent: usize, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        let headings: Vec<Cell> = self
            .headings
            .iter()
            .map(|(heading, _)| Cell::styled(*heading, FAINT))
            .collect();
        self.write_line(indent, &widths, &headings, out)?;
        for row in &self.rows {
            self.write_line(indent, &widths, row, out)?;
        }
        Ok(())
    }

    fn write_line(
        &self,
        indent: usize,
        widths: &[usize],
        row: &[Cell],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut owed = indent;
        for ((cell, width), (_, side)) in row.iter().zip(widths).zip(&self.headings) {
            if *width == 0 {
                continue;
            }
            let missing = width.saturating_sub(cell.width);
            let (before, after) = match side {
                Side::Left => (0, missing),
                Side::Right => (missing, 0),
            };
            // What is owed is paid only before more text, so that no line ends in spaces.
            if !cell.text.is_empty() {
                let style = cell.style;
                write!(out, "{:1$}", "", owed + before)?;
                write!(out, "{style}{}{style:#}", cell.text)?;
                owed = 0;
            } else {
                owed += before;
            }
            owed += after + BETWEEN;
        }
        writeln!(out)
    }

    /// Widths of the columns; 0 for one that is left out.
    fn widths(&self) -> Vec<usize> {
        self.headings
            .iter()
            .zip(&self.widest)
            .map(|((heading, _), widest)| match widest {
                0 => 0,
                some => heading.width().max(*some),
            })
            .collect()
    }
}
