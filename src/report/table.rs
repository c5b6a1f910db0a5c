//! Columns that line up.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

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
        // What was made visible and is ASCII has a column for each byte; most of it is.
        let width = match text.is_ascii() {
            true => text.len(),
            false => text.width(),
        };
        Self { width, text, style }
    }

    fn add_to(&self, line: &mut String) {
        if self.style.is_plain() {
            line.push_str(&self.text);
            return;
        }
        let (on, off) = (self.style.render(), self.style.render_reset());
        write!(line, "{on}{}{off}", self.text).expect("a string takes any text");
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
        let mut line = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            line.clear();
            self.add_line(indent, &widths, row, &mut line);
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn add_line(&self, indent: usize, widths: &[usize], row: &[Cell], line: &mut String) {
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
            owed += before;
            // What is owed is paid only before more text, so that no line ends in spaces.
            if !cell.text.is_empty() {
                line.extend(std::iter::repeat_n(' ', owed));
                cell.add_to(line);
                owed = 0;
            }
            owed += after + BETWEEN;
        }
        line.push('\n');
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
