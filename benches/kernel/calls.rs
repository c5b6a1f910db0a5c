//! The calls that are counted, each across the cable between two network namespaces.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use anyhow::ensure;
use egress_baseline::canary::Isolation;
use rustix::{
    io::{Errno, read, write},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept, bind, connect,
        listen, recv, send, sendto, socket_with,
        sockopt::{self, Timeout},
    },
};

use super::clocks::of_this_thread;

const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Packets for it arrive at the other end, which drops them: nothing of what happens to a packet
/// that somebody receives is counted with the sending.
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 3), 20_003);
const LISTENER: SocketAddrV4 = SocketAddrV4::new(THERE, 20_001);
const RECEIVER: SocketAddrV4 = SocketAddrV4::new(HERE, 20_002);

/// Calls in a lap: few enough for one backlog and one receive buffer.
pub(crate) const LAP: u32 = 128;

const PAYLOAD: [u8; 64] = [b'x'; 64];
const LARGE_PAYLOAD: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// What has not arrived by then never will.
const LOST: Duration = Duration::from_secs(10);

/// The sockets of the other end.
#[derive(Debug)]
pub(crate) struct Far {
    listener: OwnedFd,
    sender: OwnedFd,
}

impl Far {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let listener = open(SocketType::STREAM)?;
        bind(&listener, &LISTENER)?;
        listen(&listener, 1_024)?;
        let sender = open(SocketType::DGRAM)?;
        bind(&sender, &SocketAddrV4::new(THERE, 20_004))?;
        Ok(Self { listener, sender })
    }
}

/// One kind of call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Laps of one measurement.
    pub(crate) laps: u32,
    /// Makes [`LAP`] of them and says what they took.
    pub(crate) lap: fn(&Isolation, &Far) -> anyhow::Result<u64>,
}

/// All of them; the table refers to those of [`SENDTO`] and [`EXCHANGE`].
pub(crate) const CALLS: [Call; 8] = [
    Call {
        name: "TCP connect(), answered",
        laps: 8,
        lap: connect_answered,
    },
    Call {
        name: "TCP connect(), non-blocking, unanswered",
        laps: 8,
        lap: connect_unanswered,
    },
    Call {
        name: "TCP socket, connect, accept, close",
        laps: 8,
        lap: cycle,
    },
    Call {
        name: "UDP sendto(), 64 bytes, unconnected",
        laps: 32,
        lap: send_unconnected,
    },
    Call {
        name: "UDP send(), 64 bytes, connected",
        laps: 32,
        lap: send_connected,
    },
    Call {
        name: "UDP sendto() and recv(), 64 bytes",
        laps: 32,
        lap: send_and_receive,
    },
    Call {
        name: "TCP write() and read(), 64 bytes",
        laps: 32,
        lap: |_, far| write_and_read(far, &PAYLOAD),
    },
    Call {
        name: "TCP write() and read(), 16 KiB",
        laps: 8,
        lap: |_, far| write_and_read(far, &LARGE_PAYLOAD),
    },
];

/// Place of the call whose receiving is nobody's.
pub(crate) const SENDTO: usize = 3;
/// Place of the call that is the same and is received.
pub(crate) const EXCHANGE: usize = 5;

fn open(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)
}

fn sockets(kind: SocketType) -> rustix::io::Result<Vec<OwnedFd>> {
    (0..LAP).map(|_| open(kind)).collect()
}

fn timed(work: impl FnOnce() -> rustix::io::Result<()>) -> anyhow::Result<u64> {
    let start = of_this_thread();
    work()?;
    Ok(of_this_thread() - start)
}

/// Closes without the wait for stray packets, of which thousands would change what the next lap has
/// to search.
fn abort(sockets: Vec<OwnedFd>) -> rustix::io::Result<()> {
    for socket in sockets {
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    }
    Ok(())
}

fn connect_answered(_: &Isolation, far: &Far) -> anyhow::Result<u64> {
    let clients = sockets(SocketType::STREAM)?;
    let taken = timed(|| {
        clients
            .iter()
            .try_for_each(|client| connect(client, &LISTENER))
    })?;
    let servers: Result<Vec<OwnedFd>, Errno> =
        clients.iter().map(|_| accept(&far.listener)).collect();
    abort(clients)?;
    abort(servers?)?;
    Ok(taken)
}

fn connect_unanswered(_: &Isolation, _far: &Far) -> anyhow::Result<u64> {
    let clients = sockets(SocketType::STREAM)?;
    for client in &clients {
        rustix::io::ioctl_fionbio(client, true)?;
    }
    let mut underway = 0;
    let taken = timed(|| {
        for client in &clients {
            underway += u32::from(connect(client, &NOBODY) == Err(Errno::INPROGRESS));
        }
        Ok(())
    })?;
    ensure!(
        underway == LAP,
        "{underway} of {LAP} connects are under way"
    );
    Ok(taken)
}

fn cycle(_: &Isolation, far: &Far) -> anyhow::Result<u64> {
    timed(|| {
        for _ in 0..LAP {
            let client = open(SocketType::STREAM)?;
            connect(&client, &LISTENER)?;
            drop(accept(&far.listener)?);
            drop(client);
        }
        Ok(())
    })
}

fn send_unconnected(_: &Isolation, _far: &Far) -> anyhow::Result<u64> {
    let socket = open(SocketType::DGRAM)?;
    sendto(&socket, &PAYLOAD, SendFlags::empty(), &NOBODY)?;
    timed(|| {
        for _ in 0..LAP {
            sendto(&socket, &PAYLOAD, SendFlags::empty(), &NOBODY)?;
        }
        Ok(())
    })
}

fn send_connected(_: &Isolation, _far: &Far) -> anyhow::Result<u64> {
    let socket = open(SocketType::DGRAM)?;
    connect(&socket, &NOBODY)?;
    send(&socket, &PAYLOAD, SendFlags::empty())?;
    timed(|| {
        for _ in 0..LAP {
            send(&socket, &PAYLOAD, SendFlags::empty())?;
        }
        Ok(())
    })
}

fn send_and_receive(_: &Isolation, far: &Far) -> anyhow::Result<u64> {
    let receiver = open(SocketType::DGRAM)?;
    bind(&receiver, &RECEIVER)?;
    // Now and then the kernel leaves the packet to a thread of its own, and the call has to wait.
    sockopt::set_socket_timeout(&receiver, Timeout::Recv, Some(LOST))?;
    let exchange = || {
        let mut buffer = [0; 128];
        sendto(&far.sender, &PAYLOAD, SendFlags::empty(), &RECEIVER)?;
        recv(&receiver, &mut buffer, RecvFlags::empty()).map(drop)
    };
    exchange()?;
    timed(|| (0..LAP).try_for_each(|_| exchange()))
}

fn write_and_read(far: &Far, payload: &[u8]) -> anyhow::Result<u64> {
    let client = open(SocketType::STREAM)?;
    sockopt::set_tcp_nodelay(&client, true)?;
    connect(&client, &LISTENER)?;
    let server = accept(&far.listener)?;
    let mut buffer = vec![0; payload.len()];
    // Unless the other end reads, writes are gathered and few of them make a segment.
    let mut exchange = || {
        let mut missing = write(&client, payload)?;
        while missing > 0 {
            missing -= read(server.as_fd(), &mut buffer)?.min(missing);
        }
        Ok(())
    };
    // The first segments are acknowledged one by one, later ones are not.
    (0..32).try_for_each(|_| exchange())?;
    let taken = timed(|| (0..LAP).try_for_each(|_| exchange()))?;
    abort(vec![client, server])?;
    Ok(taken)
}
