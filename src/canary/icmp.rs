//! Echo requests through ping sockets.

use std::net::SocketAddr;

use rustix::net::{SendFlags, send, sendto};

use super::{
    addresses::{NO_ROUTE4, PEER_ADDRESS4, PEER_ADDRESS6},
    kind::{Group, Kind, Made, NotMade, Target},
    socket::{PAYLOAD, connected, family_of, open},
};
use crate::model::{Outcome, Protocol};

const ECHO_REQUEST4: u8 = 8;
const ECHO_REQUEST6: u8 = 128;

pub(super) fn kinds() -> Vec<Kind> {
    let ping4 = |name, make| Kind::new(name, Group::Ping, Protocol::ICMP, PEER_ADDRESS4, make);
    let ping6 = |name, make| Kind::new(name, Group::Ping, Protocol::ICMPV6, PEER_ADDRESS6, make);
    vec![
        ping4("ping4", ping),
        ping4("ping4-connected", ping_connected),
        Kind::new(
            "ping4-no-route",
            Group::Ping,
            Protocol::ICMP,
            NO_ROUTE4,
            ping_in_vain,
        )
        .outcome(Outcome::Unreachable),
        ping6("ping6", ping),
        ping6("ping6-connected", ping_connected),
    ]
}

/// An echo request without a checksum, which the kernel fills in.
pub(super) fn echo_request(to: SocketAddr) -> Vec<u8> {
    let kind = match to {
        SocketAddr::V4(_) => ECHO_REQUEST4,
        SocketAddr::V6(_) => ECHO_REQUEST6,
    };
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(PAYLOAD);
    message
}

fn ping_socket(to: SocketAddr) -> Result<std::os::fd::OwnedFd, NotMade> {
    let protocol = match to {
        SocketAddr::V4(_) => libc::IPPROTO_ICMP,
        SocketAddr::V6(_) => libc::IPPROTO_ICMPV6,
    };
    open(family_of(to), libc::SOCK_DGRAM, protocol)
}

fn without_port(target: Target) -> SocketAddr {
    SocketAddr::new(target.address, 0)
}

fn ping(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let message = echo_request(to);
    sendto(ping_socket(to)?, &message, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("send an echo request", errno))?;
    Ok(Made::attempts(1, message.len() as u64))
}

fn ping_connected(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let socket = ping_socket(to)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    let message = echo_request(to);
    send(&socket, &message, SendFlags::empty())
        .map_err(|errno| NotMade::broken("send an echo request", errno))?;
    Ok(Made::attempts(1, message.len() as u64))
}

fn ping_in_vain(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let message = echo_request(to);
    match sendto(ping_socket(to)?, &message, SendFlags::empty(), &to) {
        Ok(_) => Err(NotMade::broken("send in vain", "it succeeded")),
        Err(errno) => Ok(Made::refused_datagram(message.len(), errno.raw_os_error())),
    }
}
