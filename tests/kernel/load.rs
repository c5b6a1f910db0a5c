//! Much traffic, of which it is known exactly what it was.

use std::{
    env, fs,
    io::{self, BufWriter, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::Path,
    thread,
    time::Duration,
};

use egress_baseline::canary::{
    MAKER_ADDRESS4, Made, OPEN_PORT, PEER_ADDRESS4, SILENT4, await_child, fork_and_run,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::child::Report;

/// The first of the ports that nobody listens on.
pub(crate) const FIRST_PORT: u16 = 30_000;

/// By how much the loads are smaller than they are on a machine that is not emulated.
const DIVISOR: &str = "EGRESS_TEST_DIVISOR";

/// `number`, or less where the machine is slow.
pub(crate) fn scaled(number: u64) -> u64 {
    let divisor = env::var(DIVISOR).ok().and_then(|text| text.parse().ok());
    number / divisor.unwrap_or(1).max(1)
}

/// Plays the part that the words name.
pub(crate) fn play(words: &[&str]) -> Report {
    let made = match words {
        ["datagrams", how, count, ports] => numbers(count, ports)
            .and_then(|(count, ports)| datagrams(*how == "connected", count, ports)),
        ["connects", established, refused] => {
            numbers(established, refused).and_then(|(open, closed)| connects(open, closed))
        }
        ["hold", count] => numbers(count, "0").and_then(|(count, _)| hold(count)),
        ["own-address", count] => numbers(count, "0").and_then(|(count, _)| own_address(count)),
        ["steady", log] => steady(Path::new(log)),
        ["lives", count] => numbers(count, "0").and_then(|(count, _)| lives(count)),
        other => Err(io::Error::other(format!("there is no load {other:?}"))),
    };
    match made {
        Ok((attempts, bytes_out)) => Report::Made(Made {
            attempts,
            bytes_out,
            ..Made::default()
        }),
        Err(cause) => Report::broken(cause),
    }
}

/// Attempts and the bytes that were handed over with them.
type Sum = (u64, u64);

fn numbers(one: &str, other: &str) -> io::Result<(u64, u64)> {
    match (one.parse(), other.parse()) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        _ => Err(io::Error::other("a load needs numbers")),
    }
}

fn port(number: u64) -> u16 {
    FIRST_PORT + u16::try_from(number).unwrap_or(0)
}

/// Datagrams of 1 to 100 bytes to so many ports in turn, which nobody answers.
fn datagrams(is_connected: bool, count: u64, ports: u64) -> io::Result<Sum> {
    let address = |number| SocketAddr::from((SILENT4, port(number)));
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    let mut sockets = Vec::new();
    for number in 0..if is_connected { ports } else { 1 } {
        let socket = UdpSocket::bind(any)?;
        if is_connected {
            socket.connect(address(number))?;
        }
        sockets.push(socket);
    }
    let payload = [b'.'; 100];
    let mut bytes = 0;
    for number in 0..count {
        let length = usize::try_from(number % 100).unwrap_or(0) + 1;
        let turn = number % ports;
        bytes += length as u64;
        match usize::try_from(turn) {
            Ok(turn) if is_connected => sockets[turn].send(&payload[..length])?,
            _ => sockets[0].send_to(&payload[..length], address(turn))?,
        };
    }
    Ok((count, bytes))
}

/// Connections that are opened, heard out and closed, and connects that are refused, mixed.
fn connects(established: u64, refused: u64) -> io::Result<Sum> {
    let total = established + refused;
    let mut left = refused;
    for number in 0..total {
        // Spread evenly.
        if left * total > refused * (total - number) || left == total - number {
            left -= 1;
            match TcpStream::connect((PEER_ADDRESS4, FIRST_PORT)) {
                Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {}
                other => return Err(io::Error::other(format!("not refused: {other:?}"))),
            }
            continue;
        }
        let mut stream = TcpStream::connect((PEER_ADDRESS4, OPEN_PORT))?;
        stream.write_all(b"hello")?;
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok((total, 5 * established))
}

/// Tells the parent that all is done but the end, and waits until it lets go.
fn await_release() -> io::Result<()> {
    writeln!(io::stdout(), "holding")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Connections that are open at the same time, until the parent lets go.
fn hold(count: u64) -> io::Result<Sum> {
    let streams: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect((PEER_ADDRESS4, OPEN_PORT)))
        .collect::<io::Result<_>>()?;
    await_release()?;
    drop(streams);
    Ok((count, 0))
}

/// Datagrams to the sender's own addresses: none of them is egress.
fn own_address(count: u64) -> io::Result<Sum> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for _ in 0..count {
        socket.send_to(b"myself", (MAKER_ADDRESS4, FIRST_PORT))?;
    }
    Ok((count, 0))
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> i64 {
    egress_baseline::capture::now().unix_ns()
}

/// One byte every millisecond or so until the parent lets go. The log has the times between which each
/// was sent.
fn steady(log: &Path) -> io::Result<Sum> {
    let mut log = BufWriter::new(fs::File::create(log)?);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let stdin = io::stdin();
    let mut count = 0;
    loop {
        let before = now_ns();
        socket.send_to(b".", (SILENT4, FIRST_PORT))?;
        writeln!(log, "{before} {}", now_ns())?;
        count += 1;
        let mut ends = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        if poll(&mut ends, Some(&pause))? > 0 {
            break;
        }
    }
    log.flush()?;
    Ok((count, count))
}

/// Processes that live for one datagram, a few at a time.
fn lives(count: u64) -> io::Result<Sum> {
    const AT_ONCE: usize = 8;
    let mut alive = std::collections::VecDeque::new();
    for number in 0..count {
        if alive.len() == AT_ONCE {
            reap(alive.pop_front())?;
        }
        let child = fork_and_run(None, || {
            let sent = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
                .and_then(|socket| socket.send_to(b"life", (SILENT4, port(number % 100))));
            u8::from(sent.is_err())
        })?;
        alive.push_back(child);
    }
    while !alive.is_empty() {
        reap(alive.pop_front())?;
    }
    Ok((count, 4 * count))
}

fn reap(child: Option<u32>) -> io::Result<()> {
    match child.map(await_child) {
        None | Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(io::Error::other("a short life failed")),
        Some(Err(cause)) => Err(cause),
    }
}

/// Waits a moment between two looks at something that changes by itself.
pub(crate) fn look_again() {
    thread::sleep(Duration::from_millis(100));
}
