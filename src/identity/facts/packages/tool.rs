//! Running a package manager's own tool: for a bounded time, without a shell, and with nothing of this
//! program's surroundings.

use std::{
    ffi::OsStr,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// A query of one file takes a fraction of a second.
const LONGEST: Duration = Duration::from_secs(10);

/// The list of files of a large package has a few megabytes.
const MOST_BYTES: usize = 32 << 20;

/// What the tool wrote to standard output, and whether it was content; `None` if it did not end in
/// time, or wrote too much.
pub(super) fn output_of(program: &Path, arguments: &[&OsStr]) -> Option<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let until = Instant::now() + LONGEST;
    let output = read_until(&mut child, until);
    let status = output.as_ref().and_then(|_| wait_until(&mut child, until));
    if status.is_none() {
        // It may have ended by itself meanwhile.
        let _is_gone = child.kill().is_err();
        let _is_reaped = child.wait().is_ok();
    }
    Some((status?, output?))
}

fn read_until(child: &mut Child, until: Instant) -> Option<Vec<u8>> {
    let mut stdout = child.stdout.take()?;
    let mut output = Vec::new();
    let mut piece = [0; 64 << 10];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).ok()?,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        match stdout.read(&mut piece).ok()? {
            0 => return Some(output),
            length => output.extend_from_slice(&piece[..length]),
        }
        if output.len() > MOST_BYTES {
            return None;
        }
    }
}

fn wait_until(child: &mut Child, until: Instant) -> Option<bool> {
    const PAUSE: Duration = Duration::from_millis(5);
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status.success());
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
