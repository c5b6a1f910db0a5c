//! From the kernel to [`KernelEvent`]s: the only door to libbpf.
//!
//! A [`Capture`] belongs to one thread, which calls [`Capture::wait`] and [`Capture::take`] in turn.

mod attach;
mod backend;
mod clock;
mod decode;
mod drain;
mod error;
mod requirements;
pub mod sample;
mod skeleton;
mod skipped;

use std::{cell::RefCell, collections::BTreeMap, net::IpAddr, rc::Rc, time::Duration};

use libbpf_rs::{MapCore, MapFlags, RingBuffer, RingBufferBuilder};

use self::{attach::Attached, drain::DatagramTables, skeleton::types};
pub use self::{
    backend::Backend,
    clock::{boot_clock, now},
    decode::{connection, datagram_entry, decode},
    error::CaptureError,
    requirements::check,
};
use crate::model::{
    BackendFailure, BlindSpot, Connect, ConnectionEnd, KernelEvent, LossCause, ProcessKey,
};

/// Bounds of the kernel's memory, set before anything is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ring buffer, bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Connections that are followed at the same time.
    pub connections: u32,
    /// Contacts by datagram between two drains.
    pub datagram_contacts: u32,
    /// Process images that are remembered as sent.
    pub known_processes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring_bytes: 16 * 1024 * 1024,
            connections: 65_536,
            datagram_contacts: 32_768,
            known_processes: 32_768,
        }
    }
}

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
    known_losses: BTreeMap<LossCause, (u64, u64)>,
    known_skips: u64,
}

#[derive(Default)]
struct Inbox {
    events: Vec<KernelEvent>,
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
            known_losses: BTreeMap::new(),
            known_skips: 0,
        })
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

    /// Sleeps until many records wait or `timeout` is over.
    pub fn wait(&self, timeout: Duration) {
        // An interrupted wait is over early, and that is all.
        self.ring.poll_raw(timeout);
    }

    /// Everything that was reported since the last call; processes come before what they did.
    ///
    /// `with_datagrams` also fetches the counts of datagrams, which takes an RCU grace period.
    pub fn take(&mut self, with_datagrams: bool) -> Vec<KernelEvent> {
        let mut datagrams = Vec::new();
        if with_datagrams {
            match self.tables.drain(&mut self.attached.skeleton) {
                Ok(counts) => datagrams = counts,
                // The counts stay in their table; the next drain fetches them.
                Err(_) => self.note(LossCause::DrainFailed),
            }
        }
        // After the tables: a process is reported before it is counted.
        self.ring.consume_raw();
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

    /// Losses since the last call.
    pub fn new_losses(&mut self) -> Vec<NewLoss> {
        let undecodable = std::mem::take(&mut self.inbox.borrow_mut().undecodable);
        let mut new = Vec::new();
        if undecodable > 0 {
            let cause = LossCause::RecordUndecodable;
            new.push(NewLoss {
                cause,
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
        if let Some(count) = self.known_losses.remove(&LossCause::DrainFailed) {
            new.push(NewLoss {
                cause: LossCause::DrainFailed,
                count: count.0,
                bytes: None,
            });
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

    fn note(&mut self, cause: LossCause) {
        self.known_losses.entry(cause).or_default().0 += 1;
    }
}

impl Inbox {
    fn receive(&mut self, record: &[u8]) {
        match decode(record) {
            Some(event) => self.events.push(event),
            None => self.undecodable += 1,
        }
    }
}
