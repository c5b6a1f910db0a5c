//! TCP connects of every sort and outcome.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
};

use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{RecvFlags, SendFlags, Shutdown, accept, listen, recv, send, sendto, shutdown},
};

use super::{
    addresses::{
        BLACKHOLE4, BLACKHOLE6, MAKER_ADDRESS4, NO_ROUTE4, NO_ROUTE6, PEER_ADDRESS4, PEER_ADDRESS6,
        PROHIBITED4, PROHIBITED6, SILENT4, SILENT6, UNREACHABLE4, UNREACHABLE6,
    },
    kind::{Group, Kind, Made, NotMade, PeerRole, Scope, Target},
    socket::{
        PAYLOAD, await_writable, bound, connected, local_port, open, pending_error, set_option,
        stream_for,
    },
};
use crate::model::{Outcome, Protocol};

const ACCEPTS: PeerRole = PeerRole::Accepts(libc::IPPROTO_TCP);

pub(super) fn kinds() -> Vec<Kind> {
    use Outcome::{Denied, Established, Failed, Refused, TimedOut, Unreachable};
    let tcp = |name, address: std::net::IpAddr, make| {
        Kind::new(name, Group::Tcp, Protocol::TCP, address, make)
    };
    let peer4 = |name, make| tcp(name, PEER_ADDRESS4.into(), make);
    let peer6 = |name, make| tcp(name, PEER_ADDRESS6.into(), make);
    let open4 = |name, make| peer4(name, make).peer(ACCEPTS).outcome(Established);
    let open6 = |name, make| peer6(name, make).peer(ACCEPTS).outcome(Established);
    vec![
        open4("tcp4-connected", connect_and_talk),
        peer4("tcp4-refused", connect_in_vain).outcome(Refused),
        tcp("tcp4-no-route", NO_ROUTE4.into(), connect_in_vain).outcome(Unreachable),
        tcp("tcp4-unreachable", UNREACHABLE4.into(), connect_in_vain).outcome(Unreachable),
        tcp("tcp4-blackhole", BLACKHOLE4.into(), connect_in_vain).outcome(Failed),
        tcp("tcp4-denied", PROHIBITED4.into(), connect_in_vain).outcome(Denied),
        open4("tcp4-nonblocking", connect_without_blocking),
        peer4("tcp4-nonblocking-refused", connect_without_blocking).outcome(Refused),
        open4("tcp4-thread", connect_from_thread),
        tcp("tcp4-timed-out", SILENT4.into(), connect_impatiently).outcome(TimedOut),
        tcp("tcp4-given-up", SILENT4.into(), connect_and_give_up).outcome(TimedOut),
        open4("tcp4-three-times", connect_three_times),
        open4("tcp4-handed-over", connect_and_hand_over),
        open6("tcp6-connected", connect_and_talk),
        peer6("tcp6-refused", connect_in_vain).outcome(Refused),
        tcp("tcp6-no-route", NO_ROUTE6.into(), connect_in_vain).outcome(Unreachable),
        tcp("tcp6-unreachable", UNREACHABLE6.into(), connect_in_vain).outcome(Unreachable),
        tcp("tcp6-blackhole", BLACKHOLE6.into(), connect_in_vain).outcome(Failed),
        tcp("tcp6-denied", PROHIBITED6.into(), connect_in_vain).outcome(Denied),
        open6("tcp6-nonblocking", connect_without_blocking),
        tcp("tcp6-timed-out", SILENT6.into(), connect_impatiently).outcome(TimedOut),
        open4("tcp-mapped", |target| talk_to(target.mapped())),
        peer4("tcp-mapped-refused", |target| fail_to(target.mapped())).outcome(Refused),
        tcp("tcp-mapped-no-route", NO_ROUTE4.into(), |target| {
            fail_to(target.mapped())
        })
        .outcome(Unreachable),
        open4("tcp-fastopen4", send_with_fast_open),
        open6("tcp-fastopen6", send_with_fast_open),
        open4("tcp-fastopen-connect", connect_with_fast_open),
        open4("tcp-fastopen-connect-cached", connect_with_a_cookie),
        multipath("mptcp4", PEER_ADDRESS4.into()),
        multipath("mptcp6", PEER_ADDRESS6.into()),
        tcp("tcp4-accepted", PEER_ADDRESS4.into(), answer_a_client)
            .peer(PeerRole::ConnectsFirst)
            .scope(Scope::NoFlow),
    ]
}

fn multipath(name: &'static str, address: std::net::IpAddr) -> Kind {
    Kind::new(
        name,
        Group::Mptcp,
        Protocol::TCP,
        address,
        connect_multipath,
    )
    .peer(PeerRole::Accepts(libc::IPPROTO_MPTCP))
    .outcome(Outcome::Established)
}

/// Sends the payload, ends its own direction and reads what the peer has to say.
fn converse(socket: &OwnedFd) -> Result<Made, NotMade> {
    send(socket, PAYLOAD, SendFlags::NOSIGNAL)
        .map_err(|errno| NotMade::broken("send over a connection", errno))?;
    finish(socket)
}

fn finish(socket: &OwnedFd) -> Result<Made, NotMade> {
    shutdown(socket, Shutdown::Write).map_err(|errno| NotMade::broken("shut down", errno))?;
    let mut bytes_in = 0;
    let mut buffer = [0_u8; 64];
    loop {
        match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => break,
            Ok((count, _)) => bytes_in += count as u64,
            Err(errno) => return Err(NotMade::broken("receive over a connection", errno)),
        }
    }
    Ok(Made {
        bytes_in,
        ..Made::attempts(1, PAYLOAD.len() as u64)
    }
    .with_source_port(local_port(socket)))
}

fn talk_to(to: SocketAddr) -> Result<Made, NotMade> {
    let socket = stream_for(to)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    converse(&socket)
}

fn fail_to(to: SocketAddr) -> Result<Made, NotMade> {
    let socket = stream_for(to)?;
    fail_with(&socket, to)
}

fn fail_with(socket: &OwnedFd, to: SocketAddr) -> Result<Made, NotMade> {
    match connected(socket, to) {
        Ok(()) => Err(NotMade::broken("connect in vain", "it succeeded")),
        Err(errno) => Ok(Made::attempts(1, 0).failing_with(Some(errno.raw_os_error()))),
    }
}

fn connect_and_talk(target: Target) -> Result<Made, NotMade> {
    talk_to(target.socket_address())
}

fn connect_in_vain(target: Target) -> Result<Made, NotMade> {
    fail_to(target.socket_address())
}

fn connect_without_blocking(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    let blocking = |is_off| {
        ioctl_fionbio(&socket, is_off).map_err(|errno| NotMade::broken("change blocking", errno))
    };
    blocking(true)?;
    match connected(&socket, to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(NotMade::broken("connect", errno)),
    }
    await_writable(&socket)?;
    blocking(false)?;
    match pending_error(&socket) {
        Some(errno) => Ok(Made::attempts(1, 0).failing_with(Some(errno))),
        None => converse(&socket),
    }
}

fn connect_from_thread(target: Target) -> Result<Made, NotMade> {
    thread::spawn(move || connect_and_talk(target))
        .join()
        .unwrap_or_else(|_| Err(NotMade::broken("connect from a thread", "it panicked")))
}

fn connect_impatiently(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    // One SYN more, and then the kernel gives up: three seconds.
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_SYNCNT, 1)?;
    fail_with(&socket, to)
}

fn connect_and_give_up(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    ioctl_fionbio(&socket, true).map_err(|errno| NotMade::broken("change blocking", errno))?;
    match connected(&socket, to) {
        // Whoever watches from outside learns the port of an established connection only.
        Err(Errno::INPROGRESS) => Ok(Made::attempts(1, 0)),
        other => Err(NotMade::broken(
            "connect to a silent peer",
            format!("{other:?}"),
        )),
    }
}

fn connect_three_times(target: Target) -> Result<Made, NotMade> {
    let mut sum = Made::default();
    for _ in 0..3 {
        sum = plus(sum, connect_and_talk(target)?);
    }
    Ok(sum.with_source_port(None))
}

fn plus(sum: Made, other: Made) -> Made {
    Made {
        attempts: sum.attempts + other.attempts,
        packets: sum.packets + other.packets,
        bytes_out: sum.bytes_out + other.bytes_out,
        bytes_in: sum.bytes_in + other.bytes_in,
        ..other
    }
}

/// Another process takes the socket over, reads the answer and closes it: who closes a socket is not
/// who made the flow.
fn connect_and_hand_over(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    send(&socket, PAYLOAD, SendFlags::NOSIGNAL)
        .map_err(|errno| NotMade::broken("send over a connection", errno))?;
    shutdown(&socket, Shutdown::Write).map_err(|errno| NotMade::broken("shut down", errno))?;
    let source_port = local_port(&socket);
    let successor = Command::new("cat")
        .stdin(socket)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| NotMade::Lacking(format!("the program `cat`: {cause}")))?;
    let answer = successor
        .wait_with_output()
        .map_err(|cause| NotMade::broken("hand a socket to another process", cause))?;
    Ok(Made {
        bytes_in: answer.stdout.len() as u64,
        ..Made::attempts(1, PAYLOAD.len() as u64)
    }
    .with_source_port(source_port))
}

fn send_with_fast_open(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    let fast_open = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    match sendto(&socket, PAYLOAD, fast_open, &to) {
        Ok(_) => finish(&socket),
        Err(Errno::OPNOTSUPP) => Err(NotMade::Lacking("tcp fast open is switched off".into())),
        Err(errno) => Err(NotMade::broken("send with fast open", errno)),
    }
}

fn connect_with_fast_open(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = stream_for(to)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect with fast open", errno))?;
    converse(&socket)
}

/// The first connection brings the cookie; with it the second connect sends nothing by itself.
fn connect_with_a_cookie(target: Target) -> Result<Made, NotMade> {
    let first = send_with_fast_open(target)?;
    let second = connect_with_fast_open(target)?;
    Ok(plus(first, second).with_source_port(None))
}

fn connect_multipath(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(
        super::socket::family_of(to),
        libc::SOCK_STREAM,
        libc::IPPROTO_MPTCP,
    )?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    converse(&socket)
}

/// Serves one client: what a server sends back is no flow of its own.
fn answer_a_client(target: Target) -> Result<Made, NotMade> {
    let own = SocketAddr::new(MAKER_ADDRESS4.into(), target.port);
    let socket = stream_for(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))?;
    bound(&socket, own)?;
    listen(&socket, 1).map_err(|errno| NotMade::broken("listen", errno))?;
    let client = accept(&socket).map_err(|errno| NotMade::broken("await a client", errno))?;
    send(&client, PAYLOAD, SendFlags::NOSIGNAL)
        .map_err(|errno| NotMade::broken("answer a client", errno))?;
    Ok(Made::attempts(0, PAYLOAD.len() as u64))
}
