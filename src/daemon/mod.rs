//! Watches this host until told to stop.
//!
//! A plain thread owns capture and pipeline and hands over whole batches; here, they are written. The
//! channel between them has no bound of its own, so that nothing is lost in it; what waits is bounded
//! by `backlog`, which counts what it drops.

mod backlog;
mod canaries;
mod namespaces;
mod privileges;
mod selfcheck;
mod summary;
mod watcher;
mod while_watching;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use self::{backlog::Backlog, selfcheck::SelfChecking};
pub use self::{
    summary::Summary,
    watcher::{Attached, WatchError},
    while_watching::watch_while,
};
use crate::{
    capture,
    config::RetentionConfig,
    mapping::map_by_present_rules,
    model::{Batch, WatchKind, WatchPeriod},
    pipeline::Scope,
    store::{Recorder, Retention, StoreError, WatchPeriodId},
};

/// What to observe, where to, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The database.
    pub database: PathBuf,
    /// Hooks.
    pub capture: capture::Settings,
    /// What is recorded of whom.
    pub scope: Scope,
    /// How often flows are written.
    pub flush_every: Duration,
    /// When to stop by itself.
    pub duration: Option<Duration>,
    /// What the database keeps.
    pub retention: RetentionConfig,
    /// Whether the quick part of the self-check is run once the hooks are on.
    pub self_check: bool,
}

/// Why observing came to an end that nobody asked for.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The hooks could not be turned on, or their thread ended.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime could not be set up.
    #[error("set up signals and timers")]
    Runtime(#[source] std::io::Error),
}

impl DaemonError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Watch(WatchError::Capture(error)) => Some(error.hint()),
            Self::Watch(WatchError::Thread(_)) | Self::Runtime(_) => {
                Some("the limits on threads and open files may be too low".to_owned())
            }
            Self::Watch(WatchError::Died) => {
                Some("this is a defect: please report it with the last lines above".to_owned())
            }
            Self::Store(error) => error.hint(),
        }
    }
}

/// How often retention is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(3_600);

/// How often an operator's line is renewed, and the service manager told that all is well.
const TICK: Duration = Duration::from_millis(500);

/// Observes until a signal, or until the plan's time is over, and tells `tell` how it goes.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&Summary)) -> Result<(), DaemonError> {
    // First, so that a database is not made for nothing.
    capture::check().map_err(WatchError::from)?;
    // A thread has the privileges of the one that starts it.
    let check = SelfChecking::prepare(plan);
    let mut recorder = Recorder::open_for_observer(&plan.database)?;
    map_by_present_rules(&mut recorder)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?
        .block_on(observe(plan, check, &mut recorder, tell))
}

struct Watch {
    thread: JoinHandle<()>,
    should_stop: Arc<AtomicBool>,
    batches: mpsc::UnboundedReceiver<Batch>,
    attached: Attached,
}

async fn start(plan: &Plan) -> Result<Watch, DaemonError> {
    let should_stop = Arc::new(AtomicBool::new(false));
    let (batch_sender, batches) = mpsc::unbounded_channel();
    let (ready_sender, ready) = oneshot::channel();
    let thread = watcher::spawn(plan, Arc::clone(&should_stop), ready_sender, batch_sender)?;
    let attached = ready.await.map_err(|_| WatchError::Died)??;
    Ok(Watch {
        thread,
        should_stop,
        batches,
        attached,
    })
}

fn watch_period(plan: &Plan, attached: &Attached) -> WatchPeriod {
    WatchPeriod {
        kind: WatchKind::Observe,
        host: plan.scope.host.clone(),
        boot_id: plan.scope.boot_id.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: Some(attached.backend.name().to_owned()),
        backend_failures: attached.failures.clone(),
        blind_spots: attached.blind_spots.clone(),
        settings: serde_json::json!({
            "include_loopback": plan.scope.include_loopback,
            "full_command_lines": plan.scope.full_command_lines,
            "flush_every_ns": u64::try_from(plan.flush_every.as_nanos()).unwrap_or(u64::MAX),
            "ring_bytes": plan.capture.limits.ring_bytes,
            "connections": plan.capture.limits.connections,
            "datagram_contacts": plan.capture.limits.datagram_contacts,
            "known_processes": plan.capture.limits.known_processes,
        }),
        source: None,
        started: attached.since,
        covered_until: attached.since,
        ended: None,
    }
}

async fn observe(
    plan: &Plan,
    mut check: SelfChecking,
    recorder: &mut Recorder,
    tell: &mut dyn FnMut(&Summary),
) -> Result<(), DaemonError> {
    // Before anything is turned on, so that a signal in between ends it in good order.
    let mut signals = Signals::listen()?;
    let mut watch = start(plan).await?;
    let period = recorder.begin(&watch_period(plan, &watch.attached))?;
    let mut summary = Summary::new(&watch.attached);
    tell(&summary);
    notify(&[NotifyState::Ready]);
    check.begin(&watch.attached);
    let mut backlog = Backlog::default();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let deadline = Instant::now() + plan.duration.unwrap_or(Duration::MAX / 4).min(A_CENTURY);
    let mut retention_due = Instant::now() + RETENTION_EVERY;
    loop {
        select! {
            batch = watch.batches.recv() => match batch {
                Some(mut batch) => {
                    check.take_out_of(&mut batch);
                    summary.count(&batch);
                    backlog.push(batch);
                    summary.store_failure = backlog.write(recorder, period);
                    tell(&summary);
                }
                None => break,
            },
            () = signals.any() => watch.stop(),
            // A deadline that is past would be met again at once, for as long as the last drain takes.
            () = sleep_until(deadline), if !watch.is_stopping() => watch.stop(),
            _ = tick.tick() => {
                notify(&[NotifyState::Watchdog]);
                check.go_on(recorder, period, &mut summary);
                tell(&summary);
                if retention_due <= Instant::now() {
                    retention_due = Instant::now() + RETENTION_EVERY;
                    summary.retention = Some(recorder.prune(&retention(&plan.retention)));
                }
            }
        }
    }
    check.end(recorder, period, &mut summary);
    tell(&summary);
    finish(watch, recorder, period, backlog)
}

fn retention(kept: &RetentionConfig) -> Retention {
    Retention::as_of(
        capture::now(),
        kept.detail_days,
        kept.max_megabytes,
        kept.rollup_days,
    )
}

/// Longer than any host is up, and short enough to be added to a time.
const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Watch {
    fn is_stopping(&self) -> bool {
        self.should_stop.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        if !self.should_stop.swap(true, Ordering::Relaxed) {
            notify(&[NotifyState::Stopping]);
        }
    }
}

fn finish(
    watch: Watch,
    recorder: &mut Recorder,
    period: WatchPeriodId,
    mut backlog: Backlog,
) -> Result<(), DaemonError> {
    let was_asked = watch.is_stopping();
    watch.thread.join().map_err(|_| WatchError::Died)?;
    if let Some(failure) = backlog.write(recorder, period) {
        return Err(failure.into());
    }
    recorder.end(period, capture::now())?;
    if was_asked {
        Ok(())
    } else {
        Err(WatchError::Died.into())
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, DaemonError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(DaemonError::Runtime)?,
            terminate: signal(SignalKind::terminate()).map_err(DaemonError::Runtime)?,
        })
    }

    async fn any(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Tells the service manager, if there is one; it not listening is no reason to stop.
fn notify(states: &[NotifyState<'_>]) {
    drop(sd_notify::notify(states));
}
