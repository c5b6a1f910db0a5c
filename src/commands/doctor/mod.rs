//! `doctor`.

mod beside;
mod conditions;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::beside::Beside;
use super::{
    now,
    observe::{self, ObserveArgs},
    output,
};
use crate::{
    canary::{Kind, Lab, LabError, Scope, kinds},
    capture::surroundings,
    commands::Exit,
    commands::options::{Format, GlobalArgs},
    config::{Config, ConfigError},
    daemon::{Attached, DaemonError, Plan, watch_while},
    proof::{Ledger, Observed, Program, Proved, Trial, hindrance, make_all, prove, quick_kinds},
    report::doctor::{BackendReport, DoctorReport, KindReport, write_text},
};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Use these kernel hooks [default: the configuration's, else auto]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<observe::Backend>,
    /// Make only the few kinds that nearly every program makes
    #[arg(long)]
    pub quick: bool,
    /// Keep the result in the database, beside what a running observer records
    #[arg(long)]
    pub record: bool,
    /// Do nothing where the configuration turns the self-check off
    #[arg(long)]
    pub unless_off: bool,
    /// Write it in this form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The hooks could not be turned on.
    #[error(transparent)]
    Watch(#[from] DaemonError),
    /// There is nowhere to make canary flows.
    #[error("make a place for canary flows")]
    Lab(#[from] LabError),
    /// This program's own file cannot be found.
    #[error("find this program's file")]
    Program(#[source] std::io::Error),
    /// Not one of the flows could be made.
    #[error("{0}")]
    NothingMade(String),
    /// No observer records into the database.
    #[error("no observer records into `{0}`")]
    NoObserver(String),
    /// What these hooks see proves nothing of the observer's.
    #[error("the observer records through backend `{observer}`, not `{asked}`")]
    OtherBackend {
        /// The backend of the observer.
        observer: String,
        /// The backend that was asked for.
        asked: String,
    },
}

/// Proves of each kind of flow that it is seen.
pub fn run(args: &DoctorArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let config = Config::read(global.config.as_deref())?;
    if args.unless_off && config.observe.self_check == Some(false) {
        return Ok(Exit::Done);
    }
    let mut plan = plan(args, global, &config)?;
    let beside = args.record.then(|| Beside::observer_of(&global.db));
    let mut beside = beside.transpose()?;
    if let Some(beside) = &beside {
        plan.capture.backend = Some(beside.backend(args.backend)?);
    }
    let around = surroundings();
    let conditions = conditions::conditions(&around);
    let mut report = DoctorReport::of_host(now(), around.kernel, conditions);
    let outcome = examine(args, global, &plan, &mut report).map_err(anyhow::Error::from);
    report.at = now();
    if let Err(error) = &outcome {
        report.obstacle = Some(format!("{error:#}"));
    }
    output::write_document(&report, args.format, |out| write_text(&report, out))?;
    if let Some(beside) = &mut beside {
        // That nothing could be proved is a result that must not be missing.
        beside.record(&report)?;
    }
    outcome?;
    Ok(match report.has_missed() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

/// As `observe` would, but that what stays on the host is left out: whether it is, is proved too.
fn plan(args: &DoctorArgs, global: &GlobalArgs, config: &Config) -> Result<Plan, ConfigError> {
    let observing = ObserveArgs {
        backend: args.backend,
        duration: None,
        include_loopback: false,
        full_command_lines: false,
        flush_every: None,
        no_self_check: true,
    };
    let mut plan = observe::plan(&observing, global, config)?;
    plan.capture.include_loopback = false;
    plan.scope.include_loopback = false;
    // Who makes the flows is known.
    plan.provenance = None;
    // It writes nothing, and needs its privileges until it is done.
    plan.account = None;
    Ok(plan)
}

fn examine(
    args: &DoctorArgs,
    global: &GlobalArgs,
    plan: &Plan,
    report: &mut DoctorReport,
) -> Result<(), DoctorError> {
    let program = Program::own().map_err(DoctorError::Program)?;
    let kinds = match args.quick {
        true => quick_kinds(),
        false => kinds().iter().collect(),
    };
    let (sung, batches) = watch_while(plan, |attached| {
        report.backend = Some(backend_report(attached));
        sing(&kinds, &program, global)
    })?;
    let Sung { lab, trials } = sung?;
    let mut ledger = Ledger::default();
    for batch in batches {
        ledger.take(batch.flows, &batch.retracted);
    }
    let backend = report.backend.as_ref();
    let observed = Observed {
        backend: backend.map_or_else(String::new, |backend| backend.name.clone()),
        blind_spots: backend.map_or_else(Vec::new, |backend| backend.blind_spots.clone()),
        network_namespace: inode_of(&lab)?,
    };
    report.exe = Some(program.exe());
    let proved = prove(&trials, &observed, &ledger);
    let hindrance = hindrance(&proved);
    report.kinds = proved.into_iter().map(kind_report).collect();
    hindrance.map_or(Ok(()), |why| Err(DoctorError::NothingMade(why)))
}

/// Canaries that were made, in a laboratory that must be there until all was recorded.
struct Sung {
    lab: Lab,
    trials: Vec<Trial>,
}

fn sing(
    kinds: &[&'static Kind],
    program: &Program,
    global: &GlobalArgs,
) -> Result<Sung, DoctorError> {
    let lab = Lab::build_for(kinds)?;
    let progress = progress(kinds.len(), global.quiet);
    let trials = make_all(&lab, kinds, program, &|| progress.inc(1));
    progress.finish_and_clear();
    Ok(Sung { lab, trials })
}

fn inode_of(lab: &Lab) -> Result<u32, DoctorError> {
    let inode = lab.namespace_inode().map_err(LabError::Namespace)?;
    Ok(u32::try_from(inode).unwrap_or(0))
}

fn progress(kinds: usize, is_quiet: bool) -> ProgressBar {
    let target = match is_quiet {
        true => ProgressDrawTarget::hidden(),
        // Draws nothing where standard error is no terminal.
        false => ProgressDrawTarget::stderr(),
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} kinds");
    ProgressBar::with_draw_target(Some(kinds as u64), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn backend_report(attached: &Attached) -> BackendReport {
    BackendReport {
        name: attached.backend.name().to_owned(),
        failures: attached.failures.clone(),
        blind_spots: attached.blind_spots.clone(),
    }
}

fn kind_report(proved: Proved) -> KindReport {
    KindReport {
        checked: proved.checked,
        is_egress: proved.scope == Scope::Egress,
        recorded: proved.seen_as.into_iter().map(Into::into).collect(),
    }
}
