//! A real resolver: a thousand clients ask it, and it asks three servers.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    process::Child,
    thread,
    time::Duration,
};

use egress_baseline::canary::{MAKER_ADDRESS4, PEER_ADDRESS4, PEER_ADDRESS6};

use super::{
    answers::{CALLERS, PATIENCE},
    beside::{Beside, Untried, dnsmasq},
    session::quickened,
    workshop::Workshop,
};

/// The ports of the resolver's upstream servers.
pub(crate) const UPSTREAMS: [(IpAddr, u16); 3] = [
    (IpAddr::V4(PEER_ADDRESS4), 5_301),
    (IpAddr::V4(PEER_ADDRESS4), 5_302),
    (IpAddr::V6(PEER_ADDRESS6), 5_303),
];

/// A real resolver in the maker's network, three servers that it asks, and a thousand clients.
pub(crate) fn resolve(workshop: &Workshop) -> Result<(u32, u16), Untried> {
    let mut command = dnsmasq();
    command.args(["--cache-size=0", "--all-servers", "--dns-forward-max=2000"]);
    for (address, port) in UPSTREAMS {
        command.arg(format!("--server={address}#{port}"));
    }
    workshop.lab.place(&mut command)?;
    let mut resolver = Beside::start(&mut command)?;
    let answered = workshop
        .lab
        .run_beside(|_| ask_resolver(&mut resolver.0))
        .map_err(|cause| cause.to_string())??;
    Ok((resolver.0.id(), answered))
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
