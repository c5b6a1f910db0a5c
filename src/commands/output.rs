//! Standard output: coloured text for people, untouched bytes for programs.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstream::AutoStream;
use anyhow::Context;
use serde::Serialize;

use crate::{
    commands::options::{Format, GlobalArgs},
    report::{Detail, Layout, write_json},
};

/// Large enough that a dump does not pay for each line.
const BUFFER_BYTES: usize = 64 * 1024;

/// Where bytes go that must not be changed.
pub(super) fn raw() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())
}

/// Writes through `write` to standard output, as text.
pub(super) fn write_text(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let stdout = AutoStream::auto(io::stdout().lock());
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, stdout);
    write(&mut out)
        .and_then(|()| out.flush())
        .context("write to standard output")
}

/// Writes `document` in the form that was asked for.
pub(super) fn write_document(
    document: &impl Serialize,
    format: Format,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    match format {
        Format::Text => write_text(text),
        Format::Json => {
            let mut out = raw();
            write_json(document, &mut out)
                .and_then(|()| out.flush())
                .context("write to standard output")
        }
    }
}

/// The layout of the terminal that standard output is, if it is one.
pub(super) fn layout(global: &GlobalArgs) -> Layout {
    let width = io::stdout()
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    let detail = if global.verbose {
        Detail::Full
    } else {
        Detail::Usual
    };
    Layout { width, detail }
}
