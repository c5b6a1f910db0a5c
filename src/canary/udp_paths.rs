//! Datagrams that reach the socket by another way than one call, one buffer, one datagram.

use std::{fs::File, io::Write, os::fd::OwnedFd};

use rustix::{
    fs::{MemfdFlags, memfd_create, sendfile},
    net::{SendFlags, send},
    pipe::{SpliceFlags, pipe, splice},
};

use super::{
    addresses::{PEER_ADDRESS4, PEER_ADDRESS6},
    kind::{Group, Kind, Made, NotMade, Target},
    socket::{PAYLOAD, local_port, set_option},
    udp::{TAKES, connect_datagram},
};
use crate::model::Protocol;

const SEGMENT: usize = 100;
const SEGMENTS: usize = 10;
/// `UDP_SEGMENT` of `linux/udp.h`.
const UDP_SEGMENT: i32 = 103;

pub(super) fn kinds() -> Vec<Kind> {
    let to4 =
        |name, make| Kind::new(name, Group::Udp, Protocol::UDP, PEER_ADDRESS4, make).peer(TAKES);
    let to6 =
        |name, make| Kind::new(name, Group::Udp, Protocol::UDP, PEER_ADDRESS6, make).peer(TAKES);
    vec![
        to4("udp4-sendfile", send_file),
        to4("udp4-sendfile-pages", send_large_file),
        to4("udp4-splice", splice_pipe),
        to4("udp4-msg-more", send_in_two_calls),
        to4("udp4-gso", send_segments),
        to6("udp6-sendfile", send_file),
        to6("udp6-msg-more", send_in_two_calls),
        to6("udp6-gso", send_segments),
    ]
}

fn one(socket: &OwnedFd) -> Made {
    Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(socket))
}

fn send_file(target: Target) -> Result<Made, NotMade> {
    send_file_of(PAYLOAD, target)
}

/// One call and one datagram, which the kernel takes page by page.
fn send_large_file(target: Target) -> Result<Made, NotMade> {
    send_file_of(&[b'.'; 3 * 4_096], target)
}

fn send_file_of(content: &[u8], target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(target.socket_address())?;
    let memory = memfd_create("payload", MemfdFlags::CLOEXEC)
        .map_err(|errno| NotMade::broken("make a file in memory", errno))?;
    let mut file = File::from(memory);
    file.write_all(content)
        .map_err(|cause| NotMade::broken("fill a file in memory", cause))?;
    let mut offset = 0;
    sendfile(&socket, &file, Some(&mut offset), content.len())
        .map_err(|errno| NotMade::broken("sendfile", errno))?;
    Ok(Made::attempts(1, content.len() as u64).with_source_port(local_port(&socket)))
}

fn splice_pipe(target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(target.socket_address())?;
    let (reader, writer) = pipe().map_err(|errno| NotMade::broken("make a pipe", errno))?;
    File::from(writer)
        .write_all(PAYLOAD)
        .map_err(|cause| NotMade::broken("fill a pipe", cause))?;
    splice(
        &reader,
        None,
        &socket,
        None,
        PAYLOAD.len(),
        SpliceFlags::empty(),
    )
    .map_err(|errno| NotMade::broken("splice", errno))?;
    Ok(one(&socket))
}

fn send_in_two_calls(target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(target.socket_address())?;
    let (head, tail) = PAYLOAD.split_at(4);
    for (part, flags) in [(head, SendFlags::MORE), (tail, SendFlags::empty())] {
        send(&socket, part, flags).map_err(|errno| NotMade::broken("send", errno))?;
    }
    Ok(Made {
        packets: 1,
        ..Made::attempts(2, PAYLOAD.len() as u64)
    }
    .with_source_port(local_port(&socket)))
}

fn send_segments(target: Target) -> Result<Made, NotMade> {
    let socket = connect_datagram(target.socket_address())?;
    set_option(
        &socket,
        libc::IPPROTO_UDP,
        UDP_SEGMENT,
        i32::try_from(SEGMENT).unwrap_or(i32::MAX),
    )?;
    let payload = [b'.'; SEGMENT * SEGMENTS];
    send(&socket, &payload, SendFlags::empty()).map_err(|errno| NotMade::broken("send", errno))?;
    Ok(Made {
        packets: SEGMENTS as u64,
        ..Made::attempts(1, payload.len() as u64)
    }
    .with_source_port(local_port(&socket)))
}
