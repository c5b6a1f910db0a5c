//! Programs that run beside the trials, and why one could not.

use std::{
    io,
    process::{Child, Command, Stdio},
};

use libtest_mimic::{Completion, Failed};

use super::requirements::not_tried;

/// Why nothing was tried.
#[derive(Clone, Debug)]
pub(crate) enum Untried {
    Lacking(String),
    Broken(String),
}

impl From<String> for Untried {
    fn from(cause: String) -> Self {
        Self::Broken(cause)
    }
}

impl From<io::Error> for Untried {
    fn from(cause: io::Error) -> Self {
        Self::Broken(cause.to_string())
    }
}

impl Untried {
    /// The end of a trial that came to nothing: what is lacking is `feature`.
    pub(crate) fn conclude(&self, trial: &str, feature: &str) -> Result<Completion, Failed> {
        match self {
            Self::Lacking(why) => not_tried(trial, feature, why),
            Self::Broken(why) => Err(why.into()),
        }
    }
}

/// A running program, which nobody hears; ended when dropped.
pub(crate) struct Beside(pub(crate) Child);

impl Beside {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Untried> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.map(Self).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => {
                Untried::Lacking(format!("there is no {}", command.get_program().display()))
            }
            _ => cause.into(),
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The arguments with which dnsmasq does nothing but what the others say.
pub(crate) fn dnsmasq() -> Command {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"])
        .args(["--no-hosts", "--user=root", "--pid-file="])
        .arg("--log-facility=-");
    command
}
