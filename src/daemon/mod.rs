//! Watches this host until told to stop.
//!
//! A plain thread owns capture and pipeline and hands over whole batches; here, they are written. The
//! channel between them has no bound of its own, so that nothing is lost in it; what waits is bounded
//! by `backlog`, which counts what it drops.

mod backlog;
mod canaries;
mod containers;
mod controls;
mod files;
mod manager;
mod namespaces;
mod period;
mod privileges;
mod reload;
mod resolvers;
mod selfcheck;
mod signals;
mod summary;
mod watchdog;
mod watcher;
mod while_watching;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    select,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use self::{
    backlog::{Backlog, Flushed},
    controls::Controls,
    manager::{notify, notify_reloading},
    period::{settings, watch_period},
    resolvers::Resolvers,
    selfcheck::SelfChecking,
    signals::{Asked, Signals},
    watchdog::Watchdog,
    watcher::ROOT,
};
pub use self::{
    privileges::PrivilegeError,
    reload::Reload,
    summary::Summary,
    watcher::{Attached, WatchError},
    while_watching::watch_while,
};
use crate::{
    capture,
    config::{ConfigError, RetentionConfig},
    identity::facts::{Account, ExamineLimits},
    mapping::map_by_present_rules,
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
    /// How the files that run are examined, if they are.
    pub provenance: Option<ExamineLimits>,
    /// How much may wait in memory to be written.
    pub waiting: WaitingLimits,
    /// What the database keeps.
    pub retention: RetentionConfig,
    /// Whom to become once the hooks are on.
    pub account: Option<Account>,
    /// Whether the quick part of the self-check is run once the hooks are on.
    pub self_check: bool,
}

/// Makes the plan anew from the configuration as it is now.
pub type Reread<'a> = &'a mut dyn FnMut() -> Result<Plan, ConfigError>;

/// Bounds of what waits in memory to be written; what is beyond is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Sums between two flushes.
    pub contacts: u32,
    /// Flows that a database has not taken yet.
    pub flows: u32,
}

impl Default for WaitingLimits {
    fn default() -> Self {
        Self {
            contacts: 200_000,
            flows: 500_000,
        }
    }
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
    /// Privileges could not be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
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
            Self::Privileges(error) | Self::Watch(WatchError::Privileges(error)) => {
                Some(error.hint())
            }
        }
    }
}

/// How often retention is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(3_600);

/// How often an operator's line is renewed, and the service manager told that all is well.
const TICK: Duration = Duration::from_millis(500);

/// Observes until a signal, or until the plan's time is over, and tells `tell` how it goes.
///
/// SIGHUP makes the plan anew by `reread`; without it, that signal ends it like any other.
pub fn run(
    mut plan: Plan,
    reread: Option<Reread<'_>>,
    tell: &mut dyn FnMut(&Summary),
) -> Result<(), DaemonError> {
    // First, so that a database is not made for nothing.
    capture::check().map_err(WatchError::from)?;
    // A thread has the privileges of the one that starts it: these need what is given up below. The
    // one of the hooks waits until the store is open, that of the check until they are on.
    let waiting = watcher::spawn(&plan)?;
    let check = SelfChecking::prepare(&plan);
    let mut recorder = open_store(&plan)?;
    map_by_present_rules(&mut recorder)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?
        .block_on(observe(
            &mut plan,
            (waiting, check),
            &mut recorder,
            reread,
            tell,
        ))
}

/// Opens the database and leaves this thread without privileges. Where another user is to own the
/// database, it is opened as that user: root must not follow what is in a directory of others.
fn open_store(plan: &Plan) -> Result<Recorder, DaemonError> {
    if let Some(account) = &plan.account {
        privileges::prepare_place(&plan.database, account)?;
        privileges::give_up(Some(account), privileges::FOR_WRITING)?;
        return Ok(Recorder::open_for_observer(&plan.database)?);
    }
    let recorder = Recorder::open_for_observer(&plan.database)?;
    privileges::give_up(None, privileges::FOR_WRITING)?;
    Ok(recorder)
}

/// A thread that has not turned its hooks on yet; it ends if `go` is dropped.
struct Waiting {
    thread: JoinHandle<()>,
    controls: Arc<Controls>,
    go: oneshot::Sender<()>,
    ready: oneshot::Receiver<Result<Attached, WatchError>>,
    batches: mpsc::UnboundedReceiver<Flushed>,
}

struct Watch {
    thread: JoinHandle<()>,
    controls: Arc<Controls>,
    batches: mpsc::UnboundedReceiver<Flushed>,
    attached: Attached,
}

impl Waiting {
    async fn start(self) -> Result<Watch, DaemonError> {
        // A thread that is gone does not answer below.
        let _is_gone = self.go.send(()).is_err();
        let attached = self.ready.await.map_err(|_| WatchError::Died)??;
        Ok(Watch {
            thread: self.thread,
            controls: self.controls,
            batches: self.batches,
            attached,
        })
    }
}

async fn observe(
    plan: &mut Plan,
    (waiting, mut check): (Waiting, SelfChecking),
    recorder: &mut Recorder,
    mut reread: Option<Reread<'_>>,
    tell: &mut dyn FnMut(&Summary),
) -> Result<(), DaemonError> {
    // Before anything is turned on, so that a signal in between ends it in good order.
    let mut signals = Signals::listen()?;
    let mut watch = waiting.start().await?;
    let mut resolvers = Resolvers::of(Path::new(ROOT), watch.attached.since.now());
    let mut period = recorder.begin(&watch_period(plan, &watch.attached, &resolvers))?;
    let mut summary = Summary::new(&watch.attached);
    tell(&summary);
    notify(&[NotifyState::Ready]);
    check.begin(&watch.attached);
    let mut backlog = Backlog::new(plan.waiting.flows);
    let mut watchdog = Watchdog::of_service(Instant::now().into_std());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let deadline = Instant::now() + plan.duration.unwrap_or(Duration::MAX / 4).min(A_CENTURY);
    let mut retention_due = Instant::now() + RETENTION_EVERY;
    loop {
        select! {
            batch = watch.batches.recv() => match batch {
                Some(mut flushed) => {
                    check.take_out_of(&mut flushed.batch);
                    summary.count(&flushed.batch);
                    summary.losses += backlog.push(flushed);
                    summary.store_failure = backlog.write(recorder, &mut period);
                    tell(&summary);
                }
                None => break,
            },
            asked = signals.next() => match (asked, reread.as_mut()) {
                (Asked::HangUp, Some(reread)) => {
                    notify_reloading();
                    resolvers.read(capture::now());
                    summary.reload =
                        Some(watch.reload(plan, reread(), &mut resolvers, recorder, period));
                    tell(&summary);
                    summary.reload = None;
                    notify(&[NotifyState::Ready]);
                }
                (Asked::Stop | Asked::HangUp, _) => watch.stop(),
            },
            // A deadline that is past would be met again at once, for as long as the last drain takes.
            () = sleep_until(deadline), if !watch.controls.should_stop() => watch.stop(),
            _ = tick.tick() => {
                if watchdog.is_well(watch.controls.beats(), Instant::now().into_std()) {
                    notify(&[NotifyState::Watchdog]);
                }
                check.go_on(recorder, period, &mut summary);
                watch.renew(plan, &mut resolvers, recorder, period);
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
    fn stop(&self) {
        if !self.controls.stop() {
            notify(&[NotifyState::Stopping]);
        }
    }

    fn reload(
        &self,
        plan: &mut Plan,
        new: Result<Plan, ConfigError>,
        resolvers: &mut Resolvers,
        recorder: &mut Recorder,
        period: WatchPeriodId,
    ) -> Reload {
        let reload = match new {
            Ok(new) => reload::take_over(plan, new),
            Err(error) => return Reload::Failed(error),
        };
        self.controls.flush_every(plan.flush_every);
        match self.amend(plan, resolvers, recorder, period) {
            Ok(()) => reload,
            Err(error) => Reload::NotStored(error),
        }
    }

    /// Stores how the host resolves names now, if that has changed. What cannot be written now is tried
    /// again: flows that cannot be written are told of already.
    fn renew(
        &self,
        plan: &Plan,
        resolvers: &mut Resolvers,
        recorder: &mut Recorder,
        period: WatchPeriodId,
    ) {
        if resolvers.look(capture::now()) {
            let _tried_again = self.amend(plan, resolvers, recorder, period);
        }
    }

    fn amend(
        &self,
        plan: &Plan,
        resolvers: &mut Resolvers,
        recorder: &mut Recorder,
        period: WatchPeriodId,
    ) -> Result<(), StoreError> {
        recorder.amend(period, &settings(plan, &self.attached, resolvers))?;
        resolvers.told();
        Ok(())
    }
}

fn finish(
    watch: Watch,
    recorder: &mut Recorder,
    mut period: WatchPeriodId,
    mut backlog: Backlog,
) -> Result<(), DaemonError> {
    let was_asked = watch.controls.should_stop();
    watch.thread.join().map_err(|_| WatchError::Died)?;
    if let Some(failure) = backlog.write(recorder, &mut period) {
        return Err(failure.into());
    }
    recorder.end(period, capture::now())?;
    if was_asked {
        Ok(())
    } else {
        Err(WatchError::Died.into())
    }
}
