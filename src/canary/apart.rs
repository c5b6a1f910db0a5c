//! Processes and mounts that are not what a caller would get by itself.
#![expect(
    unsafe_code,
    reason = "no safe interface forks without executing or chooses a process id"
)]

use std::{io, thread};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Forks; the child runs `work` and ends with the status that it returns. Returns the child's id,
/// which is `wanted` if that is given and free. To be called while the process has one thread only.
pub fn fork_and_run(wanted: Option<u32>, work: impl FnOnce() -> u8) -> io::Result<u32> {
    let ids = [wanted.unwrap_or_default().cast_signed()];
    // SAFETY: all-zero bytes are a valid `clone_args`.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = libc::SIGCHLD.cast_unsigned().into();
    if wanted.is_some() {
        arguments.set_tid = ids.as_ptr().addr() as u64;
        arguments.set_tid_size = 1;
    }
    // SAFETY: without further flags this is a fork: the child goes on with a copy of everything, and
    // the kernel only reads the arguments, which outlive the call.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of_val(&arguments),
        )
    };
    match u32::try_from(child) {
        Ok(0) => {
            let status = work();
            // SAFETY: ends the child at once; nothing of the parent is flushed or dropped twice.
            unsafe { libc::_exit(status.into()) }
        }
        Ok(child) => Ok(child),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Waits for a child that [`fork_and_run`] made; whether it ended with status 0.
pub fn await_child(child: u32) -> io::Result<bool> {
    let pid =
        rustix::process::Pid::from_raw(child.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
    Ok(status.and_then(|(_, status)| status.exit_status()) == Some(0))
}

/// Runs `work` on a thread with a mount namespace of its own, which the processes that it starts
/// share and which vanishes with them. What is mounted there still reaches the host until `work` has
/// made it private.
pub fn with_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            // SAFETY: a mount namespace and the thread's own directory; no descriptor table.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
            Ok(work())
        });
        run.join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}
