//! Real traffic of real programs, beside a capture that was taken at the same time.
//!
//! The only test that sends anything off the machine, and only through package clients to the
//! registries that they are configured with.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    dump::{Dump, Flow, listed},
    observer::Observer,
    requirements::not_tried,
    session::backend_asked_for,
};

/// What must be required for this to be required.
pub(crate) const FEATURE: &str = "real_traffic";

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "package clients are recorded as a capture saw them",
        package_clients_are_recorded,
    )]
}

/// Payload of one peer, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Payload {
    out: u64,
    back: u64,
}

type Peers = BTreeMap<(IpAddr, u16), Payload>;

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
    let is_updated = update_package_lists(place.path())?;
    let is_fetched = fetch_with_pip(place.path());
    await_bytes(&database)?;
    let peers = capture.stop()?;
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(format!("the observer failed: {}", ended.said).into());
    }
    if !is_updated {
        return not_tried(
            "real traffic",
            FEATURE,
            "the package lists cannot be fetched",
        );
    }
    let dump = Dump::read(&database)?;
    compare_apt(&dump, &peers)?;
    compare_pip(&dump, &peers, is_fetched)?;
    Ok(Completion::Completed)
}

/// Into lists of its own, so that there is something to fetch and the host stays as it is.
fn update_package_lists(place: &Path) -> Result<bool, Failed> {
    let lists = place.join("lists");
    fs::create_dir_all(lists.join("partial")).map_err(|cause| format!("make a folder: {cause}"))?;
    let status = Command::new("apt-get")
        .args(["-q", "update", "-o"])
        .arg(format!("Dir::State::Lists={}", lists.display()))
        .args(["-o", "APT::Update::Error-Mode=any"])
        .stdout(Stdio::null())
        .status()
        .map_err(|cause| format!("start apt-get: {cause}"))?;
    Ok(status.success())
}

/// Not every machine has it; where it fails, its attempts are compared all the same.
fn fetch_with_pip(place: &Path) -> bool {
    let outcome = Command::new("pip")
        .args([
            "-q",
            "--no-cache-dir",
            "download",
            "--no-deps",
            "--disable-pip-version-check",
        ])
        .args(["six", "-d"])
        .arg(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    outcome.is_ok_and(|status| status.success())
}

/// Bytes are known when a connection is over, which takes the other side a moment.
fn await_bytes(database: &Path) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let dump = Dump::read(database)?;
        let mut peers: BTreeMap<_, u64> = BTreeMap::new();
        for flow in dump
            .flows
            .iter()
            .filter(|flow| is_apt(flow) || is_python(flow))
        {
            *peers
                .entry((flow.pid, flow.dst_ip, flow.dst_port))
                .or_default() += flow.bytes_in.unwrap_or(0);
        }
        let is_told = !peers.is_empty() && peers.values().all(|bytes| *bytes > 0);
        if is_told || Instant::now() > deadline {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn is_apt(flow: &Flow) -> bool {
    flow.proto == "tcp"
        && flow
            .exe
            .as_deref()
            .is_some_and(|exe| exe.starts_with("/usr/lib/apt/methods/"))
}

fn is_python(flow: &Flow) -> bool {
    flow.proto == "tcp"
        && flow
            .exe
            .as_deref()
            .is_some_and(|exe| exe.contains("/python"))
}

fn compare_apt(dump: &Dump, peers: &Peers) -> Result<(), Failed> {
    let flows: Vec<Flow> = dump
        .flows
        .iter()
        .filter(|flow| is_apt(flow))
        .cloned()
        .collect();
    if flows.is_empty() {
        return Err(format!("apt's methods were not recorded; peers: {peers:?}").into());
    }
    let uid = uid_of("_apt").ok_or("there is no user `_apt`")?;
    if flows.iter().any(|flow| flow.uid != Some(uid)) {
        return Err(format!("not all flows are those of `_apt`:\n{}", listed(&flows)).into());
    }
    compare(&flows, peers)
}

fn compare_pip(dump: &Dump, peers: &Peers, is_fetched: bool) -> Result<(), Failed> {
    let flows: Vec<Flow> = dump
        .flows
        .iter()
        .filter(|flow| is_python(flow))
        .cloned()
        .collect();
    if is_fetched && flows.is_empty() {
        return Err("pip fetched something and was not recorded".into());
    }
    compare(&flows, peers)
}

/// What was recorded of a peer is what went over the wire, but for what was sent twice there.
fn compare(flows: &[Flow], peers: &Peers) -> Result<(), Failed> {
    let mut recorded = Peers::new();
    for flow in flows.iter().filter(|flow| flow.state == "established") {
        let (Some(address), Some(port)) = (flow.dst_ip, flow.dst_port) else {
            return Err(format!("a flow without a destination: {flow}").into());
        };
        let payload = recorded.entry((address, port)).or_default();
        payload.out += flow.bytes_out.unwrap_or(0);
        payload.back += flow.bytes_in.unwrap_or(0);
    }
    for (peer, payload) in recorded {
        let seen = peers.get(&peer).copied().unwrap_or_default();
        let is_near = |recorded: u64, seen: u64| {
            recorded > 0 && recorded <= seen && seen - recorded <= seen / 100
        };
        if !is_near(payload.out, seen.out) || !is_near(payload.back, seen.back) {
            return Err(format!("of {peer:?} {payload:?} was recorded, {seen:?} seen").into());
        }
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

/// A packet capture that is under way; ended when dropped.
struct Capture {
    child: Child,
    file: std::path::PathBuf,
}

impl Capture {
    fn start(file: &Path) -> Result<Self, Failed> {
        let output = File::create(file).map_err(|cause| format!("make a file: {cause}"))?;
        let noise = file.with_extension("log");
        let errors = File::create(&noise).map_err(|cause| format!("make a file: {cause}"))?;
        let child = Command::new("tcpdump")
            .args([
                "-i", "any", "-n", "-q", "-U", "-l", "-B", "65536", "-Z", "root", "tcp",
            ])
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|cause| format!("start tcpdump: {cause}"))?;
        let capture = Self {
            child,
            file: file.to_owned(),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&noise)
            .unwrap_or_default()
            .contains("listening on")
        {
            if Instant::now() > deadline {
                return Err("tcpdump does not begin".into());
            }
            thread::yield_now();
        }
        Ok(capture)
    }

    fn stop(mut self) -> Result<Peers, Failed> {
        kill_process(Pid::from_child(&self.child), Signal::INT)
            .map_err(|errno| format!("signal tcpdump: {errno}"))?;
        self.child
            .wait()
            .map_err(|cause| format!("wait for tcpdump: {cause}"))?;
        let text = fs::read_to_string(&self.file).map_err(|cause| format!("read it: {cause}"))?;
        let mut peers = Peers::new();
        for (source, target, length, is_out) in text.lines().filter_map(packet) {
            let payload = peers
                .entry(if is_out { target } else { source })
                .or_default();
            if is_out {
                payload.out += length;
            } else {
                payload.back += length;
            }
        }
        Ok(peers)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

type End = (IpAddr, u16);

/// `12:00:00.1 eth0  Out IP 192.0.2.1.40000 > 198.51.100.7.80: tcp 120`.
fn packet(line: &str) -> Option<(End, End, u64, bool)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let arrow = words.iter().position(|word| *word == ">")?;
    let end = |word: &str| -> Option<End> {
        let (address, port) = word.trim_end_matches(':').rsplit_once('.')?;
        Some((address.parse().ok()?, port.parse().ok()?))
    };
    let is_out = words.get(2) == Some(&"Out");
    let length = words.last()?.parse().ok()?;
    Some((
        end(words.get(arrow.checked_sub(1)?)?)?,
        end(words.get(arrow + 1)?)?,
        length,
        is_out,
    ))
}
