//! Real traffic of real programs, beside a capture that was taken at the same time.
//!
//! The only test that sends anything off the machine, and only through package clients to the
//! registries that they are configured with.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use egress_baseline::model::{FileFacts, NoDigest, Ownership, PackageCheck};

use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;

use super::{
    dump::{Dump, Flow, listed},
    observer::Observer,
    package_clients::{Client, clients},
    requirements::not_tried,
    session::backend_asked_for,
    wire::{Capture, End, Names, Peers, names_in, peers_in},
};

/// What must be required for this to be required.
pub(crate) const FEATURE: &str = "real_traffic";

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "package clients are recorded as a capture saw them, under the names that they asked for",
        package_clients_are_recorded,
    )]
}

fn package_clients_are_recorded() -> Result<Completion, Failed> {
    for tool in ["apt-get", "tcpdump"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return not_tried("real traffic", FEATURE, &format!("there is no {tool}"));
        }
    }
    let place = tempfile::tempdir().map_err(|cause| format!("make a folder: {cause}"))?;
    let database = place.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    let payload = Capture::of_payload(&place.path().join("payload"))?;
    let questions = Capture::of_questions(&place.path().join("questions"))?;
    let mut clients = clients(place.path());
    for client in &mut clients {
        client.run()?;
    }
    await_bytes(&database, &clients)?;
    let peers = peers_in(&payload.stop()?);
    let names = names_in(&questions.stop()?);
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(format!("the observer failed: {}", ended.said).into());
    }
    if !clients
        .iter()
        .any(|client| client.name() == "apt-get" && client.is_whole())
    {
        return not_tried(
            "real traffic",
            FEATURE,
            "the package lists cannot be fetched",
        );
    }
    let dump = Dump::read(&database)?;
    for client in &clients {
        compare(&dump, client, &peers)?;
    }
    let made = made_by(&dump, &clients);
    check_tools(&made)?;
    check_names(&made, &names)?;
    check_packages(&dump, &made)?;
    Ok(Completion::Completed)
}

/// Bytes are known when a connection is over, which takes the other side a moment.
fn await_bytes(database: &Path, clients: &[Client]) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let dump = Dump::read(database)?;
        let is_told = clients.iter().all(|client| {
            let made = || dump.flows.iter().filter(|flow| client.made(&dump, flow));
            let told: BTreeSet<_> = made()
                .filter(|flow| flow.bytes_in > Some(0))
                .map(connection)
                .collect();
            (!client.is_whole() || made().count() > 0)
                && made().all(|flow| told.contains(&connection(flow)))
        });
        if is_told || Instant::now() > deadline {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn connection(flow: &Flow) -> (Option<u32>, Option<IpAddr>, Option<u16>, Option<String>) {
    (flow.pid, flow.dst_ip, flow.dst_port, flow.dst_name.clone())
}

/// One segment that is sent twice is more than a hundredth of what small transfers have.
const SEGMENT: u64 = 1_500;

/// What was recorded of a peer is what went over the wire, but for what was sent twice there. Where others
/// of this host talk to the same peer, the capture has theirs as well.
fn compare(dump: &Dump, client: &Client, peers: &Peers) -> Result<(), Failed> {
    let is_meant = |flow: &Flow| client.made(dump, flow);
    if client.is_whole() && !dump.flows.iter().any(is_meant) {
        return Err(format!("{} fetched something and was not recorded", client.name()).into());
    }
    let mut reached = BTreeSet::new();
    for flow in dump.flows.iter().filter(|flow| is_meant(flow)) {
        reached.insert(peer_of(flow)?);
    }
    for peer in reached {
        let at_peer = |flow: &&Flow| peer_of(flow).is_ok_and(|other| other == peer);
        let flows: Vec<Flow> = dump.flows.iter().filter(at_peer).cloned().collect();
        let seen = peers.get(&peer).copied().unwrap_or_default();
        let sum = |bytes: fn(&Flow) -> Option<u64>| flows.iter().filter_map(bytes).sum::<u64>();
        let (out, back) = (sum(|flow| flow.bytes_out), sum(|flow| flow.bytes_in));
        // An attempt that failed has carried nothing, and that is compared as well.
        let is_silent = flows.iter().all(|flow| flow.state != "established");
        let is_near = |recorded: u64, seen: u64| {
            (recorded > 0 || is_silent)
                && recorded <= seen
                && seen - recorded <= seen / 100 + SEGMENT
        };
        if !is_near(out, seen.out) || !is_near(back, seen.back) {
            return Err(format!(
                "of {peer:?} {out} and {back} bytes were recorded, {seen:?} seen; all flows:\n{}\n\
                 losses: {:?}",
                listed(&flows),
                dump.losses
            )
            .into());
        }
    }
    Ok(())
}

fn peer_of(flow: &Flow) -> Result<End, Failed> {
    flow.dst_ip
        .zip(flow.dst_port)
        .ok_or_else(|| format!("a flow without a destination: {flow}").into())
}

/// The flows of clients, each with the one that made it.
fn made_by<'a>(dump: &'a Dump, clients: &'a [Client]) -> Vec<(&'a Client, &'a Flow)> {
    let of_client = |client: &'a Client| {
        let flows = dump.flows.iter().filter(|flow| client.made(dump, flow));
        flows.map(move |flow| (client, flow))
    };
    clients.iter().flat_map(of_client).collect()
}

fn check_tools(made: &[(&Client, &Flow)]) -> Result<(), Failed> {
    for (client, flow) in made {
        if !client.is_known_by(flow) {
            return Err(format!("{} is not known as itself: {flow}", client.name()).into());
        }
    }
    Ok(())
}

/// At least 95 of 100 attempts have the name that was asked for, by what went over the wire.
fn check_names(made: &[(&Client, &Flow)], names: &Names) -> Result<(), Failed> {
    let is_named = |flow: &Flow| {
        let is_proven = matches!(
            flow.name_source.as_deref(),
            Some("server_name" | "dns_answer")
        );
        let asked = flow.dst_ip.and_then(|address| names.get(&address));
        is_proven
            && flow
                .dst_name
                .as_ref()
                .zip(asked)
                .is_some_and(|(name, asked)| asked.contains(name))
    };
    let attempts = |holds: &dyn Fn(&Flow) -> bool| -> u64 {
        let flows = made.iter().filter(|(_, flow)| holds(flow));
        flows.map(|(_, flow)| flow.attempts).sum()
    };
    let (all, named) = (attempts(&|_| true), attempts(&is_named));
    if named * 100 >= all * 95 {
        return Ok(());
    }
    let flows: Vec<Flow> = made.iter().map(|(_, flow)| (*flow).clone()).collect();
    let (listed, count) = (listed(&flows), names.len());
    Err(format!("{named} of {all} have the name that was asked for, of {count} addresses that went over the wire:\n{listed}").into())
}

/// Each program, and each script that is a file, is what the package manager's own tool says.
fn check_packages(dump: &Dump, made: &[(&Client, &Flow)]) -> Result<(), Failed> {
    for (client, flow) in made {
        let process = flow.process_id.ok_or("a flow without a process")?;
        let executable = dump.executables.get(&process);
        let executable =
            executable.ok_or_else(|| format!("of {} no file is known: {flow}", client.name()))?;
        for file in [Some(executable), dump.scripts.get(&process)]
            .into_iter()
            .flatten()
        {
            check_package(file)?;
        }
    }
    Ok(())
}

/// A file that is too large to be read has its package all the same.
fn check_package(file: &FileFacts) -> Result<(), Failed> {
    let path = file.resolved_path.as_ref().unwrap_or(&file.path);
    let check = match (&file.sha256, file.no_sha256) {
        (Some(_), None) => PackageCheck::Matches,
        (None, Some(NoDigest::TooLarge)) => PackageCheck::Unread,
        _ => return Err(format!("{path} was not read: {file:?}").into()),
    };
    let owners = owners_of(path)?;
    let is_right = match &file.package {
        None => owners.is_empty() && file.ownership == Ownership::Unowned,
        Some(package) => owners.contains(&package.name) && package.check == check,
    };
    if is_right {
        return Ok(());
    }
    Err(format!("dpkg has {path} from {owners:?}: {file:?}").into())
}

/// `dpkg-query -S` has files under the names that packages gave them, before `/bin` became `/usr/bin`.
fn owners_of(path: &str) -> Result<BTreeSet<String>, Failed> {
    let mut owners = BTreeSet::new();
    for path in [Some(path), path.strip_prefix("/usr")]
        .into_iter()
        .flatten()
    {
        let output = Command::new("dpkg-query").arg("-S").arg(path).output();
        let output = output.map_err(|cause| format!("ask dpkg-query: {cause}"))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // `apt: /usr/lib/apt/methods/http`, `libc6:amd64, libc6:i386: /lib/…`.
            if let Some(packages) = line
                .strip_suffix(path)
                .and_then(|line| line.strip_suffix(": "))
            {
                let names = packages
                    .split(", ")
                    .filter_map(|name| name.split(':').next());
                owners.extend(names.map(str::to_owned));
            }
        }
    }
    Ok(owners)
}
