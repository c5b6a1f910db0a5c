//! Where the observed processes' files lie, and how the processes are started.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use egress_baseline::{
    canary::{Lab, LabError},
    model::text_of_bytes,
};
use tempfile::TempDir;

use super::child::Report;

/// A directory beside this binary, so that it can be hard-linked there, and the laboratory.
pub(crate) struct Workshop {
    directory: TempDir,
    own_binary: PathBuf,
    /// The network that the processes are put into.
    pub(crate) lab: Lab,
}

/// A process that has ended, as its parent knows it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its process id.
    pub(crate) pid: u32,
    /// The file that was executed.
    pub(crate) exe: PathBuf,
    /// Its arguments, its own name included.
    pub(crate) argv: Vec<OsString>,
    /// What it said.
    pub(crate) report: Report,
}

impl Run {
    /// The path as the store writes it.
    pub(crate) fn exe_text(&self) -> String {
        text_of(&self.exe)
    }

    /// The arguments as the store writes them.
    pub(crate) fn argv_text(&self) -> Vec<String> {
        self.argv
            .iter()
            .map(|word| text_of_bytes(word.as_bytes()))
            .collect()
    }
}

/// Any path or word as the store writes it.
pub(crate) fn text_of(path: impl AsRef<OsStr>) -> String {
    text_of_bytes(path.as_ref().as_bytes())
}

impl Workshop {
    pub(crate) fn build() -> Result<Self, String> {
        Self::build_around(Lab::build())
    }

    /// One in which nothing is sent but by the processes that are started.
    pub(crate) fn build_quiet() -> Result<Self, String> {
        Self::build_around(Lab::build_quiet())
    }

    fn build_around(lab: Result<Lab, LabError>) -> Result<Self, String> {
        let own_binary = fs::canonicalize("/proc/self/exe").map_err(|cause| cause.to_string())?;
        let beside = own_binary.parent().unwrap_or(Path::new("/"));
        let directory = tempfile::Builder::new()
            .prefix("egress-kernel-")
            .tempdir_in(beside)
            .map_err(|cause| format!("make a directory in {}: {cause}", beside.display()))?;
        // Some of the processes are of other users.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
            .map_err(|cause| cause.to_string())?;
        Ok(Self {
            directory,
            own_binary,
            lab: lab.map_err(|cause| cause.to_string())?,
        })
    }

    /// Builds the laboratory anew: its peer offers what the kernel has at that moment.
    pub(crate) fn rebuild_lab(&mut self) -> Result<(), String> {
        self.lab = Lab::build().map_err(|cause| cause.to_string())?;
        Ok(())
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A new directory in it.
    pub(crate) fn folder(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// This binary under another name.
    pub(crate) fn link(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        fs::hard_link(&self.own_binary, &path)?;
        Ok(path)
    }

    /// A command in the laboratory's network; `exe` is also its first argument.
    pub(crate) fn command(&self, exe: &Path) -> io::Result<Command> {
        let mut command = Command::new(exe);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.lab.place(&mut command)?;
        Ok(command)
    }

    /// The same at the other end of its cable.
    pub(crate) fn command_at_peer(&self, exe: &Path) -> io::Result<Command> {
        let mut command = Command::new(exe);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.lab.place_at_peer(&mut command)?;
        Ok(command)
    }

    /// Runs this binary under the name `name` with `arguments`, to its end.
    pub(crate) fn run<Word: AsRef<OsStr>>(
        &self,
        name: impl AsRef<Path>,
        arguments: &[Word],
    ) -> Result<Run, String> {
        let exe = self.link(name).map_err(|cause| cause.to_string())?;
        let mut command = self.command(&exe).map_err(|cause| cause.to_string())?;
        command.args(arguments);
        run_to_end(&exe, &mut command)
    }
}

/// Starts `command` and waits for its end and its report.
pub(crate) fn run_to_end(exe: &Path, command: &mut Command) -> Result<Run, String> {
    let child = command
        .spawn()
        .map_err(|cause| format!("start {}: {cause}", exe.display()))?;
    let argv: Vec<OsString> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_owned)
        .collect();
    finish(exe, argv, child)
}

/// Waits for the end of a process and its report.
pub(crate) fn finish(exe: &Path, argv: Vec<OsString>, child: Child) -> Result<Run, String> {
    let pid = child.id();
    let output = child
        .wait_with_output()
        .map_err(|cause| cause.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let report = said
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| {
            format!(
                "{} ended with {} and no report: {}",
                exe.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })?;
    Ok(Run {
        pid,
        exe: exe.to_owned(),
        argv,
        report,
    })
}
