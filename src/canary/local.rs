//! What stays on loopback or on the maker's own addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{SendFlags, listen, sendto};

use super::{
    addresses::{MAKER_ADDRESS4, MAKER_ADDRESS6},
    kind::{Group, Kind, Made, NotMade, Scope, Target},
    socket::{PAYLOAD, bound, connected, datagram_for, local_port, stream_for},
};
use crate::model::{Outcome, Protocol};

pub(super) fn kinds() -> Vec<Kind> {
    let tcp = |name, address: IpAddr| {
        Kind::new(name, Group::Tcp, Protocol::TCP, address, connect_to_itself)
            .outcome(Outcome::Established)
            .scope(Scope::Local)
    };
    let udp = |name, address: IpAddr| {
        Kind::new(name, Group::Udp, Protocol::UDP, address, send_to_itself).scope(Scope::Local)
    };
    vec![
        tcp("tcp4-loopback", Ipv4Addr::LOCALHOST.into()),
        tcp("tcp6-loopback", Ipv6Addr::LOCALHOST.into()),
        tcp("tcp4-own-address", MAKER_ADDRESS4.into()),
        tcp("tcp6-own-address", MAKER_ADDRESS6.into()),
        udp("udp4-loopback", Ipv4Addr::LOCALHOST.into()),
        udp("udp6-loopback", Ipv6Addr::LOCALHOST.into()),
        udp("udp4-own-address", MAKER_ADDRESS4.into()),
        udp("udp6-own-address", MAKER_ADDRESS6.into()),
    ]
}

fn connect_to_itself(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let listener = stream_for(to)?;
    bound(&listener, to)?;
    listen(&listener, 1).map_err(|errno| NotMade::broken("listen", errno))?;
    let socket = stream_for(to)?;
    connected(&socket, to).map_err(|errno| NotMade::broken("connect", errno))?;
    Ok(Made::attempts(1, 0).with_source_port(local_port(&socket)))
}

fn send_to_itself(target: Target) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let receiver = datagram_for(to)?;
    bound(&receiver, to)?;
    let socket = datagram_for(to)?;
    sendto(&socket, PAYLOAD, SendFlags::empty(), &to)
        .map_err(|errno| NotMade::broken("sendto", errno))?;
    Ok(Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
}
