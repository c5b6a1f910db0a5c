//! Network namespaces without a name, and work in them.
#![expect(
    unsafe_code,
    reason = "a child moves into the namespace between fork and exec"
)]

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
    thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::isolation::NotIsolated;

/// Why a laboratory could not be built.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No namespace could be made.
    #[error("make a network namespace: {0}")]
    Namespace(io::Error),
    /// `ip` failed.
    #[error("set up the laboratory's network: `ip`: {0}")]
    Network(String),
    /// A setting of the new namespace could not be changed.
    #[error("set {path}: {cause}")]
    Setting {
        /// Its file.
        path: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// A namespace that was just made is not isolated.
    #[error("the new network namespace is not isolated: {0}")]
    NotIsolated(#[from] NotIsolated),
    /// The peer could not be started.
    #[error("start the laboratory's peer: {0}")]
    Peer(String),
}

pub(super) fn place(namespace: &OwnedFd, command: &mut Command) -> io::Result<()> {
    let namespace = namespace.try_clone()?;
    // SAFETY: between fork and exec the closure makes one system call and touches no memory but its
    // own.
    unsafe {
        command.pre_exec(move || Ok(enter(&namespace)?));
    }
    Ok(())
}

fn enter(namespace: &OwnedFd) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

pub(super) fn new_namespace() -> Result<OwnedFd, LabError> {
    on_a_thread(|| {
        // SAFETY: a network namespace is all that is unshared; no descriptor table is.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
            .map_err(|errno| LabError::Namespace(errno.into()))?;
        File::open("/proc/thread-self/ns/net")
            .map(OwnedFd::from)
            .map_err(LabError::Namespace)
    })
}

/// Runs `work` on a thread that is in `namespace` and gone afterwards.
pub(super) fn within<T: Send>(
    namespace: &OwnedFd,
    work: impl FnOnce() -> Result<T, LabError> + Send,
) -> Result<T, LabError> {
    on_a_thread(|| {
        enter(namespace).map_err(|errno| LabError::Namespace(errno.into()))?;
        work()
    })
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, LabError> + Send) -> Result<T, LabError> {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(LabError::Namespace(io::Error::other("its thread panicked"))))
}
