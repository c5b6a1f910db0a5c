//! The program, run in a directory of its own with a database of its own.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Run {
    /// Standard output of a run that ended well and had nothing to complain about.
    #[track_caller]
    pub(super) fn told(self) -> String {
        assert_eq!(
            (self.status, self.stderr.as_str()),
            (Some(0), ""),
            "{self:?}"
        );
        self.stdout
    }

    /// Standard error of a run that could not do what it was asked.
    #[track_caller]
    pub(super) fn complaint(self) -> String {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (Some(2), ""),
            "{self:?}"
        );
        self.stderr
    }
}

/// A directory with a database in it, which need not exist.
#[derive(Debug)]
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
        }
    }

    /// A place whose database holds these lines.
    #[track_caller]
    pub(super) fn with(lines: &str) -> Self {
        let place = Self::new();
        place.file("flows.ndjson", lines.as_bytes());
        place.run(&["import", "flows.ndjson"]).told();
        place
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a temporary file can be written");
        path
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with_input(arguments, b"")
    }

    pub(super) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A program that complains early does not read on.
        let _may_be_cut_short = stdin.write_all(input);
        drop(stdin);
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().expect("the program ends");
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Run {
            status: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// The program with the place's database; a configuration of this machine does not matter.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin!("egress-baseline"));
        command
            .current_dir(self.path())
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .args(["--db", "flows.db"])
            .args(arguments);
        command
    }
}

/// A dump as an observer's database gives it: one host, two watch periods of which the first broke
/// off, a service with two runs, and a program of a user that chose its name badly.
pub(super) const OBSERVED: &str = include_str!("../fixtures/observed.ndjson");
