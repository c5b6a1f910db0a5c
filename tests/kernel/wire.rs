//! What goes over the wire, by a packet capture.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

/// Payload of one peer, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) out: u64,
    pub(crate) back: u64,
}

/// By address and port.
pub(crate) type Peers = BTreeMap<End, Payload>;

/// A packet capture that is under way; ended when dropped.
pub(crate) struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    /// Begins to write what is sent and received over TCP to a file.
    pub(crate) fn start(file: &Path) -> Result<Self, Failed> {
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

    /// Ends it once everything that was sent before this call is in it: it is told of packets late, and
    /// forgets those that it was not told of when it is ended.
    pub(crate) fn stop(mut self) -> Result<Peers, Failed> {
        self.await_mark()?;
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

    /// Sends a packet to this host itself, to a port that nobody has, and waits until it is captured.
    fn await_mark(&self) -> Result<(), Failed> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|free| free.local_addr())
            .map_err(|cause| format!("find a free port: {cause}"))?
            .port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        let mark = format!("> {}.{port}: tcp", Ipv4Addr::LOCALHOST);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&self.file)
            .map_err(|cause| format!("read what was captured: {cause}"))?
            .contains(&mark)
        {
            if Instant::now() > deadline {
                return Err("tcpdump does not show what this host sent to itself".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
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

/// Address and port.
pub(crate) type End = (IpAddr, u16);

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
