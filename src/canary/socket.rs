//! The socket calls that the makers share, and the few that have no safe wrapper elsewhere.
#![expect(
    unsafe_code,
    reason = "options and addresses that only the C interface has"
)]

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RawProtocol, SocketFlags, SocketType, bind, connect, getsockname,
        socket_with, sockopt,
    },
};

use super::kind::NotMade;

/// What every maker sends unless its kind asks for more.
pub(super) const PAYLOAD: &[u8] = b"canary sings\n";

/// Longer than any answer over a veth pair takes, even in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The errnos with which a kernel says that it does not have a protocol.
const LACKING: [Errno; 6] = [
    Errno::PROTONOSUPPORT,
    Errno::AFNOSUPPORT,
    Errno::SOCKTNOSUPPORT,
    Errno::NOPROTOOPT,
    Errno::OPNOTSUPP,
    Errno::NOSYS,
];

/// Opens a socket; a protocol that the kernel does not have is [`NotMade::Lacking`].
pub(super) fn open(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, NotMade> {
    let protocol_number = u32::try_from(protocol).ok().and_then(RawProtocol::new);
    let opened = socket_with(
        AddressFamily::from_raw(u16::try_from(family).unwrap_or(0)),
        SocketType::from_raw(kind.cast_unsigned()),
        SocketFlags::CLOEXEC,
        protocol_number.map(Protocol::from_raw),
    );
    let socket = opened.map_err(|errno| {
        if LACKING.contains(&errno) {
            NotMade::Lacking(format!(
                "socket of family {family}, type {kind}, protocol {protocol}: {errno}"
            ))
        } else {
            NotMade::broken("open a socket", errno)
        }
    })?;
    if family != libc::AF_PACKET {
        for side in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&socket, side, Some(PATIENCE))
                .map_err(|errno| NotMade::broken("set a timeout", errno))?;
        }
    }
    Ok(socket)
}

/// A stream socket of the family of `address`.
pub(super) fn stream_for(address: SocketAddr) -> Result<OwnedFd, NotMade> {
    open(family_of(address), libc::SOCK_STREAM, 0)
}

/// A datagram socket of the family of `address`.
pub(super) fn datagram_for(address: SocketAddr) -> Result<OwnedFd, NotMade> {
    open(family_of(address), libc::SOCK_DGRAM, 0)
}

/// The address family of `address`.
pub(super) fn family_of(address: SocketAddr) -> i32 {
    match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    }
}

/// Connects; the errno of a refusal is a value, since some kinds are about just that.
pub(super) fn connected(socket: &OwnedFd, to: SocketAddr) -> Result<(), Errno> {
    connect(socket, &to)
}

/// Binds to `address`.
pub(super) fn bound(socket: &OwnedFd, address: SocketAddr) -> Result<(), NotMade> {
    bind(socket, &address).map_err(|errno| NotMade::broken("bind", errno))
}

/// The port that the kernel gave to a socket, if it has one.
pub(super) fn local_port(socket: &OwnedFd) -> Option<u16> {
    let address = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    (address.port() != 0).then_some(address.port())
}

/// Sets an integer option.
pub(super) fn set_option(
    socket: &OwnedFd,
    level: i32,
    option: i32,
    value: i32,
) -> Result<(), NotMade> {
    // SAFETY: the kernel reads the four bytes of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            4,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Err(NotMade::Lacking(format!(
            "socket option {level}/{option}: {cause}"
        ))),
        _ => Err(NotMade::broken("set a socket option", cause)),
    }
}

/// An address of a family that the standard library has no type for, in the kernel's layout.
pub(super) trait KernelAddress: Copy {}

impl KernelAddress for libc::sockaddr_ll {}

/// `struct sockaddr_l2tpip`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct L2tpAddress4 {
    pub(super) family: u16,
    pub(super) unused: u16,
    pub(super) address: [u8; 4],
    pub(super) connection: u32,
    pub(super) padding: u32,
}

impl KernelAddress for L2tpAddress4 {}

/// `struct sockaddr_l2tpip6`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct L2tpAddress6 {
    pub(super) family: u16,
    pub(super) unused: u16,
    pub(super) flow: u32,
    pub(super) address: [u8; 16],
    pub(super) scope: u32,
    pub(super) connection: u32,
}

impl KernelAddress for L2tpAddress6 {}

fn length_of<A>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<A>()).unwrap_or(0)
}

/// Sends to an address of any family.
pub(super) fn send_to_address<A: KernelAddress>(
    socket: &OwnedFd,
    payload: &[u8],
    address: &A,
) -> io::Result<()> {
    // SAFETY: both ranges are read only and outlive the call; `KernelAddress` types are plain data.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            payload.as_ptr().cast(),
            payload.len(),
            0,
            std::ptr::from_ref(address).cast(),
            length_of::<A>(),
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends one message that lies in memory in several parts.
pub(super) fn send_parts_to_address<A: KernelAddress>(
    socket: &OwnedFd,
    parts: &[&[u8]],
    address: &A,
) -> io::Result<()> {
    let mut buffers: Vec<libc::iovec> = parts
        .iter()
        .map(|part| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        })
        .collect();
    // SAFETY: all-zero bytes are a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_ref(address).cast_mut().cast();
    message.msg_namelen = length_of::<A>();
    message.msg_iov = buffers.as_mut_ptr();
    message.msg_iovlen = buffers.len();
    // SAFETY: the kernel only reads what a sent message points to, and all of it outlives the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Subflows of a Multipath TCP connection that are established; [`NotMade::Lacking`] on kernels that
/// do not tell.
pub(super) fn established_subflows(socket: &OwnedFd) -> Result<usize, NotMade> {
    const SOL_MPTCP: i32 = 284;
    const MPTCP_TCPINFO: i32 = 2;
    const ESTABLISHED: u8 = 1;
    const HEAD: usize = 16;
    /// Of each subflow's information, of which the state comes first.
    const EACH: usize = 8;
    const MOST: usize = 8;
    let mut buffer = [0_u8; HEAD + EACH * MOST];
    for (at, number) in [(0, HEAD), (12, EACH)] {
        let number = u32::try_from(number).unwrap_or(0);
        buffer[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
    let mut length = libc::socklen_t::try_from(buffer.len()).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, which the buffer has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            SOL_MPTCP,
            MPTCP_TCPINFO,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        let cause = io::Error::last_os_error();
        return Err(NotMade::Lacking(format!("ask for subflows: {cause}")));
    }
    let filled = usize::try_from(length).unwrap_or(0).min(buffer.len());
    Ok(buffer[HEAD.min(filled)..filled]
        .chunks_exact(EACH)
        .filter(|subflow| subflow[0] == ESTABLISHED)
        .count())
}

/// Binds to an address of any family.
pub(super) fn bind_to_address<A: KernelAddress>(socket: &OwnedFd, address: &A) -> io::Result<()> {
    // SAFETY: the address is plain data, read only, and outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(address).cast(),
            length_of::<A>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The zeroed address of a frame.
pub(super) fn frame_address() -> libc::sockaddr_ll {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    unsafe { std::mem::zeroed() }
}

/// Waits until a non-blocking connect has been decided.
pub(super) fn await_writable(socket: &OwnedFd) -> Result<(), NotMade> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)];
    let patience = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    match poll(&mut fds, Some(&patience)) {
        Ok(0) => Err(NotMade::broken("wait for a connect", "no answer in time")),
        Ok(_) => Ok(()),
        Err(errno) => Err(NotMade::broken("wait for a connect", errno)),
    }
}

/// The error that a socket holds, if it does.
pub(super) fn pending_error(socket: &OwnedFd) -> Option<i32> {
    match sockopt::socket_error(socket) {
        Ok(Err(errno)) | Err(errno) => Some(errno.raw_os_error()),
        Ok(Ok(())) => None,
    }
}
