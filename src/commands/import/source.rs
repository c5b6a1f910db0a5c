//! A file, or standard input, read line by line as often as is needed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use zstd::Decoder;

use crate::{exchange::MAX_LINE_BYTES, model::text_of_bytes};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A larger window would let a file of a few bytes claim gigabytes of memory. `zstd --long` makes
/// windows of this size.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What is imported, as it lies: compressed content is unpacked anew at each reading.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    file: File,
    progress: ProgressBar,
}

impl Source {
    /// Opens `path`. What can be read only once, such as a pipe, is spooled into a file without a
    /// name.
    pub(super) fn open(path: &Path, is_quiet: bool) -> anyhow::Result<Self> {
        let name = text_of_bytes(path.as_os_str().as_bytes());
        if path == Path::new("-") {
            let progress = progress_bar(None, is_quiet);
            let file = spool(progress.wrap_read(io::stdin().lock()))?;
            return Self::of_file("standard input".to_owned(), file, is_quiet);
        }
        let file = File::open(path).with_context(|| format!("open `{name}`"))?;
        let kind = file
            .metadata()
            .with_context(|| format!("open `{name}`"))?
            .file_type();
        if kind.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(error).with_context(|| format!("open `{name}`"));
        }
        let file = if kind.is_file() {
            file
        } else {
            let progress = progress_bar(None, is_quiet);
            spool(progress.wrap_read(file))?
        };
        Self::of_file(name, file, is_quiet)
    }

    fn of_file(name: String, file: File, is_quiet: bool) -> anyhow::Result<Self> {
        let length = file.metadata().with_context(|| format!("open `{name}`"))?;
        // It is read twice.
        let progress = progress_bar(Some(length.len().saturating_mul(2)), is_quiet);
        Ok(Self {
            name,
            file,
            progress,
        })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the progress bar away.
    pub(super) fn finish(&self) {
        self.progress.finish_and_clear();
    }

    /// Hands out each line with its number, from 1, without its end; returns the SHA-256 of the
    /// uncompressed content that was read.
    ///
    /// Of a line that is longer than [`MAX_LINE_BYTES`], one byte more than that is handed out.
    pub(super) fn each_line(
        &self,
        mut each: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let reading = || format!("read `{}`", self.name);
        (&self.file).rewind().with_context(reading)?;
        let mut content = BufReader::new(Digesting {
            inner: unpacked(self.progress.wrap_read(&self.file)).with_context(reading)?,
            digest: Sha256::new(),
        });
        let mut line = Vec::new();
        let mut number = 0_u64;
        while read_line(&mut content, &mut line)
            .with_context(|| format!("read `{}` after line {number}", self.name))?
        {
            number += 1;
            let text = match number {
                1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line),
                _ => &line,
            };
            each(number, text)?;
        }
        let digest = content.into_inner().digest.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn progress_bar(length: Option<u64>, is_quiet: bool) -> ProgressBar {
    let target = if is_quiet {
        ProgressDrawTarget::hidden()
    } else {
        // Draws nothing where standard error is no terminal.
        ProgressDrawTarget::stderr()
    };
    let template = match length {
        Some(_) => "{wide_bar} {percent:>3} %  {eta} left",
        None => "{bytes} read",
    };
    let style = ProgressStyle::with_template(template);
    ProgressBar::with_draw_target(length, target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn spool(mut from: impl Read) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile().with_context(|| {
        let directory = std::env::temp_dir();
        format!("make a temporary file in `{}`", directory.display())
    })?;
    io::copy(&mut from, &mut file).context("spool what is read into a temporary file")?;
    Ok(file)
}

/// Unpacks what the first bytes say is packed.
fn unpacked<'a>(file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut file = BufReader::new(file);
    let start = file.fill_buf()?;
    Ok(if start.starts_with(GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(file))
    } else if start.starts_with(ZSTD_MAGIC) {
        let mut decoder = Decoder::with_buffer(file)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Box::new(decoder)
    } else {
        Box::new(file)
    })
}

/// Reads a line without its end; false at the end of the content. What a line has beyond one byte
/// more than is allowed is read and dropped, so that memory stays bounded.
fn read_line(content: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = MAX_LINE_BYTES as u64 + 1;
    if content.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE_BYTES {
        content.skip_until(b'\n')?;
    }
    Ok(true)
}

/// Hashes what is read through it.
struct Digesting<Inner> {
    inner: Inner,
    digest: Sha256,
}

impl<Inner: Read> Read for Digesting<Inner> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digest.update(&buffer[..length]);
        Ok(length)
    }
}
