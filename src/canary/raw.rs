//! Packets of raw IP sockets.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{SendFlags, send, sendto};

use super::{
    addresses::{MAKER_ADDRESS4, MAKER_ADDRESS6, NO_ROUTE4, PEER_ADDRESS4, PEER_ADDRESS6},
    icmp::echo_request,
    kind::{Group, Kind, Made, NotMade, Target},
    socket::{PAYLOAD, connected, family_of, open},
};
use crate::model::{Outcome, Protocol};

/// A protocol number that is kept free for experiments (RFC 3692).
const EXPERIMENT: u8 = 253;

pub(super) fn kinds() -> Vec<Kind> {
    let experiment = Protocol(Some(EXPERIMENT));
    let raw = |name, protocol, address: IpAddr, make| {
        Kind::new(name, Group::Raw, protocol, address, make)
    };
    let (four, six) = (PEER_ADDRESS4.into(), PEER_ADDRESS6.into());
    vec![
        raw("raw4", experiment, four, send_raw),
        raw("raw4-connected", experiment, four, send_raw_connected),
        raw("raw4-icmp", Protocol::ICMP, four, send_raw_icmp),
        raw("raw4-no-route", experiment, NO_ROUTE4.into(), send_in_vain)
            .outcome(Outcome::Unreachable),
        raw("raw4-own-header", Protocol::UDP, four, send_own_header),
        raw("raw6", experiment, six, send_raw),
        raw("raw6-connected", experiment, six, send_raw_connected),
        raw("raw6-icmp", Protocol::ICMPV6, six, send_raw_icmp),
        raw("raw6-own-header", Protocol::UDP, six, send_own_header),
    ]
}

fn without_port(target: Target) -> SocketAddr {
    SocketAddr::new(target.address, 0)
}

fn send_raw(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let socket = open(family_of(to), libc::SOCK_RAW, i32::from(EXPERIMENT))?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("send a raw packet", errno))?;
    Ok(Made::attempts(1, PAYLOAD.len() as u64))
}

fn send_raw_connected(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let socket = open(family_of(to), libc::SOCK_RAW, i32::from(EXPERIMENT))?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    send(&socket, PAYLOAD, SendFlags::empty())
        .map_err(|errno| NotMade::broken("send a raw packet", errno))?;
    Ok(Made::attempts(1, PAYLOAD.len() as u64))
}

fn send_raw_icmp(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let protocol = match to {
        SocketAddr::V4(_) => libc::IPPROTO_ICMP,
        SocketAddr::V6(_) => libc::IPPROTO_ICMPV6,
    };
    let socket = open(family_of(to), libc::SOCK_RAW, protocol)?;
    let message = echo_request(to);
    sendto(&socket, &message, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("send a raw packet", errno))?;
    Ok(Made::attempts(1, message.len() as u64))
}

fn send_in_vain(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let socket = open(family_of(to), libc::SOCK_RAW, i32::from(EXPERIMENT))?;
    match sendto(&socket, PAYLOAD, SendFlags::empty(), &to) {
        Ok(_) => Err(NotMade::broken("send in vain", "it succeeded")),
        Err(errno) => Ok(Made::refused_datagram(PAYLOAD.len(), errno.raw_os_error())),
    }
}

fn send_own_header(target: Target) -> Result<Made, NotMade> {
    let to = without_port(target);
    let socket = open(family_of(to), libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    let packet = udp_packet(target);
    sendto(&socket, &packet, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("send a packet with its own header", errno))?;
    Ok(Made {
        payload_bytes: PAYLOAD.len() as u64,
        ..Made::attempts(1, packet.len() as u64)
    })
}

/// A whole IP packet that carries a UDP datagram to `target`.
pub(super) fn udp_packet(target: Target) -> Vec<u8> {
    let datagram_length = u16::try_from(8 + PAYLOAD.len()).unwrap_or(u16::MAX);
    let mut packet = match target.address {
        IpAddr::V4(address) => {
            let total = (datagram_length + 20).to_be_bytes();
            let mut header = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0];
            header.extend_from_slice(&MAKER_ADDRESS4.octets());
            header.extend_from_slice(&address.octets());
            let sum = header_checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            header
        }
        IpAddr::V6(address) => {
            let length = datagram_length.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, length[0], length[1], 17, 64];
            header.extend_from_slice(&MAKER_ADDRESS6.octets());
            header.extend_from_slice(&address.octets());
            header
        }
    };
    // No checksum over the datagram: it is not the peer that is to be convinced.
    for word in [target.port, target.port, datagram_length, 0] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(PAYLOAD);
    packet
}

fn header_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
