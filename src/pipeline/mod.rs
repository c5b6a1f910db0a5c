//! Kernel events → flows with their makers.
//!
//! No clock, file or SQL: the daemon and a recorded stream of events drive it alike. Between two
//! flushes, attempts that are alike are summed; a connect is held until its outcome is known, and
//! written as pending if a flush comes first.

mod connections;
mod datagrams;
mod makers;
mod sockets;
mod sums;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use connections::{Connections, Told};
use datagrams::Unanswered;
use makers::Makers;
use sums::{Part, Sums};

use crate::model::{
    Batch, BootClock, Connect, Endpoint, FlowRecord, KernelEvent, Loss, LossCause, Outcome,
    ProcessKey, Ticket, Timestamp,
};

/// What does not change while a host is observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Name of the host.
    pub host: String,
    /// Its boot.
    pub boot_id: Option<String>,
    /// Store command lines as they are, secrets included.
    pub full_command_lines: bool,
    /// Keep flows that stay on the host.
    pub include_loopback: bool,
}

/// What the file system knows of a process that the kernel's report does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its executable is not the host's file of that path.
    pub is_foreign: bool,
}

/// Contacts that are remembered, so that a new one can be told from an old one; beyond, no more are
/// called new.
const KNOWN_CONTACTS: usize = 262_144;

/// Turns kernel events into batches for the store.
#[derive(Debug)]
pub struct Pipeline {
    scope: Scope,
    makers: Makers,
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
}

impl Pipeline {
    /// A pipeline that begins at `start`.
    pub fn new(scope: Scope, start: Timestamp) -> Self {
        Self {
            makers: Makers::new(scope.clone()),
            scope,
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
        }
    }

    /// Takes in one event. `facts` are about the process of a [`KernelEvent::Process`].
    pub fn take(&mut self, event: KernelEvent, clock: BootClock, facts: ProcessFacts) {
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
                    let told = self.connections.begin(connect, clock);
                    self.add_told(told);
                }
            }
            KernelEvent::ConnectionEnd(end) => {
                let is_own = end.is_local
                    || self.is_own(
                        end.connect.sender.network_namespace,
                        end.connect.remote.address,
                    );
                let told = self.connections.tell(&end, is_own, clock);
                self.add_told(told);
            }
            KernelEvent::Datagrams(count) => {
                if !self.is_own(count.sender.network_namespace, count.remote.address) {
                    self.unanswered.take(&count, clock);
                    self.add_part(datagrams::part_of(&count, clock));
                    self.refusals.extend(
                        datagrams::refusal_of(&count, clock).map(|part| (part, count.bytes)),
                    );
                }
            }
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
        let loss = self.losses.entry(cause).or_default();
        loss.0 = loss.0.saturating_add(count);
        if let Some(bytes) = bytes {
            loss.1 = Some(loss.1.unwrap_or(0).saturating_add(bytes));
        }
    }

    /// The connects whose outcome is not known: asking the kernel for each, and telling the answer
    /// as a [`KernelEvent::ConnectionEnd`], gives the next flush less to call pending.
    pub fn open_connects(&self) -> Vec<Connect> {
        self.connections.unsettled()
    }

    /// The kernel does not know this connection any more, and its end was not reported.
    pub fn lost_track_of(&mut self, connect: &Connect, clock: BootClock) {
        let told = self.connections.lost_track_of(connect, clock);
        self.add_told(told);
    }

    /// Whether there is a contact that was never flushed: somebody may be waiting to see it.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// Process images that were forgotten since the last call, for want of room: the kernel side
    /// must report them again when they send again.
    pub fn forgotten(&mut self) -> Vec<ProcessKey> {
        self.makers.forgotten()
    }

    /// Everything since the last flush. `is_last`: nothing more is to come.
    pub fn flush(&mut self, clock: BootClock, is_last: bool) -> Batch {
        for part in self.unanswered.refused(is_last) {
            self.add_part(Some(part));
        }
        for (refusal, bytes) in std::mem::take(&mut self.refusals) {
            let taken = self.sums.take_sent(&refusal, bytes);
            self.add_part((taken > 0).then_some(Part {
                attempts: taken,
                ..refusal
            }));
        }
        let mut flows = std::mem::take(&mut self.settlements);
        for (ticket, part) in self.connections.take_pending() {
            let record = self.record(&part);
            flows.push(FlowRecord {
                ticket: Some(ticket),
                ..record
            });
        }
        for part in self.sums.take() {
            let record = self.record(&part);
            flows.push(record);
        }
        self.has_news = false;
        let now = clock.now();
        // The clock may have been set back.
        let since = self.flushed.min(now);
        self.flushed = now;
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
            flows,
            retracted: std::mem::take(&mut self.retracted),
            losses,
            covered_until: now,
        }
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
        self.retracted.extend(told.retracted);
        if let Some((ticket, part)) = told.settled {
            self.settle(ticket, &part);
        }
    }

    fn add_part(&mut self, part: Option<Part>) {
        let Some(part) = part else { return };
        self.notice(&part);
        let attempts = part.attempts;
        if !self.sums.add(part) {
            self.lose(LossCause::ContactsFull, attempts, None);
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
        let record = self.record(part);
        self.settlements.push(FlowRecord {
            settles: Some(ticket),
            ..record
        });
    }

    fn record(&mut self, part: &Part) -> FlowRecord {
        let maker = self.makers.maker_of(&part.sender, part.remote.protocol);
        if maker.is_unknown {
            self.lose(LossCause::ProcessUnknown, part.attempts, None);
        }
        let socket_cgroup = self.makers.cgroup_path(part.sender.socket_cgroup_id);
        FlowRecord {
            flow: part.flow(socket_cgroup),
            process: maker.process,
            identity: maker.identity,
            ticket: None,
            settles: None,
        }
    }
}

/// The outcome of a connect that is over or was looked at, if it is known.
fn outcome_of(end: &crate::model::ConnectionEnd) -> Option<(Outcome, Option<i32>)> {
    if end.is_established {
        return Some((Outcome::Established, None));
    }
    if end.errno != 0 {
        return Some((Outcome::of_errno(end.errno), Some(end.errno)));
    }
    match (end.is_over, end.was_sent) {
        (true, true) => Some((Outcome::TimedOut, None)),
        (true, false) => Some((Outcome::Failed, None)),
        (false, _) => None,
    }
}
