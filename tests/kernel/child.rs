//! What this binary does when it is started again as one of the processes that are observed.
//!
//! Every part begins with the proof that nothing can leave the machine.

use std::{
    env,
    ffi::OsString,
    fs, io,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use egress_baseline::canary::{
    Isolation, Made, NotMade, OPEN_PORT, PEER_ADDRESS4, connect_over_two_paths, kind_named,
};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Uid,
    thread::{CapabilitySet, remove_capability_from_bounding_set, set_thread_res_uid},
};
use serde::{Deserialize, Serialize};

use super::{answers, asking, changes, held, load, scene};

/// What a child says on standard output, in one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The flow was made.
    Made(Made),
    /// The kernel or the laboratory lacks what it needs.
    Lacking(String),
    /// It should have worked.
    Broken(String),
    /// The processes that were started, in order.
    Started(Vec<u32>),
}

impl Report {
    pub(crate) fn broken(cause: impl std::fmt::Display) -> Self {
        Self::Broken(cause.to_string())
    }
}

/// Plays the part that the arguments name; none if they name no part.
pub(crate) fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let (first, rest) = arguments.split_first()?;
    match first.to_str() {
        Some("--confined") => {
            return Some(confined(
                &[CapabilitySet::BPF, CapabilitySet::SYS_ADMIN],
                rest,
            ));
        }
        Some("--without-namespaces") => return Some(confined(&[CapabilitySet::SYS_ADMIN], rest)),
        Some("--below-own-root") => return Some(below_own_root(rest)),
        Some("--beside-own-root") => return Some(beside_own_root(rest)),
        _ => {}
    }
    let words: Vec<&str> = arguments.iter().map_while(|word| word.to_str()).collect();
    let isolation = match words.first()? {
        part if !part.starts_with("--part-") => return None,
        _ => Isolation::prove(),
    };
    let isolation = match isolation {
        Ok(isolation) => isolation,
        Err(reason) => {
            return Some(say(&Report::Broken(format!(
                "nothing is sent from here: {reason}"
            ))));
        }
    };
    let report = match words.as_slice() {
        ["--part-make", kind, ..] => make(&isolation, kind),
        ["--part-as-user", uid, kind] => make_as_user(&isolation, uid, kind),
        ["--part-in-cgroup", cgroup, kind] => make_in_cgroup(&isolation, cgroup, kind),
        ["--part-churn", count, directory] => churn(count, Path::new(directory)),
        ["--part-once", protocol, ..] => contact_once(protocol),
        ["--part-two-paths"] => said(connect_over_two_paths(&isolation)),
        ["--part-linger"] => linger(),
        ["--part-serve"] => answers::serve(&isolation),
        ["--part-ask-and-answer"] => answers::ask_and_answer_part(&isolation),
        ["--part-ask", rest @ ..] => asking::play(rest),
        ["--part-hold", rest @ ..] => held::play(rest),
        ["--part-flood", count, ports] => flood(count, ports),
        ["--part-memfd", kind] => from_memory(kind),
        ["--part-deleted", kind] => without_a_file(&isolation, kind),
        ["--part-deep", levels, length, kind] => from_the_depth(levels, length, kind),
        ["--part-change", rest @ ..] => changes::play(&isolation, rest),
        ["--part-load", rest @ ..] => load::play(rest),
        ["--part-scene", rest @ ..] => scene::play(rest),
        other => Report::Broken(format!("there is no part {other:?}")),
    };
    Some(say(&report))
}

/// Becomes a program that may not have these capabilities, whoever runs it.
fn confined(without: &[CapabilitySet], command: &[OsString]) -> ExitCode {
    for capability in without {
        if remove_capability_from_bounding_set(*capability).is_err() {
            return ExitCode::FAILURE;
        }
    }
    become_program(command)
}

/// Becomes a program for which a cgroup is the root of all, while it is itself in another: its
/// arguments are that cgroup, the other, a directory to mount on, and the program.
fn below_own_root(arguments: &[OsString]) -> ExitCode {
    let [root, rest @ ..] = arguments else {
        return ExitCode::FAILURE;
    };
    if fs::write(Path::new(root).join("cgroup.procs"), "0").is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(own) = env::current_exe() else {
        return ExitCode::FAILURE;
    };
    let mut command = ["unshare", "--cgroup", "--mount"]
        .map(OsString::from)
        .to_vec();
    command.extend([own.into_os_string(), "--beside-own-root".into()]);
    command.extend_from_slice(rest);
    become_program(&command)
}

fn beside_own_root(arguments: &[OsString]) -> ExitCode {
    let [other, directory, command @ ..] = arguments else {
        return ExitCode::FAILURE;
    };
    let result = mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .and_then(|()| {
        mount(
            "none",
            Path::new(directory),
            "cgroup2",
            MountFlags::empty(),
            None,
        )
    })
    .map_err(io::Error::from)
    .and_then(|()| fs::write(Path::new(other).join("cgroup.procs"), "0"));
    match result {
        Ok(()) => become_program(command),
        Err(cause) => {
            writeln!(io::stderr(), "leave the own root: {cause}").ok();
            ExitCode::FAILURE
        }
    }
}

fn become_program(command: &[OsString]) -> ExitCode {
    if let [program, arguments @ ..] = command {
        let cause = Command::new(program).args(arguments).exec();
        writeln!(io::stderr(), "become {}: {cause}", program.display()).ok();
    }
    ExitCode::FAILURE
}

fn make(isolation: &Isolation, name: &str) -> Report {
    let Some(kind) = kind_named(name) else {
        return Report::Broken(format!("there is no kind `{name}`"));
    };
    said(kind.make(isolation))
}

fn said(made: Result<Made, NotMade>) -> Report {
    match made {
        Ok(made) => Report::Made(made),
        Err(NotMade::Lacking(what)) => Report::Lacking(what),
        Err(broken @ NotMade::Broken { .. }) => Report::broken(broken),
    }
}

/// The same process image first as root, then as somebody else.
fn make_as_user(isolation: &Isolation, uid: &str, kind: &str) -> Report {
    let Ok(number) = uid.parse() else {
        return Report::Broken(format!("`{uid}` is no user id"));
    };
    let first = make(isolation, kind);
    if !matches!(first, Report::Made(_)) {
        return first;
    }
    let user = Uid::from_raw(number);
    match set_thread_res_uid(user, user, user) {
        Ok(()) => make(isolation, kind),
        Err(errno) => Report::broken(errno),
    }
}

fn make_in_cgroup(isolation: &Isolation, cgroup: &str, kind: &str) -> Report {
    match fs::write(Path::new(cgroup).join("cgroup.procs"), "0") {
        Ok(()) => make(isolation, kind),
        Err(cause) => Report::Broken(format!("move to {cgroup}: {cause}")),
    }
}

/// Starts processes that live as short as a process can: each from a file of its own.
fn churn(count: &str, directory: &Path) -> Report {
    let own = match env::current_exe() {
        Ok(own) => own,
        Err(cause) => return Report::broken(cause),
    };
    let count = count.parse::<usize>().unwrap_or(0);
    let mut pids = Vec::new();
    for first in (0..count).step_by(LIVES_AT_ONCE) {
        let numbers = first..count.min(first + LIVES_AT_ONCE);
        let started: io::Result<Vec<_>> = numbers
            .map(|number| {
                let exe = directory.join(churned_name(number));
                fs::hard_link(&own, &exe)?;
                Command::new(&exe)
                    .args(churned_arguments(number))
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
            })
            .collect();
        let ended = started.and_then(|children| {
            for mut child in children {
                pids.push(child.id());
                if !child.wait()?.success() {
                    return Err(io::Error::other("a short-lived process failed"));
                }
            }
            Ok(())
        });
        if let Err(cause) = ended {
            return Report::broken(cause);
        }
    }
    Report::Started(pids)
}

/// Enough to keep an emulated machine's processors busy.
const LIVES_AT_ONCE: usize = 4;

/// The file name of a short-lived process.
pub(crate) fn churned_name(number: usize) -> String {
    format!("short-lived-{number:04}")
}

/// The arguments of a short-lived process.
pub(crate) fn churned_arguments(number: usize) -> [String; 3] {
    let protocol = if number.is_multiple_of(2) {
        "tcp"
    } else {
        "udp"
    };
    [
        "--part-once".to_owned(),
        protocol.to_owned(),
        format!("number {number}"),
    ]
}

fn contact_once(protocol: &str) -> Report {
    let peer = SocketAddr::new(PEER_ADDRESS4.into(), OPEN_PORT);
    let result = match protocol {
        "tcp" => TcpStream::connect(peer).map(drop),
        _ => UdpSocket::bind("0.0.0.0:0")
            .and_then(|socket| socket.send_to(b"once\n", peer))
            .map(drop),
    };
    match result {
        Ok(()) => Report::Made(Made {
            attempts: 1,
            ..Made::default()
        }),
        Err(cause) => Report::broken(cause),
    }
}

/// A connection that carries [`LINGERING_BYTES`] and then stays open until the parent lets go.
fn linger() -> Report {
    let result = TcpStream::connect((PEER_ADDRESS4, OPEN_PORT)).and_then(|mut stream| {
        stream.write_all(&[b'.'; LINGERING_BYTES])?;
        io::stdin().read_to_end(&mut Vec::new())?;
        Ok(stream)
    });
    match result {
        Ok(_) => Report::Made(Made {
            attempts: 1,
            bytes_out: LINGERING_BYTES as u64,
            ..Made::default()
        }),
        Err(cause) => Report::broken(cause),
    }
}

/// What a lingering connection carries.
pub(crate) const LINGERING_BYTES: usize = 1_234;

/// Datagrams to many ports in turn: more contacts than a small table holds.
fn flood(count: &str, ports: &str) -> Report {
    let (Ok(count), Ok(ports)) = (count.parse::<u64>(), ports.parse::<u64>()) else {
        return Report::broken("a flood needs two numbers");
    };
    let result = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        for number in 0..count {
            let port = u16::try_from(30_000 + number % ports).unwrap_or(u16::MAX);
            let peer = SocketAddr::new(PEER_ADDRESS4.into(), port);
            // An ICMP error of an earlier datagram is not an error of this one.
            socket.send_to(b"flood", peer)?;
        }
        Ok(())
    });
    match result {
        Ok(()) => Report::Made(Made {
            attempts: count,
            bytes_out: 5 * count,
            ..Made::default()
        }),
        Err(cause) => Report::broken(cause),
    }
}

/// A copy of this program that was never in a file system, under a name that is not its own.
fn from_memory(kind: &str) -> Report {
    let result = memfd_create("evil", MemfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|memory| {
            let mut memory = fs::File::from(memory);
            memory.write_all(&fs::read("/proc/self/exe")?)?;
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(&memory);
            let path = format!("/proc/self/fd/{descriptor}");
            let mut command = Command::new(path);
            command.arg0("kworker/0:0").args(["--part-make", kind]);
            Err::<(), _>(command.exec())
        });
    Report::Broken(format!("run from memory: {result:?}"))
}

fn without_a_file(isolation: &Isolation, kind: &str) -> Report {
    match env::current_exe().and_then(fs::remove_file) {
        Ok(()) => make(isolation, kind),
        Err(cause) => Report::broken(cause),
    }
}

/// Runs from below so many directories with names of that length that the path may be longer than
/// any single call takes.
fn from_the_depth(levels: &str, length: &str, kind: &str) -> Report {
    let (Ok(levels), Ok(length)) = (levels.parse::<usize>(), length.parse::<usize>()) else {
        return Report::broken("depth needs two numbers");
    };
    let result = env::current_exe().and_then(|own| {
        let name = "d".repeat(length);
        for _ in 0..levels {
            fs::create_dir(&name)?;
            env::set_current_dir(&name)?;
        }
        fs::hard_link(own, "app")?;
        Err::<(), _>(Command::new("./app").args(["--part-make", kind]).exec())
    });
    Report::Broken(format!("run from the depth: {result:?}"))
}

/// Says it in one line of standard output.
pub(crate) fn say(report: &Report) -> ExitCode {
    let line = serde_json::to_string(report).expect("a report is plain data");
    match (writeln!(io::stdout(), "{line}"), report) {
        (Ok(()), Report::Made(_) | Report::Started(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
