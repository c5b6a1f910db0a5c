//! Real traffic of real programs, beside a capture that was taken at the same time.
//!
//! The only test that sends anything off the machine, and only through package clients to the
//! registries that they are configured with.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;

use super::{
    dump::{Dump, Flow, listed},
    observer::Observer,
    requirements::not_tried,
    session::backend_asked_for,
    wire::{Capture, End, Peers},
};

/// What must be required for this to be required.
pub(crate) const FEATURE: &str = "real_traffic";

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "package clients are recorded as a capture saw them, under the names that they asked for",
        package_clients_are_recorded,
    )]
}

/// A program that fetches something from a registry. Not every machine has each; where one fails, its
/// attempts are compared all the same.
struct Client {
    /// Its command, and the folder that it is started in, by which its flows are known.
    name: &'static str,
    arguments: &'static [&'static str],
    is_whole: bool,
    folder: PathBuf,
}

impl Client {
    fn new(place: &Path, name: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            name,
            arguments,
            is_whole: false,
            folder: place.join(name),
        }
    }

    /// Everything that it keeps goes into its folder, so that there is something to fetch and the host stays
    /// as it is.
    fn run(&mut self) -> Result<(), Failed> {
        for folder in ["lists/partial", "src", "home"] {
            fs::create_dir_all(self.folder.join(folder))
                .map_err(|cause| format!("make a folder: {cause}"))?;
        }
        let files = [("src/main.rs", "fn main() {}\n"), ("Cargo.toml", MANIFEST)];
        for (file, text) in files {
            fs::write(self.folder.join(file), text)
                .map_err(|cause| format!("write a file: {cause}"))?;
        }
        let mut command = Command::new(self.name);
        command
            .args(self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(configuration) = cargo_configuration() {
            fs::copy(configuration, self.folder.join("home/config.toml")).ok();
        }
        if self.name == "cargo" {
            command.env("CARGO_HOME", self.folder.join("home"));
        }
        if self.name == "apt-get" {
            let lists = self.folder.join("lists");
            let option = format!("Dir::State::Lists={}", lists.display());
            command.args(["-o", &option, "update"]);
        }
        self.is_whole = command.status().is_ok_and(|status| status.success());
        Ok(())
    }

    /// Whether it or something that it started made a connection.
    fn made(&self, dump: &Dump, flow: &Flow) -> bool {
        let process = flow.process_id.and_then(|id| dump.processes.get(&id));
        let folder = process.and_then(|process| process.working_directory.as_deref());
        flow.proto == "tcp" && folder.is_some_and(|folder| Path::new(folder) == self.folder)
    }
}

/// A package without dependencies, so that one index entry and one archive are fetched.
const MANIFEST: &str = "\
[package]
name = \"probe\"
version = \"0.1.0\"
edition = \"2021\"

[dependencies]
itoa = \"1\"
";

/// Where the registry is told that this machine uses.
fn cargo_configuration() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let file = home.join("config.toml");
    file.exists().then_some(file)
}

fn clients(place: &Path) -> Vec<Client> {
    let pip = &[
        "-q",
        "--no-cache-dir",
        "download",
        "--no-deps",
        "--disable-pip-version-check",
        "six",
        "-d",
        "home",
    ];
    vec![
        Client::new(
            place,
            "apt-get",
            &["-q", "-o", "APT::Update::Error-Mode=any"],
        ),
        Client::new(place, "cargo", &["fetch"]),
        Client::new(place, "pip", pip),
        Client::new(
            place,
            "npm",
            &["view", "left-pad", "version", "--cache", "home"],
        ),
    ]
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
    let capture = Capture::start(&place.path().join("packets"))?;
    let mut clients = clients(place.path());
    for client in &mut clients {
        client.run()?;
    }
    await_bytes(&database, &clients)?;
    let peers = capture.stop()?;
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(format!("the observer failed: {}", ended.said).into());
    }
    if !clients
        .iter()
        .any(|client| client.name == "apt-get" && client.is_whole)
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
    check_users_and_scripts(&dump, &clients)?;
    check_names(&dump, &clients)?;
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
            (!client.is_whole || made().count() > 0)
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
    if client.is_whole && !dump.flows.iter().any(is_meant) {
        return Err(format!("{} fetched something and was not recorded", client.name).into());
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

/// apt gives its privileges up to fetch; what an interpreter runs is known by its script.
fn check_users_and_scripts(dump: &Dump, clients: &[Client]) -> Result<(), Failed> {
    let apt = uid_of("_apt").ok_or("there is no user `_apt`")?;
    for client in clients {
        for flow in dump.flows.iter().filter(|flow| client.made(dump, flow)) {
            let ends = |text: &Option<String>, word: &str| {
                text.as_deref().is_some_and(|text| text.ends_with(word))
            };
            let is_known = match client.name {
                "apt-get" => {
                    flow.uid == Some(apt)
                        && flow
                            .exe
                            .as_deref()
                            .is_some_and(|exe| exe.starts_with("/usr/lib/apt/methods/"))
                }
                "cargo" => ends(&flow.exe, "/cargo"),
                name => ends(&flow.script, name),
            };
            if !is_known {
                return Err(format!("{} is not known as itself: {flow}", client.name).into());
            }
        }
    }
    Ok(())
}

/// At least 95 of 100 attempts have the name that was asked for, and where they do not all, which.
fn check_names(dump: &Dump, clients: &[Client]) -> Result<(), Failed> {
    let made: Vec<Flow> = dump
        .flows
        .iter()
        .filter(|flow| clients.iter().any(|client| client.made(dump, flow)))
        .cloned()
        .collect();
    let attempts =
        |flows: &mut dyn Iterator<Item = &Flow>| -> u64 { flows.map(|flow| flow.attempts).sum() };
    let is_named = |flow: &&Flow| {
        let is_proven = matches!(
            flow.name_source.as_deref(),
            Some("server_name" | "dns_answer")
        );
        let is_name = |name: &str| name.parse::<IpAddr>().is_err() && name.contains('.');
        is_proven && flow.dst_name.as_deref().is_some_and(is_name)
    };
    let all = attempts(&mut made.iter());
    let named = attempts(&mut made.iter().filter(is_named));
    if named * 100 < all * 95 {
        return Err(format!("{named} of {all} have a name:\n{}", listed(&made)).into());
    }
    Ok(())
}

fn uid_of(name: &str) -> Option<u32> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")))?;
    line.split(':').nth(2)?.parse().ok()
}
