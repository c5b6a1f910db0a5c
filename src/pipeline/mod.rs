//! Kernel events → flows with their makers.
//!
//! No clock, file or SQL: the daemon and a recorded stream of events drive it alike. Between two
//! flushes, attempts that are alike are summed; a connect is held until its outcome is known, and
//! written as pending if a flush comes first.

mod asking;
mod calling;
mod connections;
mod datagrams;
mod files;
mod makers;
mod naming;
mod open;
mod scope;
mod sockets;
mod sums;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use foldhash::fast::RandomState;

use connections::Connections;
use datagrams::Unanswered;
use files::Files;
use makers::Makers;
use naming::Naming;
use open::Told;
pub use scope::{ProcessFacts, Scope};
use sums::{Part, Sums, Totals};

use crate::model::{
    Batch, BootClock, Connect, ContainerFacts, Endpoint, FlowRecord, KernelEvent, Loss, LossCause,
    ProcessKey, Ticket, Timestamp,
};

/// Contacts that are remembered, so that a new one can be told from an old one; beyond, no more are
/// called new.
const KNOWN_CONTACTS: usize = 262_144;

/// The time of day was set, rather than slewed or read a little late, if it moved this far against
/// the time since boot: hours of slewing come to less.
const STEP: Duration = Duration::from_secs(10);

/// Turns kernel events into batches for the store.
#[derive(Debug)]
pub struct Pipeline {
    scope: Scope,
    makers: Makers,
    files: Files,
    naming: Naming,
    connections: Connections,
    unanswered: Unanswered,
    /// With the bytes that were counted as sent.
    refusals: Vec<(Part, u64)>,
    sums: Sums,
    /// Outcomes of connects that were written as pending.
    settlements: Vec<FlowRecord>,
    retracted: Vec<Ticket>,
    own_addresses: HashMap<u32, HashSet<IpAddr>>,
    losses: BTreeMap<LossCause, (u64, Option<u64>)>,
    /// Applications by their numbers, and where they went.
    known: HashSet<(u32, Endpoint), RandomState>,
    has_news: bool,
    flushed: Timestamp,
    /// By which all times up to the next flush are told, so that they agree with each other when the
    /// time of day is set meanwhile.
    clock: Option<BootClock>,
    stepped_to: Option<Timestamp>,
    /// Pending rows that were counted as being without a process.
    unknown: BTreeSet<Ticket>,
}

impl Pipeline {
    /// A pipeline that begins at `start`.
    pub fn new(scope: Scope, start: Timestamp) -> Self {
        Self {
            makers: Makers::new(scope.clone()),
            files: Files::default(),
            scope,
            naming: Naming::default(),
            connections: Connections::default(),
            unanswered: Unanswered::default(),
            refusals: Vec::new(),
            sums: Sums::default(),
            settlements: Vec::new(),
            retracted: Vec::new(),
            own_addresses: HashMap::new(),
            losses: BTreeMap::new(),
            known: HashSet::default(),
            has_news: false,
            flushed: start,
            clock: None,
            stepped_to: None,
            unknown: BTreeSet::new(),
        }
    }

    /// How many sums are held between two flushes; attempts beyond are counted as lost.
    pub fn set_most_contacts(&mut self, most: usize) {
        self.sums.set_most(most);
    }

    /// Takes in one event. `facts` are about the process of a [`KernelEvent::Process`].
    pub fn take(&mut self, event: KernelEvent, clock: BootClock, facts: ProcessFacts) {
        let clock = *self.clock.get_or_insert(clock);
        match event {
            KernelEvent::Process(image) => {
                if image.flags.argv_unreadable {
                    self.lose(LossCause::IdentityUnreadable, 1, None);
                }
                self.makers.learn_process(*image, clock, facts);
            }
            KernelEvent::Cgroup(cgroup) => self.makers.learn_cgroup(cgroup),
            KernelEvent::Connect(connect) => {
                if !self.is_own(connect.sender.network_namespace, connect.remote.address) {
                    self.naming.forget_connection(connect.id.socket, clock);
                    let name = self.said_of(&connect.sender, &connect.remote, clock).name;
                    let told = self.connections.begin(connect, name, clock);
                    self.add_told(told);
                }
            }
            KernelEvent::ConnectionEnd(end) => {
                let is_own = end.is_local
                    || self.is_own(
                        end.connect.sender.network_namespace,
                        end.connect.remote.address,
                    );
                let Connect { sender, remote, .. } = &end.connect;
                let (naming, makers) = (&mut self.naming, &mut self.makers);
                let name = || naming.of_contact(sender, remote, makers, clock).name;
                let told = self.connections.tell(&end, is_own, name, clock);
                if end.is_over {
                    self.naming.forget_connection(end.connect.id.socket, clock);
                }
                self.add_told(told);
            }
            KernelEvent::OpenConnection(open) => {
                let Connect { sender, remote, .. } = &open.connect;
                if !self.is_own(sender.network_namespace, remote.address) {
                    let told = self.connections.find(open, clock);
                    self.add_told(told);
                }
            }
            KernelEvent::Carried(carried) => {
                let told = self.connections.carry(&carried, clock);
                self.add_told(told);
            }
            KernelEvent::Datagrams(count) => {
                if !self.is_own(count.sender.network_namespace, count.remote.address) {
                    self.unanswered.take(&count, clock);
                    let said = self.said_of(&count.sender, &count.remote, clock);
                    let called = |part: Part| part.said(said);
                    self.add_part(datagrams::part_of(&count, clock).map(called));
                    let refusal = datagrams::refusal_of(&count, clock).map(called);
                    self.refusals
                        .extend(refusal.map(|part| (part, count.bytes)));
                }
            }
            KernelEvent::Payload(payload) => self.take_payload(&payload, clock),
        }
    }

    /// All events of one drain of the kernel's tables were taken in.
    pub fn drained(&mut self) {
        self.unanswered.drained();
    }

    /// Names of accounts by user id.
    pub fn set_accounts(&mut self, accounts: BTreeMap<u32, String>) {
        self.makers.set_accounts(accounts);
    }

    /// What files of the host say of the container that a cgroup belongs to.
    pub fn learn_container(&mut self, cgroup_id: u64, facts: ContainerFacts) {
        self.makers.learn_container(cgroup_id, facts);
    }

    /// The addresses of a network namespace itself.
    pub fn set_own_addresses(&mut self, network_namespace: u32, addresses: HashSet<IpAddr>) {
        self.own_addresses.insert(network_namespace, addresses);
    }

    /// Forgets the addresses of network namespaces that are gone.
    pub fn keep_namespaces(&mut self, alive: &HashSet<u32>) {
        self.own_addresses
            .retain(|namespace, _| alive.contains(namespace));
    }

    /// Counts a loss.
    pub fn lose(&mut self, cause: LossCause, count: u64, bytes: Option<u64>) {
        // Bytes of a connection that was counted before come without an attempt.
        if count == 0 && bytes.is_none() {
            return;
        }
        let loss = self.losses.entry(cause).or_default();
        loss.0 = loss.0.saturating_add(count);
        if let Some(bytes) = bytes {
            loss.1 = Some(loss.1.unwrap_or(0).saturating_add(bytes));
        }
    }

    /// Whether there is a contact that was never flushed: somebody may be waiting to see it.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// Process images that were forgotten since the last call, for want of room: the kernel side
    /// must report them again when they send again.
    pub fn forgotten(&mut self) -> Vec<ProcessKey> {
        let forgotten = self.makers.forgotten();
        self.files.forget(&forgotten);
        forgotten
    }

    /// The time of day that a step of the clock led to since the last call: what is flushed from now
    /// on is told by a clock that has nothing to do with the one before.
    pub fn stepped_to(&mut self) -> Option<Timestamp> {
        self.stepped_to.take()
    }

    /// Everything since the last flush. `is_last`: nothing more is to come.
    pub fn flush(&mut self, clock: BootClock, is_last: bool) -> Batch {
        for part in self.unanswered.refused(is_last) {
            let said = self.said_of(&part.sender, &part.remote, clock);
            self.add_part(Some(part.said(said)));
        }
        let (cause, unread) = self.naming.take_lost();
        self.lose(cause, unread, None);
        for (refusal, bytes) in std::mem::take(&mut self.refusals) {
            let taken = self.sums.take_sent(&refusal, bytes);
            self.add_part((taken > 0).then_some(Part {
                totals: Totals {
                    attempts: taken,
                    ..refusal.totals
                },
                ..refusal
            }));
        }
        let mut flows = std::mem::take(&mut self.settlements);
        for (ticket, part) in self.connections.take_pending() {
            let (record, is_unknown) = self.record(&part);
            if is_unknown {
                self.unknown.insert(ticket);
                self.lose(LossCause::ProcessUnknown, part.totals.attempts, None);
            }
            flows.push(FlowRecord {
                ticket: Some(ticket),
                ..record
            });
        }
        for part in self.sums.take() {
            let (record, is_unknown) = self.record(&part);
            if is_unknown {
                self.lose(LossCause::ProcessUnknown, part.totals.attempts, None);
            }
            flows.push(record);
        }
        self.has_news = false;
        let (since, now) = self.interval(clock);
        self.makers.rest();
        let losses = std::mem::take(&mut self.losses)
            .into_iter()
            .map(|(cause, (count, bytes))| Loss {
                cause,
                since,
                until: now,
                count,
                bytes,
            })
            .collect();
        Batch {
            files: self.files.uses_of(&flows),
            flows,
            retracted: std::mem::take(&mut self.retracted),
            losses,
            covered_until: now,
        }
    }

    /// The stretch that ends now, told by its own clock; the next one begins.
    fn interval(&mut self, clock: BootClock) -> (Timestamp, Timestamp) {
        let told_by = self.clock.replace(clock).unwrap_or(clock);
        let now = told_by.at(clock.boot_ns());
        // A clock that is only corrected may go back a little.
        let since = self.flushed.min(now);
        let shift = now.since(clock.now()).max(clock.now().since(now));
        self.flushed = now;
        if shift >= STEP {
            self.stepped_to = Some(clock.now());
            self.flushed = clock.now();
        }
        (since, now)
    }

    fn is_own(&self, network_namespace: u32, address: Option<IpAddr>) -> bool {
        !self.scope.include_loopback
            && address.is_some_and(|address| {
                address.is_loopback()
                    || self
                        .own_addresses
                        .get(&network_namespace)
                        .is_some_and(|own| own.contains(&address))
            })
    }

    fn add_told(&mut self, told: Told) {
        self.add_part(told.part);
        if let Some(ticket) = told.retracted {
            self.unknown.remove(&ticket);
            self.retracted.push(ticket);
        }
        if let Some((ticket, part)) = told.settled {
            self.settle(ticket, &part);
        }
    }

    fn add_part(&mut self, part: Option<Part>) {
        let Some(part) = part else { return };
        self.notice(&part);
        // A row of bytes alone is one thing that is missing.
        let (count, bytes) = (part.totals.attempts.max(1), part.totals.bytes_out);
        if !self.sums.add(part) {
            self.lose(LossCause::ContactsFull, count, bytes);
        }
    }

    fn notice(&mut self, part: &Part) {
        // What has a sum was noticed when that began.
        if self.known.len() >= KNOWN_CONTACTS || self.sums.has(part) {
            return;
        }
        let maker = self.makers.maker_of(&part.sender, part.remote.protocol);
        let contact = (maker.application, part.destination());
        if self.known.insert(contact) {
            self.has_news = true;
        }
    }

    fn settle(&mut self, ticket: Ticket, part: &Part) {
        let (record, is_unknown) = self.record(part);
        let was_counted = self.unknown.remove(&ticket);
        if is_unknown && !was_counted {
            self.lose(LossCause::ProcessUnknown, part.totals.attempts, None);
        }
        self.settlements.push(FlowRecord {
            settles: Some(ticket),
            ..record
        });
    }

    /// The flow, and whether its process is not known.
    fn record(&mut self, part: &Part) -> (FlowRecord, bool) {
        let maker = self.makers.maker_of(&part.sender, part.remote.protocol);
        let socket_cgroup = self.makers.cgroup_path(part.sender.socket_cgroup_id);
        let name = part.name.and_then(|number| self.naming.name(number));
        let record = FlowRecord {
            flow: part.flow(socket_cgroup, name.cloned()),
            process: maker.process,
            identity: maker.identity,
            ticket: None,
            settles: None,
        };
        (record, maker.is_unknown)
    }
}
