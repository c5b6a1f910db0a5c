//! The thread that owns capture and pipeline.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{Plan, namespaces::Namespaces, privileges};
use crate::{
    capture::{self, Backend, Capture, CaptureError, boot_clock},
    identity::facts::{Accounts, arguments_of, is_host_file, mount_namespace_of},
    model::{
        BackendFailure, Batch, BlindSpot, BootClock, KernelEvent, LossCause, ProcessImage,
        Timestamp,
    },
    pipeline::{Pipeline, ProcessFacts},
};

/// The longest that a record waits in the ring.
const POLL: Duration = Duration::from_millis(100);

/// How often the tables of datagrams are fetched.
const DRAIN_EVERY: Duration = Duration::from_millis(500);

/// A contact that was never seen before is written this soon after the last flush.
const NEWS_AFTER: Duration = Duration::from_secs(1);

/// Why the hooks could not be turned on, or went away.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// They could not be turned on.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No thread could be had for them.
    #[error("start the capture thread")]
    Thread(#[source] io::Error),
    /// The thread ended by itself: a defect.
    #[error("the capture thread ended unexpectedly")]
    Died,
}

/// Hooks that were turned on.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) backend: Backend,
    pub(super) failures: Vec<BackendFailure>,
    pub(super) blind_spots: Vec<BlindSpot>,
    pub(super) since: Timestamp,
}

type Ready = oneshot::Sender<Result<Attached, WatchError>>;

/// Starts the thread. It says on `ready` how that went, sends a batch at each flush and ends after
/// the last one.
pub(super) fn spawn(
    plan: &Plan,
    should_stop: Arc<AtomicBool>,
    ready: Ready,
    batches: mpsc::UnboundedSender<Batch>,
) -> Result<JoinHandle<()>, WatchError> {
    let plan = plan.clone();
    thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            let capture = match Capture::start(&plan.capture) {
                Ok(capture) => capture,
                Err(error) => {
                    // Nobody is left to be told if this fails.
                    drop(ready.send(Err(error.into())));
                    return;
                }
            };
            let since = capture::now();
            privileges::drop_all_but_needed();
            let attached = Attached {
                backend: capture.backend(),
                failures: capture.failures().to_vec(),
                blind_spots: capture.blind_spots().to_vec(),
                since,
            };
            let mut watcher = Watcher::new(&plan, capture, since);
            if ready.send(Ok(attached)).is_ok() {
                watcher.watch(&plan, &should_stop, &batches);
            }
        })
        .map_err(WatchError::Thread)
}

struct Watcher {
    capture: Capture,
    pipeline: Pipeline,
    namespaces: Namespaces,
    accounts: Accounts,
    host_mount_namespace: Option<u32>,
}

/// Facts are read from the host's own root.
const ROOT: &str = "/";

impl Watcher {
    fn new(plan: &Plan, capture: Capture, since: Timestamp) -> Self {
        let root = Path::new(ROOT);
        let mut watcher = Self {
            capture,
            pipeline: Pipeline::new(plan.scope.clone(), since),
            namespaces: Namespaces::new(root),
            accounts: Accounts::of_host(root),
            // Some sandboxes hide their first process from everybody; then this one stands for the host.
            host_mount_namespace: mount_namespace_of(root, 1)
                .or_else(|| mount_namespace_of(root, std::process::id())),
        };
        watcher.refresh_facts();
        let open = watcher.capture.open_connections();
        watcher.take_in(open);
        watcher
    }

    fn watch(
        &mut self,
        plan: &Plan,
        should_stop: &AtomicBool,
        batches: &mpsc::UnboundedSender<Batch>,
    ) {
        let mut flushed = Instant::now();
        let mut drained = Instant::now();
        loop {
            let is_last = should_stop.load(Ordering::Relaxed);
            if !is_last {
                self.capture.wait(POLL);
            }
            let is_news_due = self.pipeline.has_news() && flushed.elapsed() >= NEWS_AFTER;
            let is_flush_due = is_last || is_news_due || flushed.elapsed() >= plan.flush_every;
            let is_drain_due = is_flush_due || drained.elapsed() >= DRAIN_EVERY;
            if is_drain_due {
                drained = Instant::now();
            }
            self.take(is_drain_due);
            if is_flush_due {
                flushed = Instant::now();
                if batches.send(self.flush(is_last)).is_err() {
                    return;
                }
            }
            if is_last {
                return;
            }
        }
    }

    fn take(&mut self, with_datagrams: bool) {
        let events = self.capture.take(with_datagrams);
        self.take_in(events);
        if with_datagrams {
            self.pipeline.drained();
        }
    }

    fn take_in(&mut self, events: Vec<KernelEvent>) {
        let clock = boot_clock();
        for mut event in events {
            let facts = match &mut event {
                KernelEvent::Process(image) => {
                    complete(image);
                    self.meet(image)
                }
                KernelEvent::Cgroup(_)
                | KernelEvent::Connect(_)
                | KernelEvent::ConnectionEnd(_)
                | KernelEvent::OpenConnection(_)
                | KernelEvent::Carried(_)
                | KernelEvent::Datagrams(_) => ProcessFacts::default(),
            };
            self.pipeline.take(event, clock, facts);
        }
        for loss in self.capture.new_losses() {
            self.pipeline.lose(loss.cause, loss.count, loss.bytes);
        }
    }

    /// What the file system says of a process that was just reported.
    fn meet(&mut self, image: &ProcessImage) -> ProcessFacts {
        let namespaces = &mut self.namespaces;
        let pid = image.key.pid;
        namespaces.meet(image.namespaces.net, pid, &self.capture, &mut self.pipeline);
        let is_elsewhere = self
            .host_mount_namespace
            .is_some_and(|host| host != image.namespaces.mnt && !image.flags.kernel_thread);
        // A file without a name cannot be compared with the one that has the name now.
        let is_gone = image.flags.exe_deleted || image.flags.exe_pseudo;
        let is_the_hosts = || {
            is_host_file(
                Path::new(ROOT),
                &image.exe,
                image.exe_device,
                image.exe_inode,
            )
            // Where that cannot be told, the path proves nothing.
            .unwrap_or(false)
        };
        ProcessFacts {
            is_foreign: is_elsewhere && !is_gone && !is_the_hosts(),
        }
    }

    fn refresh_facts(&mut self) {
        self.namespaces.refresh(&self.capture, &mut self.pipeline);
        self.pipeline.set_accounts(self.accounts.names().clone());
    }

    fn flush(&mut self, is_last: bool) -> Batch {
        self.refresh_facts();
        let mut events = self.capture.open_connections();
        events.extend(self.capture.carried());
        self.take_in(events);
        self.settle();
        match self.capture.new_skips() {
            0 => {}
            skips => self.pipeline.lose(LossCause::HookSkipped, skips, None),
        }
        let batch = self.pipeline.flush(boot_clock(), is_last);
        for key in self.pipeline.forgotten() {
            self.capture.forget_process(&key);
        }
        batch
    }

    /// Asks the kernel how the connects stand whose outcome is not known, and whether those are still
    /// open that were not heard of today.
    fn settle(&mut self) {
        let mut gone = Vec::new();
        let clock = boot_clock();
        for connect in self.pipeline.open_connects(clock) {
            match self.capture.look_at(&connect) {
                Some(end) => self.tell(KernelEvent::ConnectionEnd(end), clock),
                None => gone.push(connect),
            }
        }
        if gone.is_empty() {
            return;
        }
        // Their ends may have been reported in the meantime.
        self.take(false);
        let clock = boot_clock();
        for connect in gone {
            self.pipeline.lost_track_of(&connect, clock);
        }
    }

    fn tell(&mut self, event: KernelEvent, clock: BootClock) {
        self.pipeline.take(event, clock, ProcessFacts::default());
    }
}

/// Reads the arguments of a process that the kernel side could not look into.
fn complete(image: &mut ProcessImage) {
    if !image.flags.argv_elsewhere {
        return;
    }
    match arguments_of(Path::new(ROOT), image.key.pid, image.key.started_boot_ns) {
        Some(arguments) => {
            image.argv = arguments.words;
            image.flags.argv_truncated = arguments.is_truncated;
        }
        None => image.flags.argv_unreadable = true,
    }
}
