//! A process that holds a connection, as its parent knows it.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use super::{child::Report, workshop::text_of};

/// Loading and attaching, or several flush intervals, in an emulated machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A word that is hostile to whoever prints it.
const HOSTILE: &[u8] = b"two\nlines\x1b[31m\xff";

/// A process that holds a connection; ended when dropped.
pub(crate) struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) reports: Receiver<Report>,
    /// What it runs, as the store writes it.
    pub(crate) exe: String,
    /// Its arguments, as the store writes them.
    pub(crate) argv: Vec<String>,
}

impl Holder {
    /// Starts `exe`, which `command` begins with, as the part that `words` name.
    pub(crate) fn start(
        exe: PathBuf,
        mut command: Command,
        words: Vec<String>,
    ) -> Result<Self, String> {
        // Those that take a number take no more words.
        let tail = matches!(words[0].as_str(), "client" | "deleted" | "multipath");
        let hostile = tail.then(|| OsStr::from_bytes(HOSTILE));
        command
            .arg("--part-hold")
            .args(&words)
            .args(hostile)
            .stdin(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|cause| cause.to_string())?;
        let (sender, reports) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(report) = serde_json::from_str(&line)
                        && sender.send(report).is_err()
                    {
                        break;
                    }
                }
            });
        }
        let exe = text_of(exe);
        let argv = [exe.clone(), "--part-hold".to_owned()]
            .into_iter()
            .chain(words)
            .chain(hostile.map(text_of))
            .collect();
        Ok(Self {
            input: child.stdin.take(),
            child,
            reports,
            exe,
            argv,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says next.
    pub(crate) fn report(&self) -> Result<Report, String> {
        self.reports
            .recv_timeout(PATIENCE)
            .map_err(|cause| format!("{} says nothing: {cause}", self.exe))
    }

    /// Makes it send so many bytes.
    pub(crate) fn send(&mut self, bytes: u64) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{bytes}")
    }

    /// Makes it end.
    pub(crate) fn let_go(&mut self) {
        self.input = None;
    }

    /// Its last report, once it was let go.
    pub(crate) fn await_end(&mut self) -> Result<Report, String> {
        let report = self.report()?;
        self.child.wait().map_err(|cause| cause.to_string())?;
        Ok(report)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
