//! Processes that change under way: process ids, cgroups, executables, namespaces.

use std::{
    collections::BTreeMap,
    env, fs, io,
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use egress_baseline::{
    canary::{Isolation, Made, await_child, fork_and_run, kind_named},
    model::text_of_bytes,
};
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    child::Report,
    contexts::Cgroup,
    dump::{Dump, Flow, listed},
    observer::Observer,
    session::backend_asked_for,
    told::trial,
    workshop::{Run, Workshop, finish, run_to_end, text_of},
};

/// The flow that they make.
const KIND: &str = "udp4-sendto";

/// Plays the part that the words name.
pub(crate) fn play(isolation: &Isolation, words: &[&str]) -> Report {
    let played = match words {
        ["same-id", other] => same_id(isolation, Path::new(other)),
        ["moving", one, other] => moving(isolation, [one, other]),
        ["told-to"] => told_to(isolation),
        ["own-namespaces"] => in_own_namespaces(),
        other => Err(format!("there is no change {other:?}")),
    };
    played.unwrap_or_else(Report::broken)
}

fn make(isolation: &Isolation) -> Result<Made, String> {
    let kind = kind_named(KIND).ok_or("the kind is gone")?;
    kind.make(isolation).map_err(|cause| cause.to_string())
}

/// Times that an id is tried which another process of the machine may have taken meanwhile.
const TRIES: usize = 20;

/// One process makes the flow and is gone; another program gets its process id and makes it too.
fn same_id(isolation: &Isolation, other: &Path) -> Result<Report, String> {
    let told = |cause: io::Error| cause.to_string();
    for _ in 0..TRIES {
        let first = fork_and_run(None, || u8::from(make(isolation).is_err())).map_err(told)?;
        if !await_child(first).map_err(told)? {
            return Err("the first process made no flow".to_owned());
        }
        let second = fork_and_run(Some(first), || {
            // Only comes back if it fails.
            drop(
                Command::new(other)
                    .args(["--part-make", KIND])
                    .stdout(Stdio::null())
                    .exec(),
            );
            1
        });
        match second {
            Ok(second) if second == first && await_child(second).map_err(told)? => {
                return Ok(Report::Started(vec![first]));
            }
            Ok(_) => return Err("the second process made no flow".to_owned()),
            Err(cause) if cause.raw_os_error() == Some(17) => {}
            Err(cause) => return Err(format!("choose a process id: {cause}")),
        }
    }
    Err("its process id was never free".to_owned())
}

/// The same process image in one cgroup and then in another.
fn moving(isolation: &Isolation, cgroups: [&str; 2]) -> Result<Report, String> {
    let mut made = Made::default();
    for cgroup in cgroups {
        fs::write(Path::new(cgroup).join("cgroup.procs"), "0")
            .map_err(|cause| format!("move to {cgroup}: {cause}"))?;
        made = make(isolation)?;
    }
    Ok(Report::Made(made))
}

/// Makes the flow when its input ends.
fn told_to(isolation: &Isolation) -> Result<Report, String> {
    io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(|cause| cause.to_string())?;
    make(isolation).map(Report::Made)
}

/// Where a process in a network of its own sends to.
const ELSEWHERE: &str = "10.99.0.2:20777";

/// Sets up a network that leads nowhere, as another user than it is outside.
fn in_own_namespaces() -> Result<Report, String> {
    let told = |cause: io::Error| cause.to_string();
    for words in [
        "link add own0 type veth peer name own1",
        "link set own1 up",
        "link set own0 up",
        "address add 10.99.0.1/24 dev own0",
        "neighbour add 10.99.0.2 lladdr 02:00:00:00:99:02 dev own0 nud permanent",
    ] {
        let output = Command::new("ip").args(words.split(' ')).output();
        let output = output.map_err(told)?;
        if !output.status.success() {
            let cause = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`ip {words}`: {}", cause.trim()));
        }
    }
    Isolation::prove().map_err(|reason| reason.to_string())?;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(told)?;
    socket.send_to(b"out", ELSEWHERE).map_err(told)?;
    Ok(Report::Made(Made {
        attempts: 1,
        bytes_out: 3,
        ..Made::default()
    }))
}

/// What happened, and what was recorded of it.
struct Changes {
    runs: BTreeMap<&'static str, Result<Run, String>>,
    /// Of the two executables that had one process id, and of the one that was replaced.
    same_id: [String; 2],
    replaced: String,
    dump: Dump,
}

fn changes() -> Result<&'static Changes, String> {
    static CHANGES: LazyLock<Result<Changes, String>> = LazyLock::new(hold);
    CHANGES.as_ref().map_err(Clone::clone)
}

fn hold() -> Result<Changes, String> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    let linked = |name| workshop.link(name).map_err(|cause| cause.to_string());
    let second = linked("same-id-second")?;
    let mut runs: BTreeMap<&'static str, Result<Run, String>> = BTreeMap::new();
    let words = ["--part-change", "same-id", &second.to_string_lossy()];
    runs.insert("same id", workshop.run("same-id-first", &words));
    runs.insert("moving", run_moving(&workshop));
    let (before, after) = run_replaced(&workshop)?;
    let replaced = before.exe_text();
    runs.insert("replaced", Ok(before));
    runs.insert("replacement", Ok(after));
    runs.insert("own namespaces", run_in_own_namespaces(&workshop));
    let short_lived = observer.while_paused(|| run_in_short_lived_cgroup(&workshop))?;
    runs.insert("short-lived cgroup", short_lived);
    observer.stop_with(Signal::INT)?;
    Ok(Changes {
        runs,
        same_id: [workshop.path().join("same-id-first"), second].map(text_of),
        replaced,
        dump: Dump::read(&database)?,
    })
}

/// A unit's cgroup that nothing else on the machine has.
fn unit(name: &str) -> String {
    let own: String = std::process::id()
        .to_string()
        .bytes()
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect();
    format!("egress-{name}-{own}.service")
}

fn cgroup_of(name: &str) -> Result<Cgroup, String> {
    Cgroup::make(&format!("system.slice/{}", unit(name)))?
        .ok_or_else(|| format!("the cgroup of {name} exists already"))
}

fn run_moving(workshop: &Workshop) -> Result<Run, String> {
    let (one, other) = (cgroup_of("from")?, cgroup_of("to")?);
    let [one, other] = [&one, &other].map(|cgroup| cgroup.leaf().to_string_lossy());
    workshop.run("moving", &["--part-change", "moving", &one, &other])
}

/// A process whose file is replaced before it sends, and a new start of the same path.
fn run_replaced(workshop: &Workshop) -> Result<(Run, Run), String> {
    let told = |cause: io::Error| cause.to_string();
    let exe = workshop.link("replaced").map_err(told)?;
    let mut command = workshop.command(&exe).map_err(told)?;
    command.args(["--part-change", "told-to"]);
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(told)?;
    // Another file: a link would be the same one.
    let update = workshop.path().join("replaced.new");
    fs::copy(env::current_exe().map_err(told)?, &update).map_err(told)?;
    fs::rename(&update, &exe).map_err(told)?;
    if let Some(mut input) = child.stdin.take() {
        input.flush().map_err(told)?;
    }
    let before = finish(&exe, Vec::new(), child)?;
    let mut command = workshop.command(&exe).map_err(told)?;
    command.args(["--part-make", KIND]);
    Ok((before, run_to_end(&exe, &mut command)?))
}

/// The user that it is in there.
const INSIDE_USER: &str = "1234";

fn run_in_own_namespaces(workshop: &Workshop) -> Result<Run, String> {
    let exe = workshop.link("own").map_err(|cause| cause.to_string())?;
    let mut command = workshop
        .command(Path::new("unshare"))
        .map_err(|cause| cause.to_string())?;
    command
        .args(["--user", "--keep-caps", "--map-user", INSIDE_USER])
        .args(["--net", "--mount", "--"])
        .arg(&exe)
        .args(["--part-change", "own-namespaces"]);
    let run = run_to_end(&exe, &mut command)?;
    Ok(Run { exe, ..run })
}

/// A process whose cgroup is gone before the observer can look.
fn run_in_short_lived_cgroup(workshop: &Workshop) -> Result<Run, String> {
    let cgroup = cgroup_of("gone")?;
    let place = cgroup.leaf().to_string_lossy().into_owned();
    let run = workshop.run("gone", &["--part-in-cgroup", &place, KIND])?;
    drop(cgroup);
    match Path::new(&place).exists() {
        true => Err(format!("{place} could not be removed")),
        false => Ok(run),
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a process id that is used again names two processes",
            id_is_no_name,
        ),
        trial(
            "a process that is moved is known by each of its cgroups",
            moved_process,
        ),
        trial(
            "a replaced program is told from its replacement",
            replaced_program,
        ),
        trial(
            "a process in namespaces of its own is known as the host knows it",
            own_namespaces,
        ),
        trial(
            "a cgroup that is gone at once is known by its path",
            gone_cgroup,
        ),
    ]
}

impl Changes {
    fn run(&self, name: &str) -> Result<&Run, String> {
        let run = self.runs.get(name).ok_or("it was not run")?;
        let run = run.as_ref().map_err(Clone::clone)?;
        match &run.report {
            Report::Made(_) | Report::Started(_) => Ok(run),
            other => Err(format!("{name} made no flow: {other:?}")),
        }
    }

    /// The rows that were made under a process id, in order.
    fn rows(&self, pid: u32) -> Vec<Flow> {
        let rows = self.dump.flows.iter().filter(|flow| flow.pid == Some(pid));
        rows.cloned().collect()
    }
}

fn id_is_no_name() -> Result<(), Failed> {
    let changes = changes()?;
    let Report::Started(pids) = &changes.run("same id")?.report else {
        return Err("it tells no process id".into());
    };
    let mut rows = changes.rows(pids[0]);
    rows.sort_by_key(|row| row.exe.clone());
    let exes: Vec<&str> = rows.iter().filter_map(|row| row.exe.as_deref()).collect();
    let [first, second] = &changes.same_id;
    let processes: Vec<_> = rows.iter().map(|row| row.process_id).collect();
    if exes == [first, second] && processes[0] != processes[1] {
        return Ok(());
    }
    Err(format!(
        "expected {first} and {second}, recorded:\n{}",
        listed(&rows)
    )
    .into())
}

fn moved_process() -> Result<(), Failed> {
    let changes = changes()?;
    let rows = changes.rows(changes.run("moving")?.pid);
    let mut contexts: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.context.as_deref())
        .collect();
    contexts.sort_unstable();
    let expected = ["from", "to"].map(|name| format!("unit:{}", unit(name)));
    let is_one_process = rows
        .windows(2)
        .all(|two| two[0].process_id == two[1].process_id);
    if contexts == expected && is_one_process {
        return Ok(());
    }
    Err(format!(
        "expected {expected:?}, recorded {contexts:?}:\n{}",
        listed(&rows)
    )
    .into())
}

fn replaced_program() -> Result<(), Failed> {
    let changes = changes()?;
    let process_of = |name| {
        let rows = changes.rows(changes.run(name)?.pid);
        let row = rows
            .first()
            .ok_or_else(|| format!("nothing was recorded of {name}"))?;
        let process = changes.dump.process_of(row)?;
        process
            .exe
            .clone()
            .ok_or_else(|| format!("{name} has no executable"))
    };
    let (before, after) = (process_of("replaced")?, process_of("replacement")?);
    let is_right = before.path == changes.replaced
        && after.path == changes.replaced
        && before.is_deleted
        && !after.is_deleted
        && before.inode != after.inode;
    if is_right {
        return Ok(());
    }
    Err(format!("expected a deleted file and another of its name: {before:?}, {after:?}").into())
}

fn own_namespaces() -> Result<(), Failed> {
    let changes = changes()?;
    let run = changes.run("own namespaces")?;
    let rows = changes.rows(run.pid);
    let [row] = rows.as_slice() else {
        return Err(format!("expected one flow:\n{}", listed(&rows)).into());
    };
    let process = changes.dump.process_of(row)?;
    let namespaces = process.namespaces.ok_or("no namespaces were recorded")?;
    let own = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(format!("/proc/self/ns/{name}")).map(|file| file.ino())
    };
    let is_apart = u64::from(namespaces.net) != own("net")?
        && u64::from(namespaces.mnt) != own("mnt")?
        && u64::from(namespaces.user) != own("user")?;
    let destination = row.dst_ip.zip(row.dst_port).map(std::net::SocketAddr::from);
    let exe = text_of_bytes(run.exe.as_os_str().as_encoded_bytes());
    let is_right = row.exe.as_deref() == Some(&exe)
        && row.uid == Some(0)
        && destination == ELSEWHERE.parse().ok()
        && row.attempts == 1;
    if is_right && is_apart {
        return Ok(());
    }
    Err(format!("expected {exe} of user 0 to {ELSEWHERE}, apart: {is_apart}, {row}").into())
}

fn gone_cgroup() -> Result<(), Failed> {
    let changes = changes()?;
    let rows = changes.rows(changes.run("short-lived cgroup")?.pid);
    let expected = format!("unit:{}", unit("gone"));
    let contexts: Vec<_> = rows.iter().map(|row| row.context.as_deref()).collect();
    if contexts == [Some(expected.as_str())] {
        return Ok(());
    }
    Err(format!("expected {expected}, recorded {contexts:?}").into())
}
