//! What goes over the wire, by a packet capture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
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

/// Names that were asked for, by the addresses that were answered.
pub(crate) type Names = BTreeMap<IpAddr, BTreeSet<String>>;

/// A packet capture that is under way; ended when dropped.
pub(crate) struct Capture {
    child: Child,
    file: PathBuf,
    mark: Mark,
}

/// How a packet that this host sends to itself gets into a capture, and what it is there.
struct Mark {
    send: fn() -> io::Result<u16>,
    /// What stands after address and port.
    shown: &'static str,
}

/// To a port that nobody has.
const SEGMENT: Mark = Mark {
    send: || {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        Ok(port)
    },
    shown: ": tcp",
};

/// No question that anybody answers.
const NO_QUESTION: Mark = Mark {
    send: || {
        const DNS: u16 = 53;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.send_to(b"x", (Ipv4Addr::LOCALHOST, DNS))?;
        Ok(DNS)
    },
    shown: ":",
};

impl Capture {
    /// Begins to write what is sent and received over TCP to a file.
    pub(crate) fn of_payload(file: &Path) -> Result<Self, Failed> {
        Self::start(file, &["-q", "tcp"], SEGMENT)
    }

    /// Begins to write what is asked of name servers, and what they answer, to a file.
    pub(crate) fn of_questions(file: &Path) -> Result<Self, Failed> {
        Self::start(file, &["udp", "port", "53"], NO_QUESTION)
    }

    fn start(file: &Path, arguments: &[&str], mark: Mark) -> Result<Self, Failed> {
        let output = File::create(file).map_err(|cause| format!("make a file: {cause}"))?;
        let noise = file.with_extension("log");
        let errors = File::create(&noise).map_err(|cause| format!("make a file: {cause}"))?;
        let child = Command::new("tcpdump")
            .args(["-i", "any", "-n", "-U", "-l", "-B", "65536", "-Z", "root"])
            .args(arguments)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|cause| format!("start tcpdump: {cause}"))?;
        let capture = Self {
            child,
            file: file.to_owned(),
            mark,
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

    /// Ends it once everything that was sent before this call is in it, and gives it as text: it is told of
    /// packets late, and forgets those that it was not told of when it is ended.
    pub(crate) fn stop(mut self) -> Result<String, Failed> {
        self.await_mark()?;
        kill_process(Pid::from_child(&self.child), Signal::INT)
            .map_err(|errno| format!("signal tcpdump: {errno}"))?;
        self.child
            .wait()
            .map_err(|cause| format!("wait for tcpdump: {cause}"))?;
        fs::read_to_string(&self.file).map_err(|cause| format!("read it: {cause}").into())
    }

    fn await_mark(&self) -> Result<(), Failed> {
        let port = (self.mark.send)().map_err(|cause| format!("send a mark: {cause}"))?;
        let mark = format!("> {}.{port}{}", Ipv4Addr::LOCALHOST, self.mark.shown);
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

/// What went to and came from each peer.
pub(crate) fn peers_in(text: &str) -> Peers {
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
    peers
}

/// What was asked, and answered to where it was asked from with the number of the question:
/// `IP 192.0.2.1.40000 > 192.0.2.53.53: 4711+ A? host.example. (30)` and
/// `IP 192.0.2.53.53 > 192.0.2.1.40000: 4711 2/0/0 CNAME other.example., A 198.51.100.7 (60)`.
pub(crate) fn names_in(text: &str) -> Names {
    let mut asked = BTreeMap::new();
    let mut names = Names::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(arrow) = words.iter().position(|word| *word == ">") else {
            continue;
        };
        let place = |at: usize| words.get(at).map(|word| word.trim_end_matches(':'));
        let number = words
            .get(arrow + 2)
            .map(|word| word.trim_end_matches(|sign: char| !sign.is_ascii_digit()));
        let Some((source, (target, number))) =
            place(arrow.wrapping_sub(1)).zip(place(arrow + 1).zip(number))
        else {
            continue;
        };
        let kind = words
            .iter()
            .position(|word| matches!(*word, "A?" | "AAAA?"));
        if let Some(name) = kind.and_then(|kind| words.get(kind + 1)) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            asked.insert((source, number), name);
        } else if let Some(name) = asked.get(&(target, number)) {
            for pair in words[arrow..].windows(2) {
                let address = pair[1].trim_end_matches(',').parse();
                if let (true, Ok(address)) = (matches!(pair[0], "A" | "AAAA"), address) {
                    names.entry(address).or_default().insert(name.clone());
                }
            }
        }
    }
    names
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
