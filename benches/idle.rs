//! What the whole observer costs while nothing happens: its share of a core over a minute, and its memory;
//! first without, then with 100,000 open connections over which nothing is sent. Needs root and kernel
//! hooks; what it sends stays in two network namespaces that lead nowhere.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run must say so loudly"
)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddrV4, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use egress_baseline::canary::{Isolation, Lab, PEER_ADDRESS4};
use support::{grouped, head, line};

const SETTLE: Duration = Duration::from_secs(25);
const WATCH: Duration = Duration::from_secs(60);

/// A process may have 20,000 files as a rule, and one address has 28,000 ports to connect from: pairs of
/// processes, each with a port of its own.
const PAIRS: u16 = 6;
const CONNECTIONS_OF_A_PAIR: usize = 17_000;
const FIRST_PORT: u16 = 20_801;

/// Nanoseconds that a process has had of all cores.
fn core_time(child: &Child) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    tasks
        .map(|task| {
            let of_task = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            of_task.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}

fn megabytes(child: &Child, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    format!("{:.1}", kilobytes * 1_024.0 / 1e6)
}

/// A process that holds one end of many connections until its input ends. Nothing is sent over them.
struct Holder(Child);

impl Holder {
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        await_line(child.stdout.take().unwrap(), "listening");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Both ends of all connections, over a cable that leads nowhere.
fn connect_all(lab: &Lab) -> Vec<Holder> {
    let command = |end: &str, port: u16| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--hold", end, &port.to_string()]);
        command
    };
    let mut holders = Vec::new();
    for port in (FIRST_PORT..).take(usize::from(PAIRS)) {
        let mut accepting = command("accept", port);
        lab.place_at_peer(&mut accepting).unwrap();
        holders.push(Holder::of(accepting));
        let mut connecting = command("connect", port);
        lab.place(&mut connecting).unwrap();
        holders.push(Holder::of(connecting));
    }
    holders
}

/// What the processes do that [`connect_all`] starts.
fn hold(end: &str, port: u16) {
    // Nobody who calls this by hand sends anything.
    Isolation::prove().unwrap();
    let place = SocketAddrV4::new(PEER_ADDRESS4, port);
    let mut out = std::io::stdout();
    let held: Vec<TcpStream> = if end == "accept" {
        let listener = TcpListener::bind(place).unwrap();
        writeln!(out, "listening").unwrap();
        let accept = || listener.accept().unwrap().0;
        std::iter::repeat_with(accept)
            .take(CONNECTIONS_OF_A_PAIR)
            .collect()
    } else {
        let connect = || TcpStream::connect(place).unwrap();
        let held = std::iter::repeat_with(connect)
            .take(CONNECTIONS_OF_A_PAIR)
            .collect();
        writeln!(out, "listening for its end").unwrap();
        held
    };
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(held);
}

fn await_line(output: impl Read, text: &str) {
    let mut told = String::new();
    let mut lines = BufReader::new(output);
    while !told.contains(text) {
        told.clear();
        assert!(lines.read_line(&mut told).unwrap() > 0, "it did not start");
    }
}

/// Starts the observer and waits until all its hooks are attached.
fn observer(directory: &std::path::Path) -> Child {
    let settings = directory.join("config.toml");
    fs::write(&settings, "[limits]\nconnections = 131072\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_egress-baseline"))
        .arg("--db")
        .arg(directory.join("flows.db"))
        .arg("--config")
        .arg(settings)
        .args(["observe", "--for", "15m"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_line(child.stderr.take().unwrap(), "observing");
    child
}

/// Prints what the observer takes for a minute in which nothing happens.
fn watch(child: &Child, goal: &str) {
    sleep(SETTLE);
    let before = core_time(child);
    let start = Instant::now();
    sleep(WATCH);
    #[expect(clippy::cast_precision_loss, reason = "minutes in nanoseconds")]
    let used = (core_time(child) - before) as f64;
    let share = used / 1e7 / start.elapsed().as_secs_f64();
    line("  share of a core", &format!("{share:.3} %"), goal);
    line("  resident, MB", &megabytes(child, "VmRSS"), "");
    line("    of which its own, MB", &megabytes(child, "RssAnon"), "");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, end, port] = arguments.as_slice()
        && flag == "--hold"
    {
        return hold(end, port.parse().unwrap());
    }
    head("IDLE");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut child = observer(directory.path());
    line("hooks attached, nothing to do", "", "");
    watch(&child, "below 0.3 %");
    let lab = Lab::build_quiet().unwrap();
    let holders = connect_all(&lab);
    let number = f64::from(PAIRS) * f64::from(u32::try_from(CONNECTIONS_OF_A_PAIR).unwrap());
    line(
        &format!("{} open connections at rest", grouped(number)),
        "",
        "",
    );
    watch(&child, "below 0.3 %");
    drop(holders);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
}
