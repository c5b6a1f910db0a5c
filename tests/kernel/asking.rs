//! What a process does that asks for a name, in one of the ways in which programs do, and then goes to
//! where the answer sent it.

use std::{
    fs, io,
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    time::Duration,
};

use egress_baseline::canary::{
    Isolation, Made, OPEN_PORT, PEER_ADDRESS4, PEER_ADDRESS6, with_own_mounts,
};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

use super::child::Report;

/// What a client of TLS begins with.
pub(crate) const CLIENT_HELLO: &[u8] = include_bytes!("../fixtures/client_hello");
/// The name in it.
pub(crate) const NAME_IN_HELLO: &str = "www.example.org";

/// The first packet of QUIC of RFC 9001, appendix A.2.
const QUIC_INITIAL: &[u8] = include_bytes!("../fixtures/quic_initial");
/// The name in it.
pub(crate) const NAME_IN_INITIAL: &str = "example.com";

/// Kinds of question.
pub(crate) const A: u16 = 1;
const AAAA: u16 = 28;

const PATIENCE: Duration = Duration::from_secs(20);

/// Plays the part that the words name.
pub(crate) fn play(words: &[&str]) -> Report {
    let attempts = match words {
        ["libc", configuration, name] => through_libc(Path::new(configuration), name),
        ["musl", configuration, program, name] => {
            through_musl(Path::new(configuration), program, name)
        }
        ["own", name] => ask_own(name).and_then(to_peer),
        ["greet", name, greeting] => ask_own(name).and_then(|address| {
            TcpStream::connect((address, OPEN_PORT))?.write_all(greeting.as_bytes())
        }),
        ["hello", name, pieces] => {
            ask_own(name).and_then(|address| say_hello(address, pieces.parse().unwrap_or(1)))
        }
        ["quic", name] => ask_own(name).and_then(|address| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.send_to(QUIC_INITIAL, (address, OPEN_PORT)).map(drop)
        }),
        ["other-server", name] => ask_other_server(name).and_then(|address| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.send_to(b"hello", (address, OPEN_PORT)).map(drop)
        }),
        ["silent"] => to_peer(PEER_ADDRESS4.into()),
        other => Err(io::Error::other(format!("nobody asks by {other:?}"))),
    };
    match attempts {
        Ok(()) => Report::Made(Made::default()),
        Err(cause) => Report::broken(cause),
    }
}

fn to_peer(address: IpAddr) -> io::Result<()> {
    TcpStream::connect((address, OPEN_PORT))?.write_all(b"hello")
}

/// As most programs: the C library, which reads `/etc/resolv.conf`. What stands there on this machine
/// is covered up, for this process alone.
fn through_libc(configuration: &Path, name: &str) -> io::Result<()> {
    with_configuration(configuration, || {
        let found = (name, OPEN_PORT).to_socket_addrs()?;
        let address = found.map(|found| found.ip()).find(IpAddr::is_ipv4);
        to_peer(address.ok_or_else(|| io::Error::other("no address"))?)
    })
}

/// As a static program that brings a C library of its own: it takes this process over, and says what it
/// is told to say.
fn through_musl(configuration: &Path, program: &str, name: &str) -> io::Result<()> {
    let said = serde_json::to_string(&Report::Made(Made::default()))?;
    with_configuration(configuration, || {
        let mut command = Command::new(program);
        let port = OPEN_PORT.to_string();
        Err(command.args([name, port.as_str(), "hello", &said]).exec())
    })
}

/// Does `work` where that is what `/etc/resolv.conf` says.
fn with_configuration(
    configuration: &Path,
    work: impl FnOnce() -> io::Result<()> + Send,
) -> io::Result<()> {
    with_own_mounts(|| {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private)?;
        let usual = Path::new("/etc/resolv.conf");
        if !usual.exists() {
            fs::write(usual, "")?;
        }
        mount_bind(configuration, usual)?;
        // A thread may be in another network namespace than its process.
        Isolation::prove().map_err(io::Error::other)?;
        work()
    })?
}

/// As c-ares and musl: both questions at once from one socket of its own, answers in any order.
fn ask_own(name: &str) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    for (id, kind) in [(0x0a0a, A), (0x0b0b, AAAA)] {
        socket.send_to(&question(id, name, kind), (PEER_ADDRESS4, 53))?;
    }
    let mut found = None;
    for _ in 0..2 {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer)?;
        found = found.or_else(|| address_in(&buffer[..length]));
    }
    found.ok_or_else(|| io::Error::other("no answer has an address"))
}

/// Asks the server of the tests' own, and believes what comes first, whoever says it.
fn ask_other_server(name: &str) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(("::", 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let server = SocketAddr::new(PEER_ADDRESS6.into(), 53);
    socket.send_to(&question(0x0c0c, name, A), server)?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer)?;
    // The others of several forged ones; there may be none.
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.recv(&mut [0; 512]).ok();
    address_in(&buffer[..length]).ok_or_else(|| io::Error::other("no address"))
}

fn say_hello(address: IpAddr, pieces: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, OPEN_PORT))?;
    stream.set_nodelay(true)?;
    for piece in CLIENT_HELLO.chunks(CLIENT_HELLO.len().div_ceil(pieces.max(1))) {
        stream.write_all(piece)?;
    }
    Ok(())
}

/// A question for an address of a name.
fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind, 1].map(u16::to_be_bytes).concat());
    bytes
}

/// An answer to a question, with one address.
pub(crate) fn answer(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    // The name of the question; an address; 300 seconds.
    bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    bytes.extend(address.octets());
    bytes
}

/// The address with which an answer of one address record ends.
fn address_in(answer: &[u8]) -> Option<IpAddr> {
    let (head, address) = answer.split_last_chunk::<4>()?;
    head.ends_with(&[0, 4])
        .then(|| Ipv4Addr::from(*address).into())
}
