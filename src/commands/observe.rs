//! `observe`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::error::CommandError;
use crate::{
    cli::{GlobalArgs, parse_duration},
    config::{BackendChoice, parse_flush_every},
    failure::Exit,
};

/// Arguments of `observe`.
#[derive(Debug, Args)]
pub struct ObserveArgs {
    /// Use these kernel hooks [default: auto]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<Backend>,
    /// Stop after this time, such as 30s, 5m, 2h or 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Record flows too that stay on this host
    #[arg(long)]
    pub include_loopback: bool,
    /// Store command lines with the secrets that are in them
    #[arg(long)]
    pub full_command_lines: bool,
    /// Write flows this often, from 1s to 1h [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_flush_every)]
    pub flush_every: Option<Duration>,
}

/// A set of kernel hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The first that works
    Auto,
    /// Kprobes
    Kprobe,
    /// Cgroup hooks
    Cgroup,
}

impl From<Backend> for BackendChoice {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Kprobe => Self::Kprobe,
            Backend::Cgroup => Self::Cgroup,
        }
    }
}

/// Records outbound flows until stopped.
pub fn run(_args: &ObserveArgs, _global: &GlobalArgs) -> anyhow::Result<Exit> {
    Err(CommandError::CannotObserve.into())
}
