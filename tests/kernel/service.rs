//! The observer as a service manager sees it: what it tells, and as whom it runs.

use std::{
    fs, io,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::UnixDatagram,
    },
    path::Path,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    child::Report,
    dump::{Dump, listed},
    observer::{NO_SELF_CHECK, ask, observe_command},
    session::backend_asked_for,
    workshop::Workshop,
};

const NOBODY: u32 = 65_534;

/// Loading and attaching takes seconds in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// More than any host lets wait for a service manager.
const MOST_MESSAGES: usize = 1 << 20;

/// CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_PERFMON and CAP_BPF.
const FOR_HOOKS: u64 = 1 << 2 | 1 << 12 | 1 << 19 | 1 << 38 | 1 << 39;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "the service manager is told of start, life, reload and stop",
            manager_is_told,
        ),
        Trial::test(
            "an observer that root starts becomes the user of its configuration",
            becomes_its_user,
        ),
        Trial::test(
            "a service manager that does not listen keeps nobody from ending",
            deaf_manager,
        ),
        Trial::test(
            "a database of somebody else is refused with what to do",
            foreign_database_is_refused,
        ),
    ]
}

/// An observer with a service manager; ended when dropped.
struct Service {
    child: Child,
    manager: UnixDatagram,
}

impl Service {
    fn start(workshop: &Workshop, database: &Path, configuration: &Path) -> Result<Self, Failed> {
        let socket = workshop.path().join("manager");
        fs::remove_file(&socket).ok();
        let manager = UnixDatagram::bind(&socket)?;
        manager.set_read_timeout(Some(PATIENCE))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777))?;
        let child = observe_command(database, &["--backend", &backend_asked_for()])
            .arg("--config")
            .arg(configuration)
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, manager })
    }

    /// Waits for a message with this line, whatever comes before it.
    fn await_line(&self, line: &str) -> Result<(), String> {
        let start = Instant::now();
        let mut heard = Vec::new();
        while start.elapsed() < PATIENCE {
            let mut message = [0; 1024];
            let length = self
                .manager
                .recv(&mut message)
                .map_err(|cause| format!("{cause} instead of {line}; before: {heard:?}"))?;
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|one| one == line) {
                return Ok(());
            }
            heard.push(text);
        }
        Err(format!("no {line}, but {heard:?}"))
    }

    /// Leaves no room for another message.
    fn fill(&self) -> io::Result<()> {
        let address = self.manager.local_addr()?;
        let sender = UnixDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        for _ in 0..MOST_MESSAGES {
            match sender.send_to_addr(b"WATCHDOG=1\n", &address) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there is always room"))
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|errno| errno.to_string())
    }

    fn await_end(mut self) -> Result<ExitStatus, String> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().map_err(|cause| cause.to_string())? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("it does not end:\n{}", threads_of(self.child.id())))
    }
}

/// What its threads are doing, for whoever has to find out why it does not end.
fn threads_of(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let tell = |task: fs::DirEntry| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (name, stack) = (read("comm"), read("stack"));
        format!(
            "{}: {}\n{stack}",
            name.trim_end(),
            read("syscall").trim_end()
        )
    };
    tasks.filter_map(Result::ok).map(tell).collect()
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn manager_is_told() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let configuration = workshop.path().join("config.toml");
    fs::write(&configuration, "")?;
    let database = workshop.path().join("flows.db");
    let service = Service::start(&workshop, &database, &configuration)?;
    service.await_line("READY=1")?;
    service.await_line("WATCHDOG=1")?;
    fs::write(&configuration, "[observe]\nflush_every = \"3s\"\n")?;
    service.signal(Signal::HUP)?;
    service.await_line("RELOADING=1")?;
    service.await_line("READY=1")?;
    service.signal(Signal::TERM)?;
    service.await_line("STOPPING=1")?;
    let status = service.await_end()?;
    let dump = dump_of(&database)?;
    if status.success() && dump.contains("\"flush_every_ns\":3000000000") {
        return Ok(());
    }
    Err(format!("it ended with {status}: {dump}").into())
}

fn dump_of(database: &Path) -> Result<String, String> {
    let output = ask(database, &["dump", "--all"])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn becomes_its_user() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let configuration = workshop.path().join("config.toml");
    fs::write(&configuration, "[service]\nuser = \"nobody\"\n")?;
    // Made and given to it.
    let database = workshop.path().join("new/flows.db");
    let service = Service::start(&workshop, &database, &configuration)?;
    service.await_line("READY=1")?;
    let (pid, start) = (service.child.id(), Instant::now());
    while let Err(cause) = all_confined(pid) {
        if start.elapsed() > PATIENCE {
            return Err(cause.into());
        }
        thread::sleep(Duration::from_millis(100));
    }
    let run = workshop.run("made", &["--part-make", "tcp4-connected"])?;
    service.signal(Signal::TERM)?;
    let status = service.await_end()?;
    let flows = Dump::read(&database)?.flows_of(run.pid);
    if status.success() && matches!(run.report, Report::Made(_)) && flows.len() == 1 {
        return Ok(());
    }
    Err(format!("it ended with {status}, recorded {}", listed(&flows)).into())
}

fn deaf_manager() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let configuration = workshop.path().join("config.toml");
    fs::write(&configuration, format!("[observe]\n{NO_SELF_CHECK}"))?;
    let database = workshop.path().join("flows.db");
    let service = Service::start(&workshop, &database, &configuration)?;
    service.await_line("READY=1")?;
    service.fill()?;
    service.signal(Signal::TERM)?;
    let status = service.await_end()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("it ended with {status}").into())
}

/// BPF, PERFMON and SYS_ADMIN: what the thread keeps that attaches hooks to modules.
const FOR_MODULES: u64 = 1 << 39 | 1 << 38 | 1 << 21;

/// SYS_PTRACE and DAC_READ_SEARCH: what the thread keeps that examines files.
const FOR_FILES: u64 = 1 << 19 | 1 << 2;

/// Whether the threads, and no others, run as nobody with what they need. One that attaches to modules
/// is there only where the backend has hooks for them, one that examines files from the first on.
fn all_confined(pid: u32) -> Result<(), String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|cause| cause.to_string())?;
    let mut names = Vec::new();
    for task in tasks.filter_map(Result::ok) {
        let status =
            fs::read_to_string(task.path().join("status")).map_err(|cause| cause.to_string())?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .unwrap_or_default()
        };
        let kept = match field("Name") {
            "capture" => FOR_HOOKS,
            "files" => FOR_FILES,
            "hooks" => FOR_MODULES,
            _ => 0,
        };
        let set = |name: &str| u64::from_str_radix(field(name), 16).ok();
        let nobody = NOBODY.to_string();
        let is_nobody = ["Uid", "Gid"]
            .iter()
            .all(|name| field(name).split_whitespace().all(|one| one == nobody));
        let is_confined = [("CapEff", kept), ("CapPrm", kept), ("CapBnd", kept)]
            .into_iter()
            .chain([("CapInh", 0), ("CapAmb", 0)])
            .all(|(name, expected)| set(name) == Some(expected));
        if !is_nobody || !is_confined || field("NoNewPrivs") != "1" {
            return Err(status);
        }
        names.push(field("Name").to_owned());
    }
    names.retain(|name| name != "files");
    names.sort();
    match names.as_slice() {
        [capture, _writing] if capture == "capture" => Ok(()),
        [capture, _writing, hooks] if capture == "capture" && hooks == "hooks" => Ok(()),
        _ => Err(format!("its threads are {names:?}")),
    }
}

fn foreign_database_is_refused() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let configuration = workshop.path().join("config.toml");
    fs::write(&configuration, "[service]\nuser = \"nobody\"\n")?;
    let directory = workshop.folder("roots")?;
    chown(&directory, Some(0), Some(0))?;
    let output = observe_command(
        &directory.join("flows.db"),
        &["--backend", &backend_asked_for()],
    )
    .arg("--config")
    .arg(&configuration)
    .stdin(Stdio::null())
    .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_empty = fs::read_dir(&directory)?.next().is_none();
    if output.status.code() == Some(2) && said.contains("chown -R nobody:") && is_empty {
        return Ok(());
    }
    Err(format!("it ended with {}: {said}", output.status).into())
}
