//! Frames below IP: the destination is only in the payload.

use std::{net::IpAddr, os::fd::OwnedFd};

use rustix::net::netdevice::name_to_index;

use super::{
    addresses::{MAKER_DEVICE, MAKER_MAC, PEER_ADDRESS4, PEER_ADDRESS6, PEER_MAC},
    kind::{Group, Kind, Made, NotMade, Target},
    raw::udp_packet,
    socket::{frame_address, open, send_parts_to_address, send_to_address},
};
use crate::model::{Outcome, Protocol};

const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Some virtual network; the laboratory's peer is in none.
const VLAN: [u8; 2] = [0, 77];
/// Two bytes more than the laboratory's device takes. With a VLAN tag four more would be right, so that
/// the kernel copies the frame before it refuses.
const TOO_LONG: usize = 14 + 1_500 + 2;

pub(super) fn kinds() -> Vec<Kind> {
    let packet =
        |name, address: IpAddr, make| Kind::new(name, Group::Packet, Protocol::UDP, address, make);
    let (four, six) = (PEER_ADDRESS4.into(), PEER_ADDRESS6.into());
    vec![
        packet("packet-frame4", four, send_frame),
        packet("packet-frame6", six, send_frame),
        packet("packet-vlan4", four, send_tagged_frame),
        packet("packet-parts4", four, send_frame_in_parts),
        packet("packet-datagram4", four, send_packet),
        packet("packet-datagram6", six, send_packet),
        packet("packet-too-long4", four, send_too_much).outcome(Outcome::Failed),
        Kind::new(
            "packet-arp",
            Group::Packet,
            Protocol::UNKNOWN,
            four,
            send_arp,
        )
        .without_address(),
    ]
}

fn ethertype_of(target: Target) -> [u8; 2] {
    match target.address {
        IpAddr::V4(_) => [0x08, 0x00],
        IpAddr::V6(_) => [0x86, 0xdd],
    }
}

fn lab_device_address(socket: &OwnedFd, ethertype: [u8; 2]) -> Result<libc::sockaddr_ll, NotMade> {
    let index = name_to_index(socket, MAKER_DEVICE)
        .map_err(|errno| NotMade::broken("find the device of the laboratory", errno))?;
    let mut address = frame_address();
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
    address.sll_protocol = u16::from_ne_bytes(ethertype);
    address.sll_ifindex = index.cast_signed();
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&PEER_MAC);
    Ok(address)
}

/// Sends one frame or packet, which lies in memory in these parts.
fn send_one(kind: i32, ethertype: [u8; 2], parts: &[&[u8]]) -> Result<Made, NotMade> {
    let socket = open(libc::AF_PACKET, kind, 0)?;
    let address = lab_device_address(&socket, ethertype)?;
    let whole = parts.concat();
    let sent = match parts {
        [_] => send_to_address(&socket, &whole, &address),
        _ => send_parts_to_address(&socket, parts, &address),
    };
    match sent {
        Ok(()) => Ok(Made::attempts(1, whole.len() as u64)),
        Err(cause) if cause.raw_os_error() == Some(libc::EMSGSIZE) => {
            Ok(Made::refused_datagram(whole.len(), libc::EMSGSIZE))
        }
        Err(cause) => Err(NotMade::broken("send a frame", cause)),
    }
}

fn send_frame(target: Target) -> Result<Made, NotMade> {
    let ethertype = ethertype_of(target);
    let frame = [&PEER_MAC[..], &MAKER_MAC, &ethertype, &udp_packet(target)].concat();
    send_one(libc::SOCK_RAW, ethertype, &[&frame])
}

fn send_tagged_frame(target: Target) -> Result<Made, NotMade> {
    let ethertype = ethertype_of(target);
    let frame = [
        &PEER_MAC[..],
        &MAKER_MAC,
        &ETHERTYPE_VLAN,
        &VLAN,
        &ethertype,
        &udp_packet(target),
    ]
    .concat();
    send_one(libc::SOCK_RAW, ethertype, &[&frame])
}

/// As programs do that keep the headers of each layer apart.
fn send_frame_in_parts(target: Target) -> Result<Made, NotMade> {
    let ethertype = ethertype_of(target);
    let link = [&PEER_MAC[..], &MAKER_MAC, &ethertype].concat();
    let packet = udp_packet(target);
    let (network, transport) = packet.split_at(20);
    send_one(libc::SOCK_RAW, ethertype, &[&link, network, transport])
}

fn send_too_much(target: Target) -> Result<Made, NotMade> {
    let ethertype = ethertype_of(target);
    let link = [&PEER_MAC[..], &MAKER_MAC, &ethertype].concat();
    let packet = udp_packet(target);
    let rest = vec![0; TOO_LONG - link.len() - packet.len()];
    send_one(libc::SOCK_RAW, ethertype, &[&link, &packet, &rest])
}

fn send_packet(target: Target) -> Result<Made, NotMade> {
    send_one(
        libc::SOCK_DGRAM,
        ethertype_of(target),
        &[&udp_packet(target)],
    )
}

/// A question for nobody: it is not IP, and has no destination that a firewall would know.
fn send_arp(_: Target) -> Result<Made, NotMade> {
    let frame = [&PEER_MAC[..], &MAKER_MAC, &ETHERTYPE_ARP, &[0; 28]].concat();
    send_one(libc::SOCK_RAW, ETHERTYPE_ARP, &[&frame])
}
