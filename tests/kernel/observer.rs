//! The program under test as a child.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Loading and attaching takes seconds in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) fn program() -> PathBuf {
    env::var_os("EGRESS_BINARY").map_or_else(
        || env!("CARGO_BIN_EXE_egress-baseline").into(),
        PathBuf::from,
    )
}

/// For a configuration's section `[observe]`.
pub(crate) const NO_SELF_CHECK: &str = "self_check = false\n";

/// A running observer; ended when dropped.
pub(crate) struct Observer {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// How an observer ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Everything on standard error.
    pub(crate) said: String,
}

impl Observer {
    /// Starts `observe` and waits for the line that says that all hooks are attached. It does not
    /// check itself: what that sends is in no test's account.
    pub(crate) fn start<Word: AsRef<OsStr>>(
        database: &Path,
        arguments: &[Word],
    ) -> Result<Self, String> {
        let configuration = database.with_extension("toml");
        // This very binary runs under hundreds of names, and is large.
        let limits = "[limits]\nlargest_hashed_megabytes = 8\n";
        fs::write(
            &configuration,
            format!("[observe]\n{NO_SELF_CHECK}{limits}"),
        )
        .map_err(|cause| cause.to_string())?;
        Self::start_with(database, Some(&configuration), arguments)
    }

    /// The same with a configuration of its own.
    pub(crate) fn start_with<Word: AsRef<OsStr>>(
        database: &Path,
        configuration: Option<&Path>,
        arguments: &[Word],
    ) -> Result<Self, String> {
        let mut command = observe_command(database, arguments);
        if let Some(configuration) = configuration {
            command.arg("--config").arg(configuration);
        }
        let mut observer = Self::launch(command)?;
        loop {
            match observer.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let is_ready = line.starts_with("observing");
                    observer.said.push(line);
                    if is_ready {
                        return Ok(observer);
                    }
                }
                Err(_) => {
                    return Err(format!(
                        "the observer did not begin to observe; it said:\n{}",
                        observer.said.join("\n")
                    ));
                }
            }
        }
    }

    fn launch(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| format!("start {}: {cause}", program().display()))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            child,
            lines,
            said: Vec::new(),
        })
    }

    /// Waits until it says a line that begins so.
    pub(crate) fn await_line(&mut self, beginning: &str) -> Result<(), String> {
        while !self.said.iter().any(|line| line.starts_with(beginning)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(_) => {
                    let said = self.said.join("\n");
                    return Err(format!("the observer never said `{beginning}`:\n{said}"));
                }
            }
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub(crate) fn await_end(mut self) -> Result<Ended, String> {
        // The reader ends with the observer's standard error, that is with the observer.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err("the observer does not end".to_owned());
                }
            }
        }
        let status = self.child.wait().map_err(|cause| cause.to_string())?;
        Ok(Ended {
            status,
            said: self.said.join("\n"),
        })
    }

    /// Sends `signal`.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).map_err(|errno| format!("signal the observer: {errno}"))
    }

    /// Sends `signal`, then waits for the end.
    pub(crate) fn stop_with(self, signal: Signal) -> Result<Ended, String> {
        self.signal(signal)?;
        self.await_end()
    }

    /// Runs `work` while the observer stands still, so that nothing is fetched from the kernel.
    pub(crate) fn while_paused<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        self.signal(Signal::STOP)?;
        let done = work();
        self.signal(Signal::CONT)?;
        Ok(done)
    }

    /// Waits until it says a line with these words.
    pub(crate) fn await_words(&mut self, words: &str) -> Result<(), String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).map_err(|_| {
                format!("`{words}` was not said; it said:\n{}", self.said.join("\n"))
            })?;
            let is_found = line.contains(words);
            self.said.push(line);
            if is_found {
                return Ok(());
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// The command line of an observer.
pub(crate) fn observe_command<Word: AsRef<OsStr>>(database: &Path, arguments: &[Word]) -> Command {
    let mut command = Command::new(program());
    command
        .arg("--db")
        .arg(database)
        .arg("observe")
        .args(arguments);
    command
}

/// Runs another command of the program on `database`.
pub(crate) fn ask(database: &Path, arguments: &[&str]) -> Result<Output, String> {
    Command::new(program())
        .arg("--db")
        .arg(database)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| format!("start {}: {cause}", program().display()))
}
