//! Connections that were open before the observer started: who holds them, what they carry from then
//! on, and that those which somebody else began are no destinations.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use egress_baseline::{
    canary::MAKER_ADDRESS4,
    model::{LossCause, Outcome},
};
use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;

use super::{
    child::Report,
    dump::{Dump, Flow, listed},
    held::SERVER_PORT,
    holder::{Holder, PATIENCE},
    observer::Observer,
    open_cases::{CLIENTS, Case, Place, SERVERS},
    requirements::not_tried,
    session::backend_asked_for,
    workshop::Workshop,
};

/// What each client sends while it is observed, and before it ends.
const WHILE_OPEN: u64 = 50_000;
const AT_THE_END: u64 = 3_456;

/// Often enough, since each look reads the whole database.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// A connection as its holder and the observer saw it.
struct Held {
    pid: u32,
    exe: String,
    argv: Vec<String>,
    first: Report,
    last: Option<Report>,
    /// What was recorded of it by the time that everybody's bytes were recorded, or patience ended.
    while_open: Vec<Flow>,
}

struct Observed {
    clients: BTreeMap<&'static str, Held>,
    servers: BTreeMap<&'static str, u32>,
    visitors: Vec<u32>,
    dump: Dump,
}

static OBSERVED: LazyLock<Result<Observed, String>> = LazyLock::new(observe);

fn observed() -> Result<&'static Observed, String> {
    OBSERVED.as_ref().map_err(Clone::clone)
}

fn start(workshop: &Workshop, case: &Case) -> Result<Holder, String> {
    start_as(workshop, case, &case.name.replace(' ', "-"))
}

fn start_as(workshop: &Workshop, case: &Case, name: &str) -> Result<Holder, String> {
    let exe = workshop.link(name).map_err(|cause| cause.to_string())?;
    let command = match case.place {
        Place::Maker(_) => workshop.command(&exe),
        Place::Peer => workshop.command_at_peer(&exe),
    };
    let command = command.map_err(|cause| cause.to_string())?;
    Holder::start(exe, command, (case.words)())
}

/// Visitors beyond the one that is a case itself. The kernel hands visitors out to servers by chance:
/// more come until each server has one.
fn fill_servers(workshop: &Workshop, servers: &[Holder]) -> Result<Vec<Holder>, String> {
    let visitor = CLIENTS
        .iter()
        .find(|case| matches!(case.place, Place::Peer));
    let case = visitor.ok_or("no case comes from the other end")?;
    let mut visitors = Vec::new();
    for server in servers {
        loop {
            match server.reports.recv_timeout(BETWEEN_LOOKS) {
                Ok(Report::Made(_)) => break,
                Ok(other) => return Err(format!("a server failed: {other:?}")),
                Err(_) if visitors.len() < MOST_VISITORS => {
                    let name = format!("visitor-{}", visitors.len());
                    visitors.push(start_as(workshop, case, &name)?);
                }
                Err(cause) => return Err(format!("a server has no visitor: {cause}")),
            }
        }
    }
    Ok(visitors)
}

/// Four servers and chance: that one is left out by so many is as likely as 0.75 to that power.
const MOST_VISITORS: usize = 60;

/// Those who hold connections before anybody observes.
struct Party {
    servers: Vec<Holder>,
    clients: Vec<Holder>,
    visitors: Vec<Holder>,
    /// What each client said once its connection was open.
    first: Vec<Report>,
}

impl Party {
    fn gather(workshop: &Workshop) -> Result<Self, String> {
        let gather = |cases: &[Case]| -> Result<Vec<Holder>, String> {
            cases.iter().map(|case| start(workshop, case)).collect()
        };
        let servers = gather(&SERVERS)?;
        let clients = gather(&CLIENTS)?;
        let first: Result<_, _> = clients.iter().map(Holder::report).collect();
        Ok(Self {
            first: first?,
            visitors: fill_servers(workshop, &servers)?,
            servers,
            clients,
        })
    }

    /// The clients whose connection is open.
    fn open_clients(&mut self) -> impl Iterator<Item = &mut Holder> {
        self.clients
            .iter_mut()
            .zip(&self.first)
            .filter(|(_, report)| matches!(report, Report::Made(_)))
            .map(|(client, _)| client)
    }

    /// Lets all of them go; what each client says last, if it said anything since.
    fn disperse(&mut self) -> Result<Vec<Option<Report>>, String> {
        let told = |cause: std::io::Error| cause.to_string();
        self.open_clients()
            .try_for_each(|client| client.send(AT_THE_END))
            .map_err(told)?;
        // A server ends after its visitor.
        let guests = self.clients.iter_mut().chain(&mut self.visitors);
        guests.for_each(Holder::let_go);
        for server in &mut self.servers {
            server.let_go();
            server.await_end()?;
        }
        let last = self.clients.iter_mut().zip(&self.first);
        last.map(|(client, first)| match first {
            Report::Made(_) => client.await_end().map(Some),
            _ => Ok(None),
        })
        .collect()
    }
}

fn observe() -> Result<Observed, String> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let mut party = Party::gather(&workshop)?;
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    let mut expected = Vec::new();
    for client in party.open_clients() {
        client.send(WHILE_OPEN).map_err(|cause| cause.to_string())?;
        expected.push(client.pid());
    }
    let while_open = await_bytes(&database, &expected)?;
    let last = party.disperse()?;
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(format!(
            "the observer ended with {}: {}",
            ended.status, ended.said
        ));
    }
    let said = party.first.into_iter().zip(last);
    let held = party
        .clients
        .iter()
        .zip(said)
        .map(|(client, (first, last))| Held {
            pid: client.pid(),
            exe: client.exe.clone(),
            argv: client.argv.clone(),
            first,
            last,
            while_open: while_open.flows_of(client.pid()),
        });
    let names = |cases: &'static [Case]| cases.iter().map(|case| case.name);
    Ok(Observed {
        clients: names(&CLIENTS).zip(held).collect(),
        servers: names(&SERVERS)
            .zip(party.servers.iter().map(Holder::pid))
            .collect(),
        visitors: party.visitors.iter().map(Holder::pid).collect(),
        dump: Dump::read(&database)?,
    })
}

/// Waits until the bytes of all were recorded while they are open, or for too long.
fn await_bytes(database: &Path, pids: &[u32]) -> Result<Dump, String> {
    let begun = Instant::now();
    loop {
        let dump = Dump::read(database)?;
        let has_bytes = |pid: &u32| {
            let flows = dump.flows_of(*pid);
            flows.iter().any(|flow| flow.bytes_out >= Some(WHILE_OPEN))
        };
        if pids.iter().all(has_bytes) || begun.elapsed() > PATIENCE {
            return Ok(dump);
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let clients = CLIENTS.iter().map(|case| {
        Trial::ignorable_test(format!("{} is found with its owner", case.name), || {
            client_is_found(case)
        })
    });
    let servers = SERVERS.iter().map(|case| {
        Trial::test(
            format!("clients of {} are not found to be destinations", case.name),
            || server_is_quiet(case),
        )
    });
    clients
        .chain(servers)
        .chain([Trial::test(
            "nothing that was found is left out for being unclear",
            nothing_is_unclear,
        )])
        .collect()
}

/// Neither an attempt nor a byte of before; each byte since, while it is open and at its end.
fn client_is_found(case: &'static Case) -> Result<Completion, Failed> {
    let observed = observed()?;
    let held = observed.clients.get(case.name).ok_or("it was not tried")?;
    if let Report::Lacking(why) = &held.first {
        return not_tried(case.name, "mptcp", why);
    }
    let (Report::Made(begun), Some(Report::Made(made))) = (&held.first, &held.last) else {
        return Err(format!("it failed: {:?}, {:?}", held.first, held.last).into());
    };
    let (address, port) = match case.place {
        Place::Maker(destination) => destination(),
        Place::Peer => (MAKER_ADDRESS4.into(), SERVER_PORT),
    };
    let is_right = |flows: &[Flow], bytes_out: u64, bytes_in: u64| {
        matches!(flows, [flow] if flow.attempts == 0
            && flow.state == Outcome::Established.word()
            && flow.dst_ip == Some(address)
            && flow.dst_port == Some(port)
            && flow.src_port == begun.source_port
            && flow.bytes_out == Some(bytes_out)
            && flow.bytes_in == Some(bytes_in))
    };
    let after = observed.dump.flows_of(held.pid);
    // The server answered before it was observed.
    let answer = made.bytes_in - greeting(case);
    if !is_right(&held.while_open, WHILE_OPEN, 0) || !is_right(&after, made.bytes_out, answer) {
        return Err(format!(
            "expected no attempt and {made:?} to {address} port {port}\nwhile it was open:\n{}\n\
             afterwards:\n{}",
            listed(&held.while_open),
            listed(&after)
        )
        .into());
    }
    owner_is_known(held, &observed.dump, &after[0])?;
    Ok(Completion::Completed)
}

/// What a server says to a visitor at once.
fn greeting(case: &Case) -> u64 {
    match case.place {
        Place::Maker(_) => 0,
        Place::Peer => b"welcome".len() as u64,
    }
}

fn owner_is_known(held: &Held, dump: &Dump, flow: &Flow) -> Result<(), Failed> {
    let process = dump.process_of(flow)?;
    let exe = process.exe.as_ref().ok_or("no executable was recorded")?;
    let is_deleted = held.argv.iter().any(|word| word == "deleted");
    if exe.path == held.exe
        && exe.is_deleted == is_deleted
        && process.argv.as_ref() == Some(&held.argv)
        && process.ppid == Some(std::process::id())
    {
        return Ok(());
    }
    Err(format!(
        "expected {} (deleted: {is_deleted}) {:?}\nrecorded {exe:?} {:?}",
        held.exe, held.argv, process.argv
    )
    .into())
}

fn server_is_quiet(case: &'static Case) -> Result<(), Failed> {
    let observed = observed()?;
    let pid = observed.servers.get(case.name).ok_or("it was not tried")?;
    let flows = observed.dump.flows_of(*pid);
    let has_visitors = observed
        .visitors
        .iter()
        .any(|visitor| !observed.dump.flows_of(*visitor).is_empty());
    if !flows.is_empty() {
        return Err(format!("recorded:\n{}", listed(&flows)).into());
    }
    if !has_visitors {
        return Err("none of its clients was found, so its silence proves nothing".into());
    }
    Ok(())
}

fn nothing_is_unclear() -> Result<(), Failed> {
    let unclear = observed()?.dump.lost(LossCause::OpenUnclear);
    match unclear {
        0 => Ok(()),
        count => Err(format!("{count} connections were left out").into()),
    }
}
