//! A Multipath TCP connection that takes a second path.

use std::{
    io::Error,
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{SendFlags, send};

use super::{
    addresses::{MAKER_DEVICE, PEER_ADDRESS4},
    isolation::Isolation,
    kind::{Made, NotMade},
    kinds::kind_named,
    lab::Lab,
    socket::{PAYLOAD, connected, established_subflows, open},
};

/// A second address of the maker; a laboratory has it once [`offer_second_path`] was called.
const SECOND_ADDRESS: &str = "10.77.0.9";

/// Longer than the kernel takes to open a subflow over a veth pair, even in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Gives the maker's namespace a second address, from which the kernel opens a subflow of each
/// Multipath TCP connection. Every one of them: such a laboratory is fit for nothing else.
pub fn offer_second_path(lab: &Lab) -> Result<(), NotMade> {
    let address = format!("address add {SECOND_ADDRESS}/24 dev {MAKER_DEVICE}");
    let endpoint = format!("mptcp endpoint add {SECOND_ADDRESS} dev {MAKER_DEVICE} subflow");
    for (words, is_ours) in [
        (address.as_str(), true),
        ("mptcp limits set subflows 2", false),
        (&endpoint, false),
    ] {
        let mut command = Command::new("ip");
        command.args(words.split(' ')).stdin(Stdio::null());
        let output = lab
            .place(&mut command)
            .and_then(|()| command.output())
            .map_err(|cause| NotMade::broken("start `ip`", cause))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(match is_ours {
                true => NotMade::broken("add an address", message),
                // A kernel without it, or an `ip` that does not know it.
                false => NotMade::Lacking(message),
            });
        }
    }
    Ok(())
}

/// Where [`connect_over_two_paths`] connects to.
pub fn two_paths_target() -> SocketAddr {
    let port = kind_named("mptcp4").map_or(0, super::Kind::port);
    SocketAddr::new(PEER_ADDRESS4.into(), port)
}

/// Connects, sends, and stays until the connection has two subflows: two attempts.
pub fn connect_over_two_paths(_: &Isolation) -> Result<Made, NotMade> {
    let socket = open(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
    connected(&socket, two_paths_target()).map_err(|errno| NotMade::broken("connect", errno))?;
    // Further subflows follow when the peer has acknowledged something.
    send(&socket, PAYLOAD, SendFlags::NOSIGNAL)
        .map_err(|errno| NotMade::broken("send over a connection", Error::from(errno)))?;
    await_subflows(&socket, 2)?;
    Ok(Made::attempts(2, PAYLOAD.len() as u64))
}

fn await_subflows(socket: &OwnedFd, count: usize) -> Result<(), NotMade> {
    let begun = Instant::now();
    while established_subflows(socket)? < count {
        if begun.elapsed() > PATIENCE {
            return Err(NotMade::broken("wait for a subflow", "none came in time"));
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}
