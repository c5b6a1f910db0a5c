//! A real resolver: a thousand clients ask it, and it asks three servers.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use egress_baseline::canary::{MAKER_ADDRESS4, PEER_ADDRESS4, PEER_ADDRESS6};

use super::{
    answers::{CALLERS, PATIENCE},
    session::quickened,
    workshop::Workshop,
};

/// The ports of the resolver's upstream servers.
pub(crate) const UPSTREAMS: [(IpAddr, u16); 3] = [
    (IpAddr::V4(PEER_ADDRESS4), 5_301),
    (IpAddr::V4(PEER_ADDRESS4), 5_302),
    (IpAddr::V6(PEER_ADDRESS6), 5_303),
];

/// Why no resolver was tried.
#[derive(Clone, Debug)]
pub(crate) enum Unresolved {
    Lacking(String),
    Broken(String),
}

/// A real resolver in the maker's network, three servers that it asks, and a thousand clients.
pub(crate) fn resolve(workshop: &Workshop) -> Result<(u32, u16), Unresolved> {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"])
        .args(["--no-hosts", "--user=root", "--pid-file=", "--cache-size=0"])
        .args([
            "--all-servers",
            "--dns-forward-max=2000",
            "--log-facility=-",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for (address, port) in UPSTREAMS {
        command.arg(format!("--server={address}#{port}"));
    }
    workshop
        .lab
        .place(&mut command)
        .map_err(|cause| Unresolved::Broken(cause.to_string()))?;
    let mut resolver = match command.spawn() {
        Ok(child) => child,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Unresolved::Lacking("there is no dnsmasq".to_owned()));
        }
        Err(cause) => return Err(Unresolved::Broken(cause.to_string())),
    };
    let pid = resolver.id();
    let answered = workshop
        .lab
        .run_beside(|_| ask_resolver(&mut resolver))
        .map_err(|cause| cause.to_string())
        .and_then(|answered| answered.map_err(|cause| cause.to_string()));
    resolver.kill().ok();
    resolver.wait().ok();
    answered
        .map(|answered| (pid, answered))
        .map_err(Unresolved::Broken)
}

fn ask_resolver(resolver: &mut Child) -> io::Result<u16> {
    let servers = UPSTREAMS
        .into_iter()
        .map(UdpSocket::bind)
        .collect::<io::Result<Vec<_>>>()?;
    let clients = quickened(1_000, 200);
    thread::scope(|scope| {
        for server in &servers {
            server.set_read_timeout(Some(Duration::from_secs(2)))?;
            // Ends by itself once nobody asks any more.
            scope.spawn(|| answer_queries(server));
        }
        await_resolver(resolver)?;
        for number in 0..clients {
            let to = SocketAddr::new(MAKER_ADDRESS4.into(), 53);
            let from = SocketAddr::new(PEER_ADDRESS4.into(), CALLERS + number);
            ask(from, to, &query(number))?;
        }
        Ok(clients)
    })
}

/// It answers as soon as it is there; until then, each question is in vain.
fn await_resolver(resolver: &mut Child) -> io::Result<()> {
    for _ in 0..100 {
        if let Some(status) = resolver.try_wait()? {
            return Err(io::Error::other(format!("dnsmasq ended with {status}")));
        }
        let socket = UdpSocket::bind((PEER_ADDRESS4, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.send_to(&query(u16::MAX), (MAKER_ADDRESS4, 53))?;
        if socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::other("dnsmasq does not answer"))
}

fn ask(from: SocketAddr, to: SocketAddr, question: &[u8]) -> io::Result<()> {
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(question, to)?;
    socket.recv(&mut [0; 512]).map(drop)
}

/// A question for an address, of a name that nobody asked for before.
fn query(number: u16) -> Vec<u8> {
    let label = format!("client{number:05}");
    let mut bytes = number.to_be_bytes().to_vec();
    // One question, recursion desired.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for part in [label.as_str(), "example"] {
        bytes.push(u8::try_from(part.len()).unwrap_or(0));
        bytes.extend(part.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Answers that there is no such address.
fn answer_queries(server: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut buffer) {
        if length < 12 {
            continue;
        }
        buffer[2] |= 0x80;
        buffer[3] |= 0x80;
        server.send_to(&buffer[..length], from).ok();
    }
}
