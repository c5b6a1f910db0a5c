//! Connections that are held open while somebody looks: what the process that holds one does.

use std::{
    env, fs, io,
    io::{BufRead, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    thread,
    time::Duration,
};

use egress_baseline::canary::{
    Kind, MAKER_ADDRESS4, Made, OPEN_PORT, PEER_ADDRESS4, PEER_ADDRESS6, kind_named,
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, SocketFlags, SocketType, bind, connect, ipproto, listen, socket,
        socket_with, sockopt,
    },
};

use super::child::{Report, say};

/// What each client sends before anything is observed.
pub(crate) const BEFORE: usize = 1_000;

/// The port of the servers, which share it.
pub(crate) const SERVER_PORT: u16 = 20_778;

/// A port that a client binds itself to.
pub(crate) const BOUND_PORT: u16 = 20_779;

/// A client comes once its server listens, which takes a while in an emulated machine.
const TRIES: usize = 400;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Opens a connection, says so, and does as it is told on standard input until that ends: each line
/// is a number of bytes to send.
pub(crate) fn play(words: &[&str]) -> Report {
    match hold(words) {
        Ok(made) => Report::Made(made),
        Err(cause) if is_lacking(&cause) => Report::Lacking(cause.to_string()),
        Err(cause) => Report::broken(cause),
    }
}

fn is_lacking(cause: &io::Error) -> bool {
    let lacking = [Errno::PROTONOSUPPORT, Errno::NOPROTOOPT];
    lacking
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&cause.raw_os_error())
}

fn hold(words: &[&str]) -> io::Result<Made> {
    let peer = SocketAddr::new(PEER_ADDRESS4.into(), OPEN_PORT);
    match words {
        ["client", address, ..] => {
            let address: IpAddr = address.parse().map_err(io::Error::other)?;
            serve_as_client(TcpStream::connect((address, OPEN_PORT))?)
        }
        ["deleted", ..] => {
            fs::remove_file(env::current_exe()?)?;
            serve_as_client(TcpStream::connect(peer)?)
        }
        ["multipath", ..] => serve_as_client(multipath()?),
        ["bound", port, ..] => {
            let port = port.parse().map_err(io::Error::other)?;
            serve_as_client(bound(SocketAddr::new(MAKER_ADDRESS4.into(), port), peer)?)
        }
        ["visitor"] => serve_as_client(visit()?),
        ["server", backlog, rest @ ..] => {
            let backlog = backlog.parse().map_err(io::Error::other)?;
            serve(backlog, rest.contains(&"closed"))
        }
        other => Err(io::Error::other(format!("nothing is held by {other:?}"))),
    }
}

fn bound(own: SocketAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&stream, &own)?;
    connect(&stream, &peer)?;
    Ok(stream.into())
}

fn multipath() -> io::Result<TcpStream> {
    let port = kind_named("mptcp4").map_or(OPEN_PORT, Kind::port);
    let stream = open_stream(AddressFamily::INET, Some(ipproto::MPTCP))?;
    connect(&stream, &SocketAddr::new(PEER_ADDRESS4.into(), port))?;
    Ok(stream.into())
}

fn open_stream(family: AddressFamily, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    Ok(socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        protocol,
    )?)
}

/// From the other end of the cable to the servers; which of them takes it, the kernel decides.
fn visit() -> io::Result<TcpStream> {
    let mut cause = io::Error::other("no server listens");
    for _ in 0..TRIES {
        match TcpStream::connect((MAKER_ADDRESS4, SERVER_PORT)) {
            Ok(stream) => return Ok(stream),
            Err(error) => cause = error,
        }
        thread::sleep(BETWEEN_TRIES);
    }
    Err(cause)
}

/// Holds what it has accepted, and listens on unless that is to be over.
fn serve(backlog: i32, is_closed: bool) -> io::Result<Made> {
    let listener = open_stream(AddressFamily::INET, None)?;
    sockopt::set_socket_reuseport(&listener, true)?;
    bind(
        &listener,
        &SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), SERVER_PORT),
    )?;
    listen(&listener, backlog)?;
    let listener = TcpListener::from(listener);
    let (mut stream, _) = listener.accept()?;
    let _kept = (!is_closed).then_some(listener);
    stream.read_exact(&mut [0; BEFORE])?;
    // A server talks as well: bytes out are no sign of a client.
    stream.write_all(b"welcome")?;
    say(&Report::Made(Made::default()));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    // What is unread when a socket is closed breaks the connection.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(Made::default())
}

fn serve_as_client(mut stream: TcpStream) -> io::Result<Made> {
    stream.write_all(&[b'.'; BEFORE])?;
    let source_port = Some(stream.local_addr()?.port());
    let mut made = Made {
        source_port,
        ..Made::default()
    };
    say(&Report::Made(made));
    for line in io::stdin().lock().lines() {
        let count: usize = line?.trim().parse().map_err(io::Error::other)?;
        stream.write_all(&vec![b'+'; count])?;
        made.bytes_out += count as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    made.bytes_in = stream.read_to_end(&mut Vec::new())? as u64;
    Ok(made)
}

/// The peer by its IPv4 address as an IPv6 one.
pub(crate) fn mapped_peer() -> String {
    IpAddr::V6(PEER_ADDRESS4.to_ipv6_mapped()).to_string()
}

/// The peer by its IPv6 address.
pub(crate) fn peer6() -> String {
    PEER_ADDRESS6.to_string()
}
