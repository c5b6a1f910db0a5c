//! What destinations are marked with: addresses that several names share, and flows whose beginning
//! hides the server that is meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::applications::{
    ApplicationReport, ApplicationsReport, DestinationReport, ReachedName, SharedAddress,
};
use crate::model::{Application, Contact, OpeningKind, SeenOpening, SharedNames};

/// What the destinations of one application began with, by destination and protocol.
type Openings = BTreeMap<(String, Application, String), BTreeSet<OpeningKind>>;

/// Everything that destinations can be marked with.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    shared: BTreeMap<(String, IpAddr), SharedAddress>,
    openings: Openings,
}

impl Marks {
    /// Marks from the names that addresses share, the contacts of everybody who may share them, and what
    /// flows began with.
    pub fn of(shared: SharedNames, contacts: &[Contact], openings: Vec<SeenOpening>) -> Self {
        let mut marks = Self::default();
        for seen in openings {
            let key = (seen.host, seen.application, seen.destination.to_string());
            marks.openings.entry(key).or_default().insert(seen.opening);
        }
        for ((host, address), names) in shared {
            let shared = SharedAddress {
                address,
                names: names.into_iter().map(ReachedName::of).collect(),
                without_name: BTreeSet::new(),
            };
            marks.shared.insert((host, address), shared);
        }
        for contact in contacts {
            marks.note(contact);
        }
        marks
    }

    fn note(&mut self, contact: &Contact) {
        if self.shared.is_empty() {
            return;
        }
        let bare = contact.destination.address.iter();
        for address in contact.addresses.iter().chain(bare) {
            let place = (contact.host.clone(), *address);
            let Some(shared) = self.shared.get_mut(&place) else {
                continue;
            };
            let reached = match &contact.destination.name {
                None => &mut shared.without_name,
                Some(name) => match shared.names.iter_mut().find(|one| one.name == *name) {
                    Some(reached) => &mut reached.applications,
                    // Of another time.
                    None => continue,
                },
            };
            reached.insert(contact.application.clone());
        }
    }
}

impl ReachedName {
    fn of(name: String) -> Self {
        Self {
            name,
            applications: BTreeSet::new(),
        }
    }
}

impl SharedAddress {
    /// Whether it is an address of that destination.
    fn belongs_to(&self, destination: &DestinationReport) -> bool {
        match &destination.name {
            None => destination.address == Some(self.address),
            Some(name) => {
                destination.addresses.contains(&self.address)
                    && self.names.iter().any(|reached| reached.name == *name)
            }
        }
    }
}

impl ApplicationsReport {
    /// Marks each destination, and lists the shared addresses among them.
    pub fn mark(&mut self, marks: &Marks) {
        for host in &mut self.hosts {
            let mut shared = BTreeSet::new();
            for application in &mut host.applications {
                shared.extend(application.mark(&host.host, marks));
            }
            let place = |address: IpAddr| (host.host.clone(), address);
            host.shared_addresses = shared
                .into_iter()
                .filter_map(|address| marks.shared.get(&place(address)).cloned())
                .collect();
        }
    }
}

impl ApplicationReport {
    /// Marks each destination of an application on that host; gives the addresses that are shared.
    pub fn mark(&mut self, host: &str, marks: &Marks) -> BTreeSet<IpAddr> {
        let mut shared_by_all = BTreeSet::new();
        for destination in &mut self.destinations {
            let text = destination.text();
            let key = (host.to_owned(), self.application.clone(), text);
            destination.openings = marks.openings.get(&key).cloned().unwrap_or_default();
            let addresses = destination.addresses.iter().chain(&destination.address);
            let shared: Vec<&SharedAddress> = addresses
                .filter_map(|address| marks.shared.get(&(host.to_owned(), *address)))
                .filter(|shared| shared.belongs_to(destination))
                .collect();
            let most = shared.iter().map(|one| one.names.len() as u64).max();
            shared_by_all.extend(shared.iter().map(|one| one.address));
            destination.shared_names = most;
        }
        shared_by_all
    }
}
