//! What each application talks to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::Serialize;

use super::{
    DOCUMENT_VERSION,
    coverage::{Coverage, Watched, coverage_of, extent_of},
    humane::count,
};
use crate::model::{
    Application, Completeness, Contact, Destination, NameSource, OpeningKind, Outcome,
    SamplingUnit, Tally, Timestamp, Window,
};

/// What each application talks to, host by host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplicationsReport {
    /// Version of the document.
    pub version: u32,
    /// Start of the window that was asked for.
    pub since: Option<Timestamp>,
    /// End of the window that was asked for.
    pub until: Option<Timestamp>,
    /// Windows that were left out.
    pub except: Vec<Stretch>,
    /// Hosts by name.
    pub hosts: Vec<HostReport>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Start, if bounded.
    pub since: Option<Timestamp>,
    /// End, if bounded.
    pub until: Option<Timestamp>,
}

/// What the applications of one host talk to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostReport {
    /// The host's name.
    pub host: String,
    /// What could have been seen of it.
    pub coverage: Coverage,
    /// Its applications in order.
    pub applications: Vec<ApplicationReport>,
    /// The addresses in this report that were reached under several names.
    pub shared_addresses: Vec<SharedAddress>,
}

/// What one application talks to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplicationReport {
    /// The application.
    #[serde(flatten)]
    pub application: Application,
    /// What recurrence is counted in.
    pub unit: SamplingUnit,
    /// How much of what it does is known; none where only some of its destinations were asked for.
    pub learning: Option<Completeness>,
    /// Users whose processes it was.
    pub users: Vec<String>,
    /// Its destinations: names first.
    pub destinations: Vec<DestinationReport>,
}

/// One application's dealings with one destination.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DestinationReport {
    /// The name, if known.
    pub name: Option<String>,
    /// Where the name came from.
    pub name_source: Option<NameSource>,
    /// The address, where there is no name.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: String,
    /// Attempts that did not fail.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Attempts by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Payload bytes sent.
    pub bytes_out: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Units in which it happened.
    pub units: u64,
    /// First attempt.
    pub first: Timestamp,
    /// Last attempt.
    pub last: Timestamp,
    /// Addresses that were reached under the name.
    pub addresses: Vec<IpAddr>,
    /// How many names the address has that has the most of them; none if each has one at most.
    pub shared_names: Option<u64>,
    /// How flows began, where that hides which server is meant.
    pub openings: BTreeSet<OpeningKind>,
}

/// An address that was reached under several names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedAddress {
    /// The address.
    pub address: IpAddr,
    /// Its names in order.
    pub names: Vec<ReachedName>,
    /// Applications that reached it while no name was known.
    pub without_name: BTreeSet<Application>,
}

/// A name of a shared address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReachedName {
    /// The name.
    pub name: String,
    /// Applications that reached the name: at this address, or at another that it has.
    pub applications: BTreeSet<Application>,
}

/// Said in place of attempts where there was none: a connection was open all the time.
pub(super) const OPENED_EARLIER: &str = "opened earlier";

/// Picks the unit for an application's contacts on a host with that many covered days.
pub type UnitChoice = fn(&[Contact], u64) -> SamplingUnit;

/// The report on `contacts`, which are in order of host and application.
pub fn applications_report(
    contacts: Vec<Contact>,
    watched: &[Watched],
    window: &Window,
    except: &[Window],
    unit_of: UnitChoice,
) -> ApplicationsReport {
    let mut by_host: BTreeMap<String, BTreeMap<Application, Vec<Contact>>> = BTreeMap::new();
    for of_one in in_groups(contacts) {
        let Some(first) = of_one.first() else {
            continue;
        };
        by_host
            .entry(first.host.clone())
            .or_default()
            .entry(first.application.clone())
            .or_default()
            .extend(of_one);
    }
    let hosts = by_host
        .into_iter()
        .map(|(host, applications)| {
            let flows = extent_of(applications.values().flatten());
            let coverage = coverage_of(&host, watched, flows, window, except);
            let applications = applications
                .into_iter()
                .map(|(application, contacts)| {
                    let unit = unit_of(&contacts, coverage.covered_days);
                    application_report(application, unit, contacts)
                })
                .collect();
            HostReport {
                host,
                coverage,
                applications,
                shared_addresses: Vec::new(),
            }
        })
        .collect();
    ApplicationsReport {
        version: DOCUMENT_VERSION,
        since: window.since,
        until: window.until,
        except: except
            .iter()
            .map(|window| Stretch {
                since: window.since,
                until: window.until,
            })
            .collect(),
        hosts,
    }
}

/// Contacts of one application that come one after another, together.
fn in_groups(contacts: Vec<Contact>) -> Vec<Vec<Contact>> {
    let mut groups: Vec<Vec<Contact>> = Vec::new();
    for contact in contacts {
        let is_alike = |other: &Contact| {
            other.application == contact.application && other.host == contact.host
        };
        match groups.last_mut() {
            Some(group) if group.first().is_some_and(is_alike) => group.push(contact),
            _ => groups.push(vec![contact]),
        }
    }
    groups
}

/// The report on one application.
pub fn application_report(
    application: Application,
    unit: SamplingUnit,
    mut contacts: Vec<Contact>,
) -> ApplicationReport {
    contacts.sort_by(|one, other| {
        let key = |contact: &Contact| contact.destination.name.is_none();
        (key(one), &one.destination).cmp(&(key(other), &other.destination))
    });
    let users: BTreeSet<&String> = contacts.iter().flat_map(|contact| &contact.users).collect();
    ApplicationReport {
        application,
        unit,
        learning: None,
        users: users.into_iter().cloned().collect(),
        destinations: contacts
            .into_iter()
            .map(|contact| destination_report(contact, unit))
            .collect(),
    }
}

fn destination_report(contact: Contact, unit: SamplingUnit) -> DestinationReport {
    let attempts_where = |is_failure: bool| {
        contact
            .outcomes
            .iter()
            .filter(|(outcome, _)| outcome.is_failure() == is_failure)
            .fold(0_u64, |sum, (_, tally)| sum.saturating_add(tally.attempts))
    };
    let Tally {
        bytes_out,
        bytes_in,
        ..
    } = contact.total();
    let units = unit.count_of(&contact);
    let Destination {
        name,
        address,
        port,
        protocol,
    } = contact.destination;
    DestinationReport {
        name,
        name_source: contact.name_source,
        address,
        port,
        protocol: protocol.word(address),
        attempts: attempts_where(false),
        failed_attempts: attempts_where(true),
        outcomes: contact
            .outcomes
            .iter()
            .map(|(outcome, tally)| (*outcome, tally.attempts))
            .collect(),
        bytes_out,
        bytes_in,
        units,
        first: contact.first,
        last: contact.last,
        addresses: contact.addresses,
        shared_names: None,
        openings: BTreeSet::new(),
    }
}

impl DestinationReport {
    /// `name tcp/443`, as [`Destination`] is written.
    pub fn text(&self) -> String {
        let place = match (&self.name, self.address) {
            (Some(name), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "(unknown)".to_owned(),
        };
        match self.port {
            Some(port) => format!("{place} {}/{port}", self.protocol),
            None => format!("{place} {}", self.protocol),
        }
    }

    /// Attempts that came through, with the outcome where it is none of the usual ones.
    pub(super) fn made(&self) -> String {
        let made = self.outcome_text(|outcome| !outcome.is_failure());
        if made.is_empty() && self.outcomes.contains_key(&Outcome::Established) {
            return OPENED_EARLIER.to_owned();
        }
        made
    }

    pub(super) fn failures(&self) -> String {
        self.outcome_text(Outcome::is_failure)
    }

    fn outcome_text(&self, belongs: impl Fn(Outcome) -> bool) -> String {
        let parts: Vec<String> = Outcome::ALL
            .into_iter()
            .filter(|outcome| belongs(*outcome))
            .filter_map(|outcome| {
                let attempts = *self.outcomes.get(&outcome)?;
                (attempts > 0).then(|| format!("{} {outcome}", count(attempts)))
            })
            .collect();
        parts.join(", ")
    }
}
