//! How a command that could not do its work is told to the operator, and the exit status.

use std::{io, io::Write, process::ExitCode};

use anstyle::{AnsiColor, Style};

use crate::{
    canary::LabError,
    commands::{Exit, doctor::DoctorError, error::CommandError},
    config::ConfigError,
    daemon::DaemonError,
    exchange::LineError,
    model::TimeError,
    report::visible,
    store::StoreError,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// A failure as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, causes after colons; none if nobody is left to be told.
    message: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    exit: Exit,
}

impl From<&anyhow::Error> for Failure {
    fn from(error: &anyhow::Error) -> Self {
        if is_broken_pipe(error) {
            return Self {
                message: None,
                hint: None,
                exit: Exit::Done,
            };
        }
        Self {
            message: Some(message_of(error)),
            hint: error.chain().find_map(hint_of),
            exit: Exit::Failed,
        }
    }
}

impl Failure {
    /// Writes it to standard error and returns the exit status.
    pub fn report(&self) -> ExitCode {
        // Standard error is the last place that could be told of a failure to write to it.
        drop(self.write(&mut anstream::stderr()));
        self.exit.into()
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(message) = &self.message {
            writeln!(out, "{ERROR}error:{ERROR:#} {}", visible(message))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "{HINT}hint:{HINT:#} {}", visible(hint))?;
        }
        out.flush()
    }
}

/// The reader of a pipe that went away has what it wanted.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        let json = cause.downcast_ref::<serde_json::Error>();
        io.map(io::Error::kind)
            .or_else(|| json.and_then(serde_json::Error::io_error_kind))
            == Some(io::ErrorKind::BrokenPipe)
    })
}

/// The chain of causes, leaving out one that its predecessor already told.
fn message_of(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if message.ends_with(&text) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&text);
    }
    message
}

fn hint_of(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<DaemonError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<DoctorError>() {
        return doctor_hint(error);
    }
    if let Some(error) = cause.downcast_ref::<CommandError>() {
        return command_hint(error).map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<LineError>() {
        return Some(line_hint(error));
    }
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        return Some(config_hint(error));
    }
    if cause.is::<TimeError>() {
        return Some("for instance `7d`, `2026-11-20` or `2026-11-20T06:00:00Z`".to_owned());
    }
    let error = cause.downcast_ref::<io::Error>()?;
    io_hint(error.kind()).map(str::to_owned)
}

fn doctor_hint(error: &DoctorError) -> Option<String> {
    match error {
        DoctorError::Watch(error) => error.hint(),
        DoctorError::Lab(LabError::Namespace(_)) => Some(
            "network namespaces need CAP_SYS_ADMIN: run it as root, on the host itself".to_owned(),
        ),
        DoctorError::Lab(LabError::Network(_)) => Some(
            "the program `ip` (package iproute2) and the kernel's veth devices are needed"
                .to_owned(),
        ),
        DoctorError::Lab(LabError::Setting { .. }) => {
            Some("`/proc/sys` must be writable, as it is on the host itself".to_owned())
        }
        DoctorError::Lab(LabError::NotIsolated(_) | LabError::Peer(_)) => {
            Some("`doctor --quick` needs less than all kinds of flow do".to_owned())
        }
        DoctorError::Program(_) => Some("`/proc` must be mounted".to_owned()),
        DoctorError::NothingMade(_) => {
            Some("run it as root, on the host itself and not confined".to_owned())
        }
        DoctorError::OtherBackend { .. } => Some(
            "leave `--backend` out, or `--record`; and let `observe` and `doctor` be of one version"
                .to_owned(),
        ),
        DoctorError::NoObserver(_) => Some(
            "start `egress-baseline observe` on that database first, or leave `--record` out"
                .to_owned(),
        ),
    }
}

fn config_hint(error: &ConfigError) -> String {
    match error {
        ConfigError::Unreadable { .. } => {
            "name a file that can be read with `--config`, or leave the option out".to_owned()
        }
        ConfigError::UnknownUser { .. } => {
            "make that account, or leave `user` out: `docs/service.md` says how".to_owned()
        }
        ConfigError::Invalid { .. } => {
            "correct that line; `docs/configuration.md` lists the settings".to_owned()
        }
    }
}

fn line_hint(error: &LineError) -> String {
    match error {
        LineError::UnknownKind(_) => "the file was written by a newer version: update \
            egress-baseline, or leave such lines out with `--skip-bad`"
            .to_owned(),
        LineError::TooLong
        | LineError::NotText(_)
        | LineError::NotJson(_)
        | LineError::NotAnObject
        | LineError::Missing(_)
        | LineError::Bad { .. }
        | LineError::Malformed { .. } => "nothing was imported; correct the line, or import the \
            others with `--skip-bad`; `docs/ndjson.md` describes the format"
            .to_owned(),
    }
}

fn command_hint(error: &CommandError) -> Option<&'static str> {
    match error {
        CommandError::NothingIs { .. } => Some(
            "`egress-baseline report` lists applications; flow ids are in `egress-baseline \
             explain APPLICATION` and in `egress-baseline dump`",
        ),
        CommandError::BadExcept { .. } => Some(
            "write two times with two dots between, such as `2026-11-20..2026-11-21` or `7d..6d`",
        ),
        CommandError::EmptyWindow { .. } => Some("swap the two times, or leave one out"),
        CommandError::ChangedWhileRead { .. } => {
            Some("nothing was imported; import a copy that nobody writes to")
        }
        // The line's own error, which is its cause, has the hint.
        CommandError::BadLine { .. } => None,
    }
}

fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::PermissionDenied => Some("run as a user who may, for instance root"),
        io::ErrorKind::StorageFull => Some("make room there and try again"),
        io::ErrorKind::IsADirectory => Some("name a file"),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Some("the file seems to be damaged: get it again")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::{Exit, Failure};

    fn shown(failure: &Failure) -> String {
        let mut written = Vec::new();
        failure
            .write(&mut anstream::StripStream::new(&mut written))
            .unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn causes_follow_after_colons_and_control_characters_are_escaped() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied))
            .context("open `a\u{1b}[2Jb`")
            .unwrap_err();
        assert_eq!(
            shown(&Failure::from(&error)),
            "error: open `a\\u{1b}[2Jb`: permission denied\n\
             hint: run as a user who may, for instance root\n"
        );
    }

    #[test]
    fn a_broken_pipe_is_no_failure_and_says_nothing() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe))
            .context("write the report");
        let failure = Failure::from(&error);
        assert_eq!(shown(&failure), "");
        assert_eq!(failure.exit, Exit::Done);
    }
}
