//! The thread that owns capture and pipeline.

use std::{
    io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Plan, Waiting,
    backlog::Flushed,
    containers::Containers,
    controls::Controls,
    files::{Files, Standing},
    namespaces::Namespaces,
    privileges,
    privileges::PrivilegeError,
};
use crate::{
    capture::{Backend, Capture, CaptureError, boot_clock},
    identity::facts::{Accounts, arguments_of, is_host_file, mount_namespace_of},
    model::{
        BackendFailure, BlindSpot, BootClock, KernelEvent, LossCause, ProcessImage, Timestamp,
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
    #[error("start a thread for the hooks")]
    Thread(#[source] io::Error),
    /// Its privileges could not be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The thread ended by itself: a defect.
    #[error("the capture thread ended unexpectedly")]
    Died,
}

/// Hooks that were turned on.
#[derive(Debug)]
pub struct Attached {
    /// The backend.
    pub backend: Backend,
    /// Backends that were tried before it.
    pub failures: Vec<BackendFailure>,
    /// What it cannot see on this kernel.
    pub blind_spots: Vec<BlindSpot>,
    /// When all of them were on.
    pub since: BootClock,
    /// What its tables take of the kernel's memory.
    pub kernel_bytes: u64,
}

/// Starts the thread. Told to go, it turns the hooks on, says how that went, sends a batch at each
/// flush and ends after the last one.
pub(super) fn spawn(plan: &Plan) -> Result<Waiting, WatchError> {
    let plan = plan.clone();
    let controls = Arc::new(Controls::new(plan.flush_every));
    let (go, go_receiver) = oneshot::channel();
    let (ready_sender, ready) = oneshot::channel();
    let (batch_sender, batches) = mpsc::unbounded_channel();
    let own_controls = Arc::clone(&controls);
    let thread = thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            if go_receiver.blocking_recv().is_err() {
                return;
            }
            match attach(&plan) {
                Ok((attached, mut watcher)) => {
                    if ready_sender.send(Ok(attached)).is_ok() {
                        watcher.watch(&own_controls, &batch_sender);
                    }
                }
                // Nobody is left to be told if this fails.
                Err(error) => drop(ready_sender.send(Err(error))),
            }
        })
        .map_err(WatchError::Thread)?;
    Ok(Waiting {
        thread,
        controls,
        go,
        ready,
        batches,
    })
}

fn attach(plan: &Plan) -> Result<(Attached, Watcher), WatchError> {
    let mut capture = Capture::start(&plan.capture)?;
    let since = boot_clock();
    let account = plan.account.clone();
    let confine = move || privileges::give_up(account.as_ref(), privileges::FOR_MODULES).is_ok();
    capture
        .hook_later_modules(confine)
        .map_err(WatchError::Thread)?;
    // A thread has the privileges of the one that starts it: it gives up more than this one does.
    let files = Files::start(Path::new(ROOT), plan);
    privileges::give_up(plan.account.as_ref(), privileges::FOR_HOOKS)?;
    let attached = Attached {
        backend: capture.backend(),
        failures: capture.failures().to_vec(),
        blind_spots: capture.blind_spots().to_vec(),
        since,
        kernel_bytes: capture.kernel_bytes(),
    };
    let watcher = Watcher::new(plan, capture, files, since.now());
    Ok((attached, watcher))
}

struct Watcher {
    capture: Capture,
    pipeline: Pipeline,
    namespaces: Namespaces,
    accounts: Accounts,
    containers: Containers,
    files: Files,
    host_mount_namespace: Option<u32>,
}

/// Facts are read from the host's own root.
pub(super) const ROOT: &str = "/";

impl Watcher {
    fn new(plan: &Plan, capture: Capture, files: Files, since: Timestamp) -> Self {
        let root = Path::new(ROOT);
        let mut pipeline = Pipeline::new(plan.scope.clone(), since);
        pipeline.set_most_contacts(usize::try_from(plan.waiting.contacts).unwrap_or(usize::MAX));
        let mut watcher = Self {
            capture,
            pipeline,
            namespaces: Namespaces::new(root),
            accounts: Accounts::of_host(root),
            containers: Containers::default(),
            files,
            // Some sandboxes hide their first process from everybody; then this one stands for the host.
            host_mount_namespace: mount_namespace_of(root, 1)
                .or_else(|| mount_namespace_of(root, std::process::id())),
        };
        watcher.refresh_facts();
        let open = watcher.capture.open_connections();
        watcher.take_in(open);
        watcher
    }

    fn watch(&mut self, controls: &Controls, batches: &mpsc::UnboundedSender<Flushed>) {
        let mut flushed = Instant::now();
        let mut drained = Instant::now();
        loop {
            controls.beat();
            let is_last = controls.should_stop();
            if !is_last {
                self.capture.wait(POLL);
            }
            let is_news_due = self.pipeline.has_news() && flushed.elapsed() >= NEWS_AFTER;
            let is_flush_due =
                is_last || is_news_due || flushed.elapsed() >= controls.flush_interval();
            let is_drain_due = is_flush_due || drained.elapsed() >= DRAIN_EVERY;
            if is_drain_due {
                drained = Instant::now();
            }
            // Before anything is fetched: what happens meanwhile may be in none of what is, and a
            // batch must not claim to cover it.
            let covered_until = boot_clock();
            self.take(is_drain_due);
            if is_flush_due {
                flushed = Instant::now();
                if batches.send(self.flush(covered_until, is_last)).is_err() {
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
                KernelEvent::Cgroup(cgroup) => {
                    self.containers.meet(Path::new(ROOT), cgroup);
                    ProcessFacts::default()
                }
                KernelEvent::Connect(_)
                | KernelEvent::ConnectionEnd(_)
                | KernelEvent::OpenConnection(_)
                | KernelEvent::Carried(_)
                | KernelEvent::Datagrams(_)
                | KernelEvent::Payload(_) => ProcessFacts::default(),
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
        let is_foreign = is_elsewhere && !is_gone && !is_the_hosts();
        let standing = Standing {
            is_elsewhere,
            is_foreign,
        };
        for role in self.files.meet(image, standing) {
            self.pipeline.expect_file(image.key, role);
        }
        ProcessFacts { is_foreign }
    }

    fn refresh_facts(&mut self) {
        self.namespaces.refresh(&self.capture, &mut self.pipeline);
        self.pipeline.set_accounts(self.accounts.names().clone());
    }

    fn flush(&mut self, covered_until: BootClock, is_last: bool) -> Flushed {
        self.refresh_facts();
        if is_last {
            self.take_unannounced();
        }
        let mut events = self.capture.open_connections();
        if is_last || self.pipeline.is_look_due(covered_until) {
            events.extend(self.capture.carried());
        }
        self.take_in(events);
        self.settle();
        self.name_containers();
        self.learn_files(is_last);
        match self.capture.new_skips() {
            0 => {}
            skips => self.pipeline.lose(LossCause::HookSkipped, skips, None),
        }
        let batch = self.pipeline.flush(covered_until, is_last);
        for key in self.pipeline.forgotten() {
            self.capture.forget_process(&key);
        }
        Flushed {
            batch,
            stepped_to: self.pipeline.stepped_to(),
        }
    }

    fn name_containers(&mut self) {
        for (cgroup, facts) in self.containers.told() {
            self.pipeline.learn_container(cgroup, facts);
        }
        let unasked = self.containers.unasked();
        self.pipeline
            .lose(LossCause::IdentityUnreadable, unasked, None);
    }

    fn learn_files(&mut self, is_last: bool) {
        for (process, role, file) in self.files.told(is_last) {
            self.pipeline.learn_file(process, role, file);
        }
        let unexamined = self.files.unanswered();
        self.pipeline
            .lose(LossCause::FilesUnexamined, unexamined, None);
    }

    /// Connects that never fitted into the ring and are not over: nothing would tell of them any more.
    fn take_unannounced(&mut self) {
        let clock = boot_clock();
        for connect in self.capture.unannounced() {
            self.tell(KernelEvent::Connect(connect), clock);
        }
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
