//! `observe`.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};

use crate::{
    capture::{self, Limits, Settings},
    commands::Exit,
    commands::options::{GlobalArgs, parse_duration},
    config::{BackendChoice, Config, ConfigError, LimitsConfig, parse_flush_every},
    daemon::{self, Plan, Reload, Summary, WaitingLimits},
    identity::facts::{self, ExamineLimits},
    model::Verdict,
    pipeline::Scope,
    report::{counted, self_check::finding, visible},
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
    /// Make no canary flows: something else proves that flows are seen
    #[arg(long)]
    pub no_self_check: bool,
}

/// A set of kernel hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The first that works
    Auto,
    /// Trampolines (fentry, fexit)
    Fexit,
    /// Kprobes
    Kprobe,
    /// Cgroup hooks
    Cgroup,
}

impl Backend {
    /// The set itself, unless the first that works is asked for.
    pub(super) fn hooks(self) -> Option<capture::Backend> {
        hooks_of(self.into())
    }
}

impl From<Backend> for BackendChoice {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Fexit => Self::Fexit,
            Backend::Kprobe => Self::Kprobe,
            Backend::Cgroup => Self::Cgroup,
        }
    }
}

const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// Where facts of this host are read.
const ROOT: &str = "/";

/// Records outbound flows until stopped.
pub fn run(args: &ObserveArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let mut read_plan = || plan(args, global, &Config::read(global.config.as_deref())?);
    let plan = read_plan()?;
    let mut voice = Voice::new(global, &plan);
    // Whoever watches it on a terminal is gone with it: then SIGHUP is the end.
    let reread: Option<daemon::Reread<'_>> = match io::stderr().is_terminal() {
        true => None,
        false => Some(&mut read_plan),
    };
    let outcome = daemon::run(plan, reread, &mut |summary| voice.tell(summary));
    voice.finish(outcome.is_ok());
    outcome?;
    Ok(Exit::Done)
}

pub(super) fn plan(
    args: &ObserveArgs,
    global: &GlobalArgs,
    config: &Config,
) -> Result<Plan, ConfigError> {
    let root = Path::new(ROOT);
    let wanted = args
        .backend
        .map(BackendChoice::from)
        .or(config.observe.backend);
    let include_loopback =
        args.include_loopback || config.observe.include_loopback.unwrap_or(false);
    Ok(Plan {
        database: global.db.clone(),
        capture: Settings {
            backend: wanted.and_then(hooks_of),
            include_loopback,
            names: config.observe.names.unwrap_or(true),
            limits: limits(&config.limits),
        },
        scope: Scope {
            host: facts::host_name(root).unwrap_or_else(|| "localhost".to_owned()),
            boot_id: facts::boot_id(root),
            full_command_lines: args.full_command_lines
                || config.observe.full_command_lines.unwrap_or(false),
            include_loopback,
        },
        flush_every: args
            .flush_every
            .or(config.observe.flush_every)
            .unwrap_or(FLUSH_EVERY),
        duration: args.duration,
        provenance: config
            .observe
            .provenance
            .unwrap_or(true)
            .then(|| examining(&config.limits)),
        waiting: waiting(&config.limits),
        retention: config.retention.clone(),
        account: account(root, config.service.user.as_deref())?,
        self_check: !args.no_self_check && config.observe.self_check.unwrap_or(true),
    })
}

fn hooks_of(choice: BackendChoice) -> Option<capture::Backend> {
    match choice {
        BackendChoice::Auto => None,
        BackendChoice::Fexit => Some(capture::Backend::Fexit),
        BackendChoice::Kprobe => Some(capture::Backend::Kprobe),
        BackendChoice::Cgroup => Some(capture::Backend::Cgroup),
    }
}

fn account(root: &Path, user: Option<&str>) -> Result<Option<facts::Account>, ConfigError> {
    user.map(|user| {
        facts::account_named(root, user).ok_or_else(|| ConfigError::UnknownUser {
            user: user.to_owned(),
        })
    })
    .transpose()
}

fn limits(config: &LimitsConfig) -> Limits {
    let usual = Limits::default();
    Limits {
        ring_bytes: config.ring_bytes.unwrap_or(usual.ring_bytes),
        connections: config.connections.unwrap_or(usual.connections),
        connecting: config.connecting.unwrap_or(usual.connecting),
        datagram_contacts: config.datagram_contacts.unwrap_or(usual.datagram_contacts),
        known_processes: config.known_processes.unwrap_or(usual.known_processes),
        conversations: config.conversations.unwrap_or(usual.conversations),
        known_cgroups: config.known_cgroups.unwrap_or(usual.known_cgroups),
        own_addresses: config.own_addresses.unwrap_or(usual.own_addresses),
        identifying: config.identifying.unwrap_or(usual.identifying),
    }
}

fn examining(config: &LimitsConfig) -> ExamineLimits {
    let usual = ExamineLimits::default();
    let bytes = |megabytes: u32| u64::from(megabytes) * 1_000_000;
    ExamineLimits {
        largest_file: config
            .largest_hashed_megabytes
            .map_or(usual.largest_file, bytes),
        bytes_per_second: config
            .hashed_megabytes_per_second
            .map_or(usual.bytes_per_second, bytes),
        waiting: config.waiting_files.map_or(usual.waiting, |files| {
            usize::try_from(files).unwrap_or(usize::MAX)
        }),
    }
}

fn waiting(config: &LimitsConfig) -> WaitingLimits {
    let usual = WaitingLimits::default();
    WaitingLimits {
        contacts: config.contacts.unwrap_or(usual.contacts),
        flows: config.waiting_flows.unwrap_or(usual.flows),
    }
}

/// Tells the operator how it goes, on standard error: a line once all hooks are on, on a terminal
/// one that is renewed, and what goes wrong.
struct Voice {
    database: String,
    is_quiet: bool,
    is_terminal: bool,
    since: Option<Instant>,
    trouble: Option<String>,
    has_told_check: bool,
    last: Option<String>,
}

impl Voice {
    fn new(global: &GlobalArgs, plan: &Plan) -> Self {
        Self {
            database: visible(&plan.database.display().to_string()).to_string(),
            is_quiet: global.quiet,
            is_terminal: io::stderr().is_terminal(),
            since: None,
            trouble: None,
            has_told_check: false,
            last: None,
        }
    }

    fn tell(&mut self, summary: &Summary) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            for failure in &summary.failures {
                let reason = visible(&failure.reason).to_string();
                self.line(&format!(
                    "backend {} cannot be used: {reason}",
                    failure.backend
                ));
            }
            let (backend, database) = (summary.backend, self.database.clone());
            self.line(&format!(
                "observing through backend {backend}, into {database}"
            ));
        }
        self.tell_trouble(summary);
        if let Some(reload) = &summary.reload {
            self.tell_reload(reload);
        }
        self.tell_check(summary);
        let line = self.state(summary);
        if self.is_terminal && !self.is_quiet && self.last.as_ref() != Some(&line) {
            self.write(&format!("\r\x1b[K{line}"));
        }
        self.last = Some(line);
    }

    /// Once: what canary flows proved.
    fn tell_check(&mut self, summary: &Summary) {
        let Some(check) = summary.self_check.as_ref().filter(|_| !self.has_told_check) else {
            return;
        };
        self.has_told_check = true;
        let (start, text) = (self.line_start(), finding(check));
        let text = visible(&text);
        match check.count(Verdict::Missed) {
            0 => self.line(&format!("{start}self-check: {text}")),
            _ => self.write(&format!(
                "{start}warning: self-check: {text}: see `egress-baseline status`\n"
            )),
        }
    }

    fn tell_trouble(&mut self, summary: &Summary) {
        let retention = summary
            .retention
            .as_ref()
            .and_then(|done| done.as_ref().err());
        let trouble = match (&summary.store_failure, retention) {
            (Some(error), _) => Some(format!("flows are kept in memory: {error}")),
            (None, Some(error)) => Some(format!("retention was not applied: {error}")),
            (None, None) => None,
        };
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(text) => self.write(&format!(
                "{}warning: {}\n",
                self.line_start(),
                visible(text)
            )),
            None => self.write(&format!(
                "{}the database is written again\n",
                self.line_start()
            )),
        }
        self.trouble = trouble;
    }

    fn tell_reload(&self, reload: &Reload) {
        let start = self.line_start();
        match reload {
            Reload::Done {
                changed,
                needs_restart,
            } => {
                let mut text = match changed.as_slice() {
                    [] => "nothing that can change while it runs is different".to_owned(),
                    names => format!("changed: {}", names.join(", ")),
                };
                if !needs_restart.is_empty() {
                    text.push_str("; needs a restart: ");
                    text.push_str(&needs_restart.join(", "));
                }
                self.line(&format!("{start}configuration read again; {text}"));
            }
            Reload::Failed(error) => self.write(&format!(
                "{start}warning: the configuration was not taken over, the old settings stay: {}\n",
                visible(&chain(error))
            )),
            Reload::NotStored(error) => self.write(&format!(
                "{start}warning: the new settings hold, but are not in the database: {}\n",
                visible(&chain(error))
            )),
        }
    }

    fn state(&self, summary: &Summary) -> String {
        let seconds = self.since.map_or(0, |since| since.elapsed().as_secs());
        let attempts = counted(summary.attempts, "attempt", "attempts");
        let losses = match summary.losses {
            0 => "nothing lost".to_owned(),
            losses => format!("{losses} lost, see `status`"),
        };
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        format!("observed for {minutes}:{seconds:02}: {attempts}, {losses}")
    }

    fn finish(&mut self, is_in_order: bool) {
        if self.is_terminal && !self.is_quiet && self.since.is_some() {
            self.write("\n");
        } else if is_in_order && let Some(line) = self.last.take() {
            self.line(&line);
        }
    }

    fn line(&self, text: &str) {
        if !self.is_quiet {
            self.write(&format!("{text}\n"));
        }
    }

    /// Clears what the renewed line left.
    fn line_start(&self) -> &'static str {
        if self.is_terminal { "\r\x1b[K" } else { "" }
    }

    fn write(&self, text: &str) {
        // Nobody listening is no reason to stop observing.
        drop(io::stderr().write_all(text.as_bytes()));
    }
}

/// An error with its causes, after colons.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
