//! Frames below IP: the destination is only in the payload.

use rustix::net::netdevice::name_to_index;

use super::{
    kind::{Group, Kind, Made, NotMade, Target},
    lab::{MAKER_DEVICE, MAKER_MAC, PEER_ADDRESS4, PEER_MAC},
    raw::udp_packet,
    socket::{frame_address, open, send_to_address},
};
use crate::model::Protocol;

pub(super) fn kinds() -> Vec<Kind> {
    let packet = |name, make| {
        Kind::new(name, Group::Packet, Protocol::UNKNOWN, PEER_ADDRESS4, make).in_payload_only()
    };
    vec![
        packet("packet-frame", send_frame),
        packet("packet-datagram", send_packet),
    ]
}

fn lab_device_address(socket: &std::os::fd::OwnedFd) -> Result<libc::sockaddr_ll, NotMade> {
    let index = name_to_index(socket, MAKER_DEVICE)
        .map_err(|errno| NotMade::broken("find the device of the laboratory", errno))?;
    let mut address = frame_address();
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
    address.sll_protocol = u16::try_from(libc::ETH_P_IP).unwrap_or(0).to_be();
    address.sll_ifindex = index.cast_signed();
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&PEER_MAC);
    Ok(address)
}

fn send_frame(target: Target) -> Result<Made, NotMade> {
    let socket = open(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    let address = lab_device_address(&socket)?;
    let mut frame = Vec::new();
    frame.extend_from_slice(&PEER_MAC);
    frame.extend_from_slice(&MAKER_MAC);
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&udp_packet(target));
    send_to_address(&socket, &frame, &address)
        .map_err(|cause| NotMade::broken("send a frame", cause))?;
    Ok(Made::attempts(1, frame.len() as u64))
}

fn send_packet(target: Target) -> Result<Made, NotMade> {
    let socket = open(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?;
    let address = lab_device_address(&socket)?;
    let packet = udp_packet(target);
    send_to_address(&socket, &packet, &address)
        .map_err(|cause| NotMade::broken("send a frame", cause))?;
    Ok(Made::attempts(1, packet.len() as u64))
}
