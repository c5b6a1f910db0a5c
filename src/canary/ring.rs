//! Connects and sends that are submitted through io_uring.
#![expect(
    unsafe_code,
    reason = "the submitter vouches for the memory of a request"
)]

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::net::addr::SocketAddrArg;

use super::{
    addresses::{PEER_ADDRESS4, PEER_ADDRESS6},
    kind::{Group, Kind, Made, NotMade, PeerRole, Target},
    socket::{PAYLOAD, local_port, stream_for},
    udp::{TAKES, connect_datagram},
};
use crate::model::{Outcome, Protocol};

/// How the kernel is to work on a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In the submitting task.
    Inline,
    /// In a worker of the kernel.
    Async,
    /// In the thread of the kernel that polls the queue.
    Polled,
}

pub(super) fn kinds() -> Vec<Kind> {
    let connecting = |name, address: std::net::IpAddr, make| {
        Kind::new(name, Group::IoUring, Protocol::TCP, address, make)
            .peer(PeerRole::Accepts(libc::IPPROTO_TCP))
            .outcome(Outcome::Established)
    };
    let sending = |name, address: std::net::IpAddr, make| {
        Kind::new(name, Group::IoUring, Protocol::UDP, address, make).peer(TAKES)
    };
    let (four, six) = (PEER_ADDRESS4.into(), PEER_ADDRESS6.into());
    vec![
        connecting("io-uring-connect-inline", four, |target| {
            connect(target, Way::Inline)
        }),
        connecting("io-uring-connect-async", four, |target| {
            connect(target, Way::Async)
        }),
        connecting("io-uring-connect-sqpoll", four, |target| {
            connect(target, Way::Polled)
        }),
        connecting("io-uring-connect-v6", six, |target| {
            connect(target, Way::Inline)
        }),
        sending("io-uring-send-inline", four, |target| {
            send(target, Way::Inline)
        }),
        sending("io-uring-send-async", four, |target| {
            send(target, Way::Async)
        }),
        sending("io-uring-send-sqpoll", four, |target| {
            send(target, Way::Polled)
        }),
        sending("io-uring-send-v6", six, |target| send(target, Way::Inline)),
    ]
}

fn ring_for(way: Way) -> Result<IoUring, NotMade> {
    let mut builder = IoUring::builder();
    if way == Way::Polled {
        builder.setup_sqpoll(1_000);
    }
    builder
        .build(2)
        .map_err(|cause| match cause.raw_os_error() {
            Some(libc::ENOSYS | libc::EPERM) => NotMade::Lacking(format!("io_uring: {cause}")),
            _ => NotMade::broken("set up io_uring", cause),
        })
}

/// Submits one request and waits for its end.
///
/// # Safety
///
/// What the request points to must live until this returns.
unsafe fn complete(ring: &mut IoUring, request: squeue::Entry, way: Way) -> Result<i32, NotMade> {
    let request = if way == Way::Async {
        request.flags(squeue::Flags::ASYNC)
    } else {
        request
    };
    // SAFETY: the caller vouches for the memory, and this waits for the end of the request.
    unsafe { ring.submission().push(&request) }
        .map_err(|cause| NotMade::broken("queue a request", cause))?;
    // An interrupted wait is no end: the kernel may still read the caller's memory.
    loop {
        match ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(cause) if cause.raw_os_error() == Some(libc::EINTR) => {}
            Err(cause) => return Err(NotMade::broken("submit a request", cause)),
        }
        if let Some(entry) = ring.completion().next() {
            return Ok(entry.result());
        }
    }
}

fn connect(target: Target, way: Way) -> Result<Made, NotMade> {
    let to = target.socket_address();
    let mut ring = ring_for(way)?;
    let socket = stream_for(to)?;
    connect_socket(&mut ring, &socket, to, way)?;
    Ok(Made::attempts(1, 0).with_source_port(local_port(&socket)))
}

fn connect_socket(
    ring: &mut IoUring,
    socket: &OwnedFd,
    to: SocketAddr,
    way: Way,
) -> Result<(), NotMade> {
    let address = to.as_any();
    let request = opcode::Connect::new(
        types::Fd(socket.as_raw_fd()),
        address.as_ptr().cast(),
        address.addr_len(),
    )
    .build();
    // SAFETY: `address` lives to the end of this function.
    match unsafe { complete(ring, request, way) }? {
        0 => Ok(()),
        result => Err(NotMade::broken(
            "connect through io_uring",
            std::io::Error::from_raw_os_error(-result),
        )),
    }
}

fn send(target: Target, way: Way) -> Result<Made, NotMade> {
    let mut ring = ring_for(way)?;
    let socket = connect_datagram(target.socket_address())?;
    let length = u32::try_from(PAYLOAD.len()).unwrap_or(0);
    let request =
        opcode::Send::new(types::Fd(socket.as_raw_fd()), PAYLOAD.as_ptr(), length).build();
    // SAFETY: `PAYLOAD` is static.
    match unsafe { complete(&mut ring, request, way) }? {
        result if result >= 0 => {
            Ok(Made::attempts(1, PAYLOAD.len() as u64).with_source_port(local_port(&socket)))
        }
        result => Err(NotMade::broken(
            "send through io_uring",
            std::io::Error::from_raw_os_error(-result),
        )),
    }
}
