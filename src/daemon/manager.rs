//! Messages to the service manager, if there is one.

use std::{
    env,
    fmt::Write as _,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use sd_notify::NotifyState;

/// Tells it; that it does not listen is no reason to stop, nor to wait: flows would not be written
/// meanwhile, and [`sd_notify::notify`] waits until there is room for the message.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    drop(try_notify(states));
}

/// Newer service managers want to know when; older ones leave out what they do not know.
pub(super) fn notify_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

fn try_notify(states: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    let mut message = String::new();
    for state in states {
        writeln!(message, "{state}").map_err(io::Error::other)?;
    }
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket
        .send_to_addr(message.as_bytes(), &address)
        .map(|_sent| ())
}
