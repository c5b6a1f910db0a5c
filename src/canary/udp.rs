//! Datagrams by every call that sends them, and to every sort of destination.

use std::{
    io::{IoSlice, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{
        MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg,
        recvfrom, send, sendmmsg, sendmsg_addr, sendto, sockopt,
    },
};

use super::{
    addresses::{
        BLACKHOLE4, BROADCAST4, FIREWALLED4, MAKER_ADDRESS4, MULTICAST4, MULTICAST6, NO_ROUTE4,
        NO_ROUTE6, PEER_ADDRESS4, PEER_ADDRESS6, PROHIBITED4, PROHIBITED6, UNREACHABLE4,
        UNREACHABLE6,
    },
    kind::{Group, Kind, Made, NotMade, PeerRole, Scope, Target},
    socket::{PAYLOAD, bound, connected, datagram_for, family_of, local_port, open},
};
use crate::model::{Outcome, Protocol};

pub(super) const TAKES: PeerRole = PeerRole::Takes(libc::IPPROTO_UDP);
const UDP_LITE: Protocol = Protocol(Some(136));

pub(super) fn kinds() -> Vec<Kind> {
    use Outcome::{Denied, Failed, Unreachable};
    let to = |name, address: IpAddr, make| {
        Kind::new(name, Group::Udp, Protocol::UDP, address, make).peer(TAKES)
    };
    let peer4 = |name, make| to(name, PEER_ADDRESS4.into(), make);
    let peer6 = |name, make| to(name, PEER_ADDRESS6.into(), make);
    let lite = |name, address: IpAddr| {
        Kind::new(name, Group::UdpLite, UDP_LITE, address, send_lite)
            .peer(PeerRole::Takes(libc::IPPROTO_UDPLITE))
    };
    vec![
        peer4("udp4-sendto", send_once),
        peer4("udp4-sendmsg", send_message),
        peer4("udp4-sendmmsg", send_messages),
        peer4("udp4-connected", send_connected),
        peer4("udp4-write", write_connected),
        peer4("udp4-connected-elsewhere", send_elsewhere),
        peer4("udp4-connect-only", only_connect).scope(Scope::NoFlow),
        peer4("udp4-empty", send_nothing),
        to("udp4-multicast", MULTICAST4.into(), send_once),
        to("udp4-broadcast", BROADCAST4.into(), send_broadcast),
        to("udp4-no-route", NO_ROUTE4.into(), send_in_vain).outcome(Unreachable),
        to("udp4-unreachable", UNREACHABLE4.into(), send_in_vain).outcome(Unreachable),
        to("udp4-blackhole", BLACKHOLE4.into(), send_in_vain).outcome(Failed),
        to("udp4-denied", PROHIBITED4.into(), send_in_vain).outcome(Denied),
        Kind::new(
            "udp4-firewalled",
            Group::Firewall,
            Protocol::UDP,
            FIREWALLED4,
            send_against_firewall,
        )
        .outcome(Denied),
        peer6("udp6-sendto", send_once),
        peer6("udp6-sendmsg", send_message),
        peer6("udp6-sendmmsg", send_messages),
        peer6("udp6-connected", send_connected),
        peer6("udp6-connected-elsewhere", send_elsewhere),
        peer6("udp6-connect-only", only_connect).scope(Scope::NoFlow),
        to("udp6-multicast", MULTICAST6.into(), send_once),
        to("udp6-no-route", NO_ROUTE6.into(), send_in_vain).outcome(Unreachable),
        to("udp6-unreachable", UNREACHABLE6.into(), send_in_vain).outcome(Unreachable),
        to("udp6-denied", PROHIBITED6.into(), send_in_vain).outcome(Denied),
        peer4("udp-mapped-sendto", |target| send_to(target.mapped())),
        peer4("udp-mapped-connected", |target| {
            send_connected_to(target.mapped())
        }),
        peer4("udp4-address-on-6", send_with_ipv4_address_on_ipv6_socket),
        lite("udplite4", PEER_ADDRESS4.into()),
        lite("udplite6", PEER_ADDRESS6.into()),
        peer4("udp4-reply", answer_a_datagram)
            .peer(PeerRole::WritesFirst)
            .scope(Scope::NoFlow),
    ]
}

fn one(socket: &OwnedFd) -> Made {
    Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(socket))
}

fn send_once(target: Target) -> Result<Made, NotMade> {
    send_to(target.socket_address())
}

fn send_to(to: SocketAddr) -> Result<Made, NotMade> {
    let socket = datagram_for(to)?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(one(&socket))
}

fn send_message(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = datagram_for(to)?;
    let (head, tail) = PAYLOAD.split_at(4);
    sendmsg_addr(
        &socket,
        &to,
        &[IoSlice::new(head), IoSlice::new(tail)],
        &mut SendAncillaryBuffer::default(),
        SendFlags::empty(),
    )
    .map_err(|errno| NotMade::broken("sendmsg", errno))?;
    Ok(one(&socket))
}

fn send_messages(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = datagram_for(to)?;
    let address: SocketAddrAny = to.as_any();
    let parts = [IoSlice::new(PAYLOAD)];
    let mut control: [SendAncillaryBuffer<'_, '_, '_>; 3] = Default::default();
    let [first, second, third] = &mut control;
    let mut messages =
        [first, second, third].map(|control| MMsgHdr::new_with_addr(&address, &parts, control));
    match sendmmsg(&socket, &mut messages, SendFlags::empty()) {
        Ok(3) => {
            Ok(Made::attempts(3, 3 * PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
        }
        Ok(count) => Err(NotMade::broken("sendmmsg", format!("sent {count} of 3"))),
        Err(errno) => Err(NotMade::broken("sendmmsg", errno)),
    }
}

fn send_connected(target: Target) -> Result<Made, NotMade> {
    send_connected_to(target.socket_address())
}

fn send_connected_to(to: SocketAddr) -> Result<Made, NotMade> {
    let socket = connect_datagram(to)?;
    for _ in 0..2 {
        send(&socket, PAYLOAD, SendFlags::empty())
            .map_err(|errno| NotMade::broken("send", errno))?;
    }
    Ok(Made::attempts(2, 2 * PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
}

/// A connected datagram socket.
pub(super) fn connect_datagram(to: SocketAddr) -> Result<OwnedFd, NotMade> {
    let socket = datagram_for(to)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    Ok(socket)
}

fn write_connected(target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(target.socket_address())?;
    let made = one(&socket);
    std::fs::File::from(socket)
        .write_all(PAYLOAD)
        .map_err(|cause| NotMade::broken("write", cause))?;
    Ok(made)
}

/// Connected to the discard port, to which nothing is sent.
fn send_elsewhere(target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(SocketAddr::new(target.address, 9))?;
    sendto(
        &socket,
        PAYLOAD,
        SendFlags::empty(),
        &target.socket_address(),
    )
    .map_err(|errno| NotMade::broken("sendto elsewhere", errno))?;
    Ok(one(&socket))
}

fn only_connect(target: Target) -> Result<Made, NotMade> {
    connect_datagram(target.socket_address()).map(|_| Made::default())
}

fn send_nothing(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = datagram_for(to)?;
    sendto(&socket, &[], SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(Made::attempts(1, 0).with_source_port(local_port(&socket)))
}

fn send_broadcast(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = datagram_for(to)?;
    sockopt::set_socket_broadcast(&socket, true)
        .map_err(|errno| NotMade::broken("allow broadcast", errno))?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(one(&socket))
}

fn refused_datagram(target: Target) -> Result<Option<Errno>, NotMade> {
    let to = target.socket_address();
    let socket = datagram_for(to)?;
    Ok(sendto(&socket, PAYLOAD, SendFlags::empty(), &to).err())
}

fn send_in_vain(target: Target) -> Result<Made, NotMade> {
    match refused_datagram(target)? {
        Some(errno) => Ok(Made::refused_datagram(PAYLOAD.len(), errno.raw_os_error())),
        None => Err(NotMade::broken("send in vain", "it succeeded")),
    }
}

fn send_against_firewall(target: Target) -> Result<Made, NotMade> {
    match refused_datagram(target)? {
        Some(errno) => Ok(Made::refused_datagram(PAYLOAD.len(), errno.raw_os_error())),
        None => Err(NotMade::Lacking(
            "the laboratory has no packet filter (`nft` is missing, or the kernel lacks it)".into(),
        )),
    }
}

fn send_with_ipv4_address_on_ipv6_socket(target: Target) -> Result<Made, NotMade> {
    let socket = open(libc::AF_INET6, libc::SOCK_DGRAM, 0)?;
    sendto(
        &socket,
        PAYLOAD,
        SendFlags::empty(),
        &target.socket_address(),
    )
    .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(one(&socket))
}

fn send_lite(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(family_of(to), libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE)?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(one(&socket))
}

/// Serves one client that wrote first: what a server sends back is no flow of its own.
fn answer_a_datagram(target: Target) -> Result<Made, NotMade> {
    let own = SocketAddr::new(MAKER_ADDRESS4.into(), target.port);
    let socket = datagram_for(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))?;
    bound(&socket, own)?;
    let mut buffer = [0_u8; 64];
    let (_, _, from) = recvfrom(&socket, &mut buffer[..], RecvFlags::empty())
        .map_err(|errno| NotMade::broken("await a client", errno))?;
    let client = from.ok_or_else(|| NotMade::broken("await a client", "it has no address"))?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &client)
        .map_err(|errno| NotMade::broken("answer a client", errno))?;
    Ok(Made::attempts(0, PAYLOAD.len() as u64).with_source_port(Some(target.port)))
}
