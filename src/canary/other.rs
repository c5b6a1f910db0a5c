//! Transport protocols that few kernels have: SCTP, DCCP, L2TP over IP.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{SendFlags, sendto};

use super::{
    addresses::{MAKER_ADDRESS4, MAKER_ADDRESS6, PEER_ADDRESS4, PEER_ADDRESS6},
    kind::{Group, Kind, Made, NotMade, PeerRole, Target},
    socket::{
        L2tpAddress4, L2tpAddress6, PAYLOAD, bind_to_address, connected, family_of, local_port,
        open, send_to_address,
    },
};
use crate::model::{Outcome, Protocol};

const SCTP: Protocol = Protocol(Some(132));
const DCCP: Protocol = Protocol(Some(33));
const L2TP: Protocol = Protocol(Some(115));

pub(super) fn kinds() -> Vec<Kind> {
    use Outcome::Established;
    let sctp = |name, address: IpAddr, make| {
        Kind::new(name, Group::Sctp, SCTP, address, make)
            .peer(PeerRole::Accepts(libc::IPPROTO_SCTP))
            .outcome(Established)
    };
    let dccp = |name, address: IpAddr| {
        Kind::new(name, Group::Dccp, DCCP, address, connect_dccp)
            .peer(PeerRole::Accepts(libc::IPPROTO_DCCP))
            .outcome(Established)
    };
    let l2tp = |name, address: IpAddr| Kind::new(name, Group::L2tp, L2TP, address, send_l2tp);
    let (four, six) = (PEER_ADDRESS4.into(), PEER_ADDRESS6.into());
    vec![
        sctp("sctp4-connect", four, connect_sctp),
        sctp("sctp6-connect", six, connect_sctp),
        sctp("sctp4-refused", four, refuse_sctp)
            .peer(PeerRole::Absent)
            .outcome(Outcome::Refused),
        sctp("sctp4-connect-by-send", four, send_sctp_stream),
        sctp("sctp4-send", four, send_sctp).outcome(Outcome::Sent),
        dccp("dccp4", four),
        dccp("dccp6", six),
        Kind::new("dccp4-refused", Group::Dccp, DCCP, four, refuse_dccp).outcome(Outcome::Refused),
        l2tp("l2tp-ip4", four),
        l2tp("l2tp-ip6", six),
    ]
}

fn connect_sctp(target: Target) -> Result<Made, NotMade> {
    connect_stream(target, libc::SOCK_STREAM, libc::IPPROTO_SCTP)
}

fn connect_dccp(target: Target) -> Result<Made, NotMade> {
    connect_stream(target, libc::SOCK_DCCP, libc::IPPROTO_DCCP)
}

fn connect_stream(target: Target, kind: i32, protocol: i32) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(family_of(to), kind, protocol)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    Ok(Made::attempts(1, 0).with_source_port(local_port(&socket)))
}

fn refuse_sctp(target: Target) -> Result<Made, NotMade> {
    refuse_stream(target, libc::SOCK_STREAM, libc::IPPROTO_SCTP)
}

fn refuse_dccp(target: Target) -> Result<Made, NotMade> {
    refuse_stream(target, libc::SOCK_DCCP, libc::IPPROTO_DCCP)
}

fn refuse_stream(target: Target, kind: i32, protocol: i32) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(family_of(to), kind, protocol)?;
    match connected(&socket, to) {
        Ok(()) => Err(NotMade::broken("connect in vain", "it succeeded")),
        Err(errno) => Ok(Made::attempts(1, 0).failing_with(Some(errno.raw_os_error()))),
    }
}

/// A stream that was never connected connects with its first message.
fn send_sctp_stream(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(family_of(to), libc::SOCK_STREAM, libc::IPPROTO_SCTP)?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
}

/// A one-to-many socket associates when it sends.
fn send_sctp(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let socket = open(family_of(to), libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP)?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
}

fn send_l2tp(target: Target) -> Result<Made, NotMade> {
    let to = SocketAddr::new(target.address, 0);
    let family = family_of(to);
    let socket = open(family, libc::SOCK_DGRAM, 115)?;
    let family = u16::try_from(family).unwrap_or(0);
    // The first four bytes are the session number: anything but zero is a data packet.
    let payload = [&[0, 0, 0, 1], PAYLOAD].concat();
    let sent = match target.address {
        IpAddr::V4(address) => {
            let end = |address: [u8; 4], connection| L2tpAddress4 {
                family,
                address,
                connection,
                ..L2tpAddress4::default()
            };
            bind_to_address(&socket, &end(MAKER_ADDRESS4.octets(), 1))
                .and_then(|()| send_to_address(&socket, &payload, &end(address.octets(), 2)))
        }
        IpAddr::V6(address) => {
            let end = |address: [u8; 16], connection| L2tpAddress6 {
                family,
                address,
                connection,
                ..L2tpAddress6::default()
            };
            bind_to_address(&socket, &end(MAKER_ADDRESS6.octets(), 1))
                .and_then(|()| send_to_address(&socket, &payload, &end(address.octets(), 2)))
        }
    };
    sent.map_err(|cause| NotMade::broken("send a packet of l2tp", cause))?;
    Ok(Made::attempts(1, payload.len() as u64))
}
