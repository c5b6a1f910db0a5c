//! Who answers when a process asks for a name: real resolvers, and a server that lies.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use egress_baseline::canary::{PEER_ADDRESS4, PEER_ADDRESS6};

use super::{
    asking::answer,
    beside::{Beside, Untried, dnsmasq},
    workshop::Workshop,
};

/// Where the resolver listens that stands for systemd's, and others on a host of their own.
pub(crate) const STUB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// What the server of the tests' own answers, rightly and forged: nobody is there.
pub(crate) const ANSWERED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 40);
pub(crate) const FORGED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 41);

/// A real resolver; ended when dropped.
pub(crate) struct Resolver {
    _server: Beside,
}

impl Resolver {
    /// At the peer: gives every name the peer's addresses.
    pub(crate) fn at_peer(workshop: &Workshop) -> Result<Self, Untried> {
        let mut command = dnsmasq_at(PEER_ADDRESS4);
        for address in [PEER_ADDRESS4.into(), IpAddr::from(PEER_ADDRESS6)] {
            command.arg(format!("--address=/#/{address}"));
        }
        workshop.lab.place_at_peer(&mut command)?;
        Self::start(workshop, command, PEER_ADDRESS4)
    }

    /// On the makers' own host: asks the other.
    pub(crate) fn on_host(workshop: &Workshop) -> Result<Self, Untried> {
        let mut command = dnsmasq_at(STUB);
        command.arg(format!("--server={PEER_ADDRESS4}"));
        workshop.lab.place(&mut command)?;
        Self::start(workshop, command, STUB)
    }

    fn start(workshop: &Workshop, mut command: Command, at: Ipv4Addr) -> Result<Self, Untried> {
        let mut server = Beside::start(&mut command)?;
        let told = workshop.lab.run_inside(|_| await_answer(&mut server.0, at));
        told.map_err(|cause| Untried::Broken(cause.to_string()))??;
        Ok(Self { _server: server })
    }
}

fn dnsmasq_at(address: Ipv4Addr) -> Command {
    let mut command = dnsmasq();
    command.args(["--bind-interfaces", &format!("--listen-address={address}")]);
    command
}

/// It answers as soon as it is there; until then, each question is in vain.
fn await_answer(server: &mut Child, address: Ipv4Addr) -> io::Result<()> {
    const QUESTION: &[u8] = b"\x01\x01\x01\0\0\x01\0\0\0\0\0\0\x05there\x07example\0\0\x01\0\x01";
    for _ in 0..100 {
        if let Some(status) = server.try_wait()? {
            return Err(io::Error::other(format!("dnsmasq ended with {status}")));
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.send_to(QUESTION, (address, 53))?;
        if socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::other("dnsmasq does not answer"))
}

/// Runs `work` while somebody answers at the peer's other address, rightly or not as the name says.
pub(crate) fn with_server<T: Send>(
    workshop: &Workshop,
    work: impl FnOnce() -> T + Send,
) -> Result<T, String> {
    let sockets = workshop.lab.run_beside(|_| {
        let server = UdpSocket::bind((PEER_ADDRESS6, 53))?;
        let other = UdpSocket::bind((PEER_ADDRESS6, 54))?;
        server.set_read_timeout(Some(Duration::from_millis(500)))?;
        Ok::<_, io::Error>((server, other))
    });
    let (server, other) = sockets
        .map_err(|cause| cause.to_string())?
        .map_err(|cause| cause.to_string())?;
    let is_over = AtomicBool::new(false);
    Ok(thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                serve(&server, &other).ok();
            }
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        done
    }))
}

fn serve(server: &UdpSocket, other: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 512];
    let (length, from) = server.recv_from(&mut buffer)?;
    let question = &buffer[..length];
    let asks = |name: &[u8]| question.windows(name.len()).any(|window| window == name);
    if asks(b"forged-id") {
        let mut forged = answer(question, FORGED);
        forged[0] ^= 0xff;
        server.send_to(&forged, from)?;
    } else if asks(b"forged-port") {
        other.send_to(&answer(question, FORGED), from)?;
    } else {
        server.send_to(&answer(question, ANSWERED), from)?;
    }
    Ok(())
}
