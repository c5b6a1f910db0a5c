//! From the kernel to [`KernelEvent`]s: the only door to libbpf.
//!
//! A [`Capture`] belongs to one thread, which calls [`Capture::wait`] and [`Capture::take`] in turn.

#![expect(
    unsafe_code,
    reason = "programs write to what is read here at any time"
)]

mod attach;
mod backend;
mod clock;
mod conversations;
mod decode;
mod drain;
mod error;
mod hooker;
mod limits;
mod open;
mod programs;
mod requirements;
pub mod sample;
mod skeleton;
mod skipped;
mod surroundings;

use std::{cell::RefCell, collections::BTreeMap, io, net::IpAddr, rc::Rc, time::Duration};

use libbpf_rs::{MapCore, MapFlags, RingBuffer, RingBufferBuilder};

use self::{
    attach::Attached,
    conversations::Conversations,
    drain::DatagramTables,
    hooker::Hooker,
    open::{Found, Inventory},
    skeleton::types,
};
pub use self::{
    backend::Backend,
    clock::{boot_clock, now},
    decode::{connection, datagram_entry, decode, module, unannounced},
    error::CaptureError,
    limits::Limits,
    open::{carried_bytes, open_sockets},
    requirements::check,
    surroundings::{Surroundings, kernel_release, surroundings},
};
use crate::model::{
    BackendFailure, BlindSpot, Connect, ConnectionEnd, KernelEvent, LossCause, ProcessKey,
};

/// What to capture and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The backend; `None` tries all in order of preference.
    pub backend: Option<Backend>,
    /// Report flows that stay on this host as well.
    pub include_loopback: bool,
    /// Bounds.
    pub limits: Limits,
}

/// Running hooks.
#[expect(
    missing_debug_implementations,
    reason = "holds libbpf's handles, which have none"
)]
pub struct Capture {
    // Before `attached`, whose map it reads: fields are dropped in this order.
    ring: RingBuffer<'static>,
    attached: Attached,
    inbox: Rc<RefCell<Inbox>>,
    tables: DatagramTables,
    conversations: Conversations,
    /// Until it is complete.
    inventory: Option<Inventory>,
    /// Losses on this side of the ring.
    noted: BTreeMap<LossCause, u64>,
    known_losses: BTreeMap<LossCause, (u64, u64)>,
    known_skips: u64,
}

#[derive(Default)]
struct Inbox {
    events: Vec<KernelEvent>,
    /// Names of modules that were loaded.
    modules: Vec<String>,
    undecodable: u64,
}

/// A counted loss since the last time that losses were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLoss {
    /// Why.
    pub cause: LossCause,
    /// How many.
    pub count: u64,
    /// Payload bytes, where they are known.
    pub bytes: Option<u64>,
}

impl Capture {
    /// Loads and attaches the hooks of the first backend that this kernel allows.
    pub fn start(settings: &Settings) -> Result<Self, CaptureError> {
        let attached = attach::start(settings)?;
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let receiver = Rc::clone(&inbox);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&attached.skeleton.maps.events, move |record| {
                receiver.borrow_mut().receive(record);
                0
            })
            .map_err(CaptureError::ring)?;
        let ring = builder.build().map_err(CaptureError::ring)?;
        let tables = DatagramTables::new(settings.limits.datagram_contacts);
        Ok(Self {
            ring,
            attached,
            inbox,
            tables,
            conversations: Conversations::new(settings.limits.conversations),
            inventory: Some(Inventory::default()),
            noted: BTreeMap::new(),
            known_losses: BTreeMap::new(),
            known_skips: 0,
        })
    }

    /// Lets hooks be put into modules that are loaded later, where the backend has such hooks: by a
    /// thread that first calls `confine`, and attaches nothing if that is false.
    pub fn hook_later_modules(
        &mut self,
        confine: impl FnOnce() -> bool + Send + 'static,
    ) -> io::Result<()> {
        if !self.attached.hooks_of_modules(|_| true).is_empty() {
            self.attached.hooker = Some(Hooker::start(confine)?);
        }
        Ok(())
    }

    /// The backend that runs.
    pub fn backend(&self) -> Backend {
        self.attached.backend
    }

    /// The backends that were tried before it.
    pub fn failures(&self) -> &[BackendFailure] {
        &self.attached.failures
    }

    /// What it cannot see on this kernel.
    pub fn blind_spots(&self) -> &[BlindSpot] {
        &self.attached.blind_spots
    }

    /// Bytes that the kernel has set aside for the tables and the ring.
    pub fn kernel_bytes(&self) -> u64 {
        self.attached.kernel_bytes
    }

    /// Sleeps until many records wait or `timeout` is over.
    pub fn wait(&self, timeout: Duration) {
        // An interrupted wait is over early, and that is all.
        self.ring.poll_raw(timeout);
    }

    /// Everything that was reported since the last call; processes come before what they did.
    ///
    /// `with_datagrams` also fetches the counts of datagrams, which takes an RCU grace period.
    pub fn take(&mut self, with_datagrams: bool) -> Vec<KernelEvent> {
        self.conversations.keep_time(&mut self.attached.skeleton);
        let mut datagrams = Vec::new();
        if with_datagrams
            && let Err(_later) = self
                .tables
                .drain(&mut self.attached.skeleton, &mut datagrams)
        {
            // The rest stays in its table; a later drain fetches it.
            self.note(LossCause::DrainFailed);
        }
        // After the tables: a process is reported before it is counted.
        self.ring.consume_raw();
        self.meet_modules(with_datagrams);
        let mut events = std::mem::take(&mut self.inbox.borrow_mut().events);
        events.extend(datagrams.into_iter().map(KernelEvent::Datagrams));
        events
    }

    /// How an open connection stands now; `None` if it is over.
    pub fn look_at(&self, connect: &Connect) -> Option<ConnectionEnd> {
        let key = connect.id.socket.to_ne_bytes();
        let value = self
            .attached
            .skeleton
            .maps
            .connections
            .lookup(&key, MapFlags::ANY)
            .ok()
            .flatten()?;
        connection(connect, &value, boot_clock().boot_ns())
    }

    /// Open connections whose connect did not fit into the ring, and that were not reported since.
    pub fn unannounced(&self) -> Vec<Connect> {
        let is_any = self
            .attached
            .skeleton
            .maps
            .bss_data
            .as_deref()
            .is_some_and(|bss| {
                // SAFETY: reads a u64 of the map's shared memory, which programs write at any time.
                unsafe { (&raw const bss.unannounced_connects).read_volatile() > 0 }
            });
        if !is_any {
            return Vec::new();
        }
        let table = &self.attached.skeleton.maps.connections;
        let mut found: Vec<Connect> = table
            .keys()
            .filter_map(|key| {
                let value = table.lookup(&key, MapFlags::ANY).ok().flatten()?;
                unannounced(&key, &value)
            })
            .collect();
        // While entries come and go the kernel may begin anew.
        found.sort_by_key(|connect| (connect.id.socket, connect.id.started_boot_ns));
        found.dedup_by_key(|connect| connect.id);
        found
    }

    /// The connections that were open before the hooks could see them, with the processes that hold
    /// them; nothing once all of them were told.
    pub fn open_connections(&mut self) -> Vec<KernelEvent> {
        let Some(mut inventory) = self.inventory.take() else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let mut losses = Vec::new();
        let result = inventory.run(&self.attached.iterators, |found| {
            // Each time, since the ring need not hold the processes of all of them.
            self.ring.consume_raw();
            let (makers, others) = self.inbox.borrow_mut().take_makers_first();
            events.extend(makers);
            for found in found {
                match found {
                    Found::Egress(open) => {
                        losses.extend(
                            (!open.connect.is_followed).then_some(LossCause::ConnectionsFull),
                        );
                        events.push(KernelEvent::OpenConnection(open));
                    }
                    Found::Unclear => losses.push(LossCause::OpenUnclear),
                }
            }
            // What became of one of them comes after it.
            events.extend(others);
        });
        for cause in losses {
            self.note(cause);
        }
        if result.is_ok() {
            conversations::begin(&mut self.attached.skeleton);
        } else {
            self.note(LossCause::DrainFailed);
            // It goes on where it was: what is followed by now is not found again.
            self.inventory = Some(inventory);
        }
        events
    }

    /// Everything that was reported since the last call, and what open connections have carried.
    pub fn carried(&mut self) -> Vec<KernelEvent> {
        let carried = self.attached.iterators.carried().unwrap_or_else(|_| {
            self.note(LossCause::DrainFailed);
            Vec::new()
        });
        // After the table: a connection is reported before it is in there.
        let mut events = self.take(false);
        events.extend(carried.into_iter().map(KernelEvent::Carried));
        events
    }

    /// Losses since the last call.
    pub fn new_losses(&mut self) -> Vec<NewLoss> {
        let mut new: Vec<_> = std::mem::take(&mut self.noted)
            .into_iter()
            .map(|(cause, count)| NewLoss {
                cause,
                count,
                bytes: None,
            })
            .collect();
        let undecodable = std::mem::take(&mut self.inbox.borrow_mut().undecodable);
        if undecodable > 0 {
            new.push(NewLoss {
                cause: LossCause::RecordUndecodable,
                count: undecodable,
                bytes: None,
            });
        }
        for (cause, index) in decode::LOSS_CAUSES {
            let losses = &self.attached.skeleton.maps.losses;
            let Ok(Some(value)) = losses.lookup(&index.to_ne_bytes(), MapFlags::ANY) else {
                continue;
            };
            let Some(loss) = decode::read::<types::loss>(&value) else {
                continue;
            };
            let known = self.known_losses.insert(cause, (loss.count, loss.bytes));
            let (count, bytes) = known.unwrap_or_default();
            if loss.count > count {
                let bytes = (cause == LossCause::DatagramsFull).then_some(loss.bytes - bytes);
                new.push(NewLoss {
                    cause,
                    count: loss.count - count,
                    bytes,
                });
            }
        }
        if new.iter().any(|loss| loss.cause == LossCause::RingFull) {
            // The news of a module may have been among what did not fit.
            self.attached.look_for_modules();
        }
        new
    }

    /// How often since the last call the kernel skipped a hook.
    pub fn new_skips(&mut self) -> u64 {
        let skips = skipped::skipped_runs(&self.attached.skeleton);
        skips - std::mem::replace(&mut self.known_skips, skips).min(skips)
    }

    /// Makes the kernel report a process image once more when it sends again.
    pub fn forget_process(&self, key: &ProcessKey) {
        let key = decode::process_key_bytes(key);
        // It may have been forgotten there already.
        drop(self.attached.skeleton.maps.known_processes.delete(&key));
    }

    /// Tells the kernel side which addresses a network namespace has and had: what goes to them
    /// stays on the host. Returns whether all fitted.
    pub fn set_own_addresses(
        &self,
        network_namespace: u32,
        added: &[IpAddr],
        removed: &[IpAddr],
    ) -> bool {
        let map = &self.attached.skeleton.maps.own_addresses;
        for address in removed {
            drop(map.delete(&decode::own_address_bytes(network_namespace, *address)));
        }
        added.iter().all(|address| {
            let key = decode::own_address_bytes(network_namespace, *address);
            map.update(&key, &[1], MapFlags::ANY).is_ok()
        })
    }

    /// Puts hooks into modules that were loaded just now, and tries once more where that failed.
    fn meet_modules(&mut self, is_retry_due: bool) {
        if is_retry_due && !self.attached.retry_hooks() {
            self.note(LossCause::HookLate);
        }
        let modules = std::mem::take(&mut self.inbox.borrow_mut().modules);
        for module in modules {
            if self.attached.hook_into(&module) {
                self.note(LossCause::HookLate);
            }
        }
    }

    fn note(&mut self, cause: LossCause) {
        *self.noted.entry(cause).or_default() += 1;
    }
}

impl Inbox {
    /// Everything that was received: who makes flows, and all else.
    fn take_makers_first(&mut self) -> (Vec<KernelEvent>, Vec<KernelEvent>) {
        std::mem::take(&mut self.events)
            .into_iter()
            .partition(|event| matches!(event, KernelEvent::Process(_) | KernelEvent::Cgroup(_)))
    }

    fn receive(&mut self, record: &[u8]) {
        if let Some(event) = decode(record) {
            self.events.push(event);
        } else if let Some(module) = module(record) {
            self.modules.push(module);
        } else {
            self.undecodable += 1;
        }
    }
}
