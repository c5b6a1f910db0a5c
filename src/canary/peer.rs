//! The other end of the cable: accepts, takes, writes first, as each kind needs it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{ioctl_fionbio, read},
    net::{SendFlags, SocketFlags, accept_with, connect, listen, send, sendto},
};

use super::{
    addresses::{MAKER_ADDRESS4, OPEN_PORT},
    isolation::Isolation,
    kind::{Kind, NotMade, PeerRole},
    namespace::{LabError, within},
    socket::{PAYLOAD, bound, open, stream_for},
};

/// What the peer says once a client has ended its own direction.
const ANSWER: &[u8] = b"heard\n";

/// How often those that write first do so, and how soon a stop is noticed.
const ROUND: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Far more connections than any test holds open at once.
const BACKLOG: i32 = 1_024;

/// The thread that serves; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Opens every socket in `namespace`, then serves. Once this returns, all of them listen.
    pub(super) fn start(namespace: &OwnedFd, kinds: &[&'static Kind]) -> Result<Self, LabError> {
        let ends = within(namespace, || {
            Isolation::prove()?;
            open_ends(kinds).map_err(|cause| LabError::Peer(cause.to_string()))
        })?;
        let inside = namespace
            .try_clone()
            .map_err(|cause| LabError::Peer(cause.to_string()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let served = kinds.to_vec();
        let thread = thread::Builder::new()
            .name("canary-peer".into())
            .spawn(move || {
                // A namespace that cannot be entered shows as kinds whose peer never writes.
                drop(within(&inside, || {
                    Isolation::prove()?;
                    serve(ends, &served, &is_over);
                    Ok(())
                }));
            })
            .map_err(|cause| LabError::Peer(cause.to_string()))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One socket of the peer.
enum End {
    Listener(OwnedFd),
    Stream(OwnedFd),
    Sink(OwnedFd),
}

impl End {
    fn socket(&self) -> &OwnedFd {
        match self {
            Self::Listener(socket) | Self::Stream(socket) | Self::Sink(socket) => socket,
        }
    }
}

fn open_ends(kinds: &[&'static Kind]) -> Result<Vec<End>, NotMade> {
    let own = [
        (PeerRole::Accepts(libc::IPPROTO_TCP), OPEN_PORT),
        (PeerRole::Takes(libc::IPPROTO_UDP), OPEN_PORT),
    ];
    let of_kinds = kinds.iter().map(|kind| (kind.peer, kind.port()));
    let mut ends = Vec::new();
    for (role, port) in own.into_iter().chain(of_kinds) {
        match open_end(role, port) {
            Ok(end) => ends.extend(end),
            // The maker finds out too, and says so.
            Err(NotMade::Lacking(_)) => {}
            Err(broken) => return Err(broken),
        }
    }
    Ok(ends)
}

/// Every socket is an IPv6 one that takes IPv4 as well.
fn open_end(role: PeerRole, port: u16) -> Result<Option<End>, NotMade> {
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    let (kind, protocol) = match role {
        PeerRole::Accepts(libc::IPPROTO_DCCP) => (libc::SOCK_DCCP, libc::IPPROTO_DCCP),
        PeerRole::Accepts(protocol) => (libc::SOCK_STREAM, protocol),
        PeerRole::Takes(protocol) => (libc::SOCK_DGRAM, protocol),
        PeerRole::Absent | PeerRole::WritesFirst | PeerRole::ConnectsFirst => return Ok(None),
    };
    let socket = open(libc::AF_INET6, kind, protocol)?;
    ioctl_fionbio(&socket, true).map_err(|errno| NotMade::broken("change blocking", errno))?;
    bound(&socket, address)?;
    if let PeerRole::Takes(_) = role {
        return Ok(Some(End::Sink(socket)));
    }
    if protocol == libc::IPPROTO_TCP {
        super::socket::set_option(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, BACKLOG)?;
    }
    listen(&socket, BACKLOG).map_err(|errno| NotMade::broken("listen", errno))?;
    Ok(Some(End::Listener(socket)))
}

fn serve(mut ends: Vec<End>, kinds: &[&'static Kind], is_over: &AtomicBool) {
    let mut buffer = vec![0_u8; 64 * 1_024];
    let mut last_round = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        let mut fds: Vec<PollFd<'_>> = ends
            .iter()
            .map(|end| PollFd::from_borrowed_fd(end.socket().as_fd(), PollFlags::IN))
            .collect();
        let count = poll(&mut fds, Some(&ROUND)).unwrap_or(0);
        if last_round.elapsed() >= Duration::from_nanos(ROUND.tv_nsec.cast_unsigned()) {
            write_first(kinds);
            last_round = Instant::now();
        }
        if count == 0 {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut accepted = Vec::new();
        let mut at = 0;
        ends.retain(|end| {
            let is_ready = ready[at];
            at += 1;
            !is_ready || attend(end, &mut accepted, &mut buffer)
        });
        ends.append(&mut accepted);
    }
}

/// Does what a ready socket asks for; false if it is done with.
fn attend(end: &End, accepted: &mut Vec<End>, buffer: &mut [u8]) -> bool {
    match end {
        End::Listener(listener) => {
            // A maker that is started meanwhile must not inherit it: it would never be closed.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            if let Ok(stream) = accept_with(listener, flags) {
                accepted.push(End::Stream(stream));
            }
            true
        }
        End::Stream(stream) => match read(stream, &mut *buffer) {
            Ok(0) => {
                send(stream, ANSWER, SendFlags::NOSIGNAL).ok();
                false
            }
            Ok(_) | Err(rustix::io::Errno::AGAIN) => true,
            Err(_) => false,
        },
        End::Sink(sink) => {
            read(sink, &mut *buffer).ok();
            true
        }
    }
}

/// Writes to the makers that wait for a client; those that do not wait never notice.
fn write_first(kinds: &[&'static Kind]) {
    for kind in kinds {
        let to = SocketAddr::new(IpAddr::V4(MAKER_ADDRESS4), kind.port());
        match kind.peer {
            PeerRole::WritesFirst => {
                if let Ok(socket) = open(libc::AF_INET, libc::SOCK_DGRAM, 0) {
                    sendto(&socket, PAYLOAD, SendFlags::empty(), &to).ok();
                }
            }
            PeerRole::ConnectsFirst => {
                if let Ok(socket) = stream_for(to) {
                    connect(&socket, &to).ok();
                }
            }
            PeerRole::Absent | PeerRole::Accepts(_) | PeerRole::Takes(_) => {}
        }
    }
}
