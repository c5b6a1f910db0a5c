//! Programs that answer: their clients are no destinations of theirs, whom they ask is.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use egress_baseline::{
    canary::{Isolation, MAKER_ADDRESS4, MAKER_ADDRESS6, PEER_ADDRESS4, PEER_ADDRESS6},
    model::Outcome,
};
use libtest_mimic::{Completion, Failed, Trial};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{AddressFamily, SocketType, bind, socket, sockopt},
    process::Signal,
};

use super::{
    beside::Untried,
    child::Report,
    dump::{Dump, Flow, listed},
    observer::Observer,
    resolver::{UPSTREAMS, resolve},
    session::{Session, backend_asked_for, quickened, session},
    workshop::{Run, Workshop},
};

/// The port that the server of this binary shares among its sockets.
const SERVED_PORT: u16 = 4_433;
/// The port from which a program both asks and answers.
const MIXED_PORT: u16 = 4_434;
/// First of the ports of the peers that write first, and of those that are written to.
pub(crate) const CALLERS: u16 = 40_000;
const CALLED: u16 = 6_881;
const CALLED_PEERS: u16 = 5;
/// Where this binary itself writes first, as the clients.
pub(crate) const CALLED_BY_CLIENTS: [u16; 3] = [53, SERVED_PORT, MIXED_PORT];
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The programs that answered, each with the number of those that it answered.
pub(crate) struct Answers {
    server: Result<(Run, u16), String>,
    mixed: Result<(Run, u16), String>,
    resolver: Result<(u32, u16), Untried>,
}

pub(crate) fn run_all(workshop: &Workshop) -> Answers {
    Answers {
        server: serve_peers(workshop),
        mixed: ask_and_answer(workshop),
        resolver: resolve(workshop),
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a server of ten thousand peers on shared and connected sockets has no destination",
            || nothing_but(&answers()?.server, &BTreeSet::new()),
        ),
        Trial::test(
            "a program that asks and answers from one port keeps those that it asked",
            || {
                let asked = (CALLED..CALLED + CALLED_PEERS)
                    .map(|port| (PEER_ADDRESS4.into(), port))
                    .collect();
                nothing_but(&answers()?.mixed, &asked)
            },
        ),
        Trial::test(
            "a server that talked before the observer began is said to have answered, perhaps",
            old_acquaintances_may_have_answered,
        ),
        Trial::ignorable_test(
            "a resolver of a thousand clients has its three upstream servers as destinations",
            resolver_has_its_upstreams,
        ),
    ]
}

fn answers() -> Result<&'static Answers, String> {
    Ok(&session()?.answers)
}

type Contact = (IpAddr, u16);

fn nothing_but(
    result: &Result<(Run, u16), String>,
    asked: &BTreeSet<Contact>,
) -> Result<(), Failed> {
    let (run, answered) = result.as_ref().map_err(String::clone)?;
    if !matches!(run.report, Report::Made(_)) {
        return Err(format!("it did not do its part: {:?}", run.report).into());
    }
    judge(session()?, run.pid, asked)
        .map_err(|fault| format!("after {answered} answers: {fault}").into())
}

/// Its destinations must be those that it asked, no more and no less.
fn judge(session: &Session, pid: u32, asked: &BTreeSet<Contact>) -> Result<(), String> {
    let flows = session.dump.flows_of(pid);
    let sent: BTreeSet<Contact> = flows
        .iter()
        .filter(|flow| flow.state == Outcome::Sent.word())
        .filter_map(|flow| Some((flow.dst_ip?, flow.dst_port?)))
        .collect();
    let other: Vec<Flow> = flows
        .into_iter()
        .filter(|flow| flow.state != Outcome::Sent.word())
        .collect();
    if sent == *asked && other.is_empty() {
        return Ok(());
    }
    let invented: Vec<_> = sent.difference(asked).take(5).collect();
    let missed: Vec<_> = asked.difference(&sent).collect();
    Err(format!(
        "{} destinations instead of {}; invented, among others: {invented:?}; missed: {missed:?}; \
         otherwise:\n{}",
        sent.len(),
        asked.len(),
        listed(&other)
    ))
}

fn resolver_has_its_upstreams() -> Result<Completion, Failed> {
    match &answers()?.resolver {
        Err(untried) => untried.conclude("resolver", "dnsmasq"),
        Ok((pid, answered)) => judge(session()?, *pid, &UPSTREAMS.into_iter().collect())
            .map(|()| Completion::Completed)
            .map_err(|fault| format!("after {answered} answers: {fault}").into()),
    }
}

/// Starts this binary as a server, writes to it from many ports, and lets it go.
fn serve_peers(workshop: &Workshop) -> Result<(Run, u16), String> {
    let peers = quickened(10_000, 1_000);
    with_server(workshop, "serve", "--part-serve", || {
        for number in 0..peers {
            let to: IpAddr = if number.is_multiple_of(2) {
                MAKER_ADDRESS4.into()
            } else {
                MAKER_ADDRESS6.into()
            };
            let from: IpAddr = if number.is_multiple_of(2) {
                PEER_ADDRESS4.into()
            } else {
                PEER_ADDRESS6.into()
            };
            call((from, CALLERS + number).into(), (to, SERVED_PORT).into(), 2)?;
        }
        Ok(peers)
    })
}

/// Starts this binary as a program that asks some peers and is asked by others.
fn ask_and_answer(workshop: &Workshop) -> Result<(Run, u16), String> {
    let asked: Vec<UdpSocket> = workshop
        .lab
        .run_beside(|_| {
            (CALLED..CALLED + CALLED_PEERS)
                .map(|port| UdpSocket::bind((PEER_ADDRESS4, port)))
                .collect::<io::Result<_>>()
        })
        .map_err(|cause| cause.to_string())?
        .map_err(|cause| cause.to_string())?;
    with_server(workshop, "mixed", "--part-ask-and-answer", || {
        for number in 0..100 {
            let own = (MAKER_ADDRESS4, MIXED_PORT).into();
            call((PEER_ADDRESS4, CALLERS + number).into(), own, 1)?;
        }
        // Those that were asked go on by themselves, which makes no callers of them.
        let mut buffer = [0; 64];
        for socket in &asked {
            socket.set_read_timeout(Some(PATIENCE))?;
            let (_, from) = socket.recv_from(&mut buffer)?;
            socket.send_to(b"and you?", from)?;
            socket.recv_from(&mut buffer)?;
        }
        Ok(100)
    })
}

/// One datagram to a server, and its answers.
fn call(from: SocketAddr, to: SocketAddr, answers: u32) -> io::Result<()> {
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"hello", to)?;
    let mut buffer = [0; 64];
    for _ in 0..answers {
        socket.recv(&mut buffer)?;
    }
    Ok(())
}

fn with_server(
    workshop: &Workshop,
    name: &str,
    part: &str,
    clients: impl FnOnce() -> io::Result<u16> + Send,
) -> Result<(Run, u16), String> {
    let server = Server::start(workshop, name, part)?;
    let answered = workshop.lab.run_beside(|_| clients());
    let run = server.end()?;
    let answered = answered
        .map_err(|cause| cause.to_string())?
        .map_err(|cause| format!("a client: {cause}"))?;
    Ok((run, answered))
}

/// This binary as a server.
struct Server {
    exe: PathBuf,
    part: String,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it and waits until it listens.
    fn start(workshop: &Workshop, name: &str, part: &str) -> Result<Self, String> {
        let exe = workshop.link(name).map_err(|cause| cause.to_string())?;
        let mut command = workshop.command(&exe).map_err(|cause| cause.to_string())?;
        command.arg(part).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(|cause| cause.to_string())?;
        let mut said = BufReader::new(child.stdout.take().ok_or("it has no output")?);
        said.read_line(&mut String::new())
            .map_err(|cause| cause.to_string())?;
        Ok(Self {
            exe,
            part: part.to_owned(),
            child,
            said,
        })
    }

    fn end(mut self) -> Result<Run, String> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.said
            .read_to_string(&mut line)
            .map_err(|cause| cause.to_string())?;
        self.child.wait().map_err(|cause| cause.to_string())?;
        let report =
            serde_json::from_str(line.trim()).map_err(|cause| format!("{cause}: {line}"))?;
        Ok(Run {
            pid: self.child.id(),
            exe: self.exe.clone(),
            argv: vec![self.exe.into(), self.part.into()],
            report,
        })
    }
}

/// The two have talked before there was an observer: who began, nobody can know.
fn old_acquaintances_may_have_answered() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let client = workshop
        .lab
        .run_beside(|_| UdpSocket::bind((PEER_ADDRESS4, CALLERS)))??;
    client.set_read_timeout(Some(PATIENCE))?;
    let server = Server::start(&workshop, "serve", "--part-serve")?;
    exchange(&client)?;
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    exchange(&client)?;
    let run = server.end()?;
    observer.stop_with(Signal::INT)?;
    let flows = Dump::read(&database)?.flows_of(run.pid);
    let is_said = |flow: &Flow| {
        flow.state == Outcome::MaybeReply.word()
            && (flow.dst_ip, flow.dst_port) == (Some(PEER_ADDRESS4.into()), Some(CALLERS))
    };
    if flows.iter().map(|flow| flow.attempts).sum::<u64>() == 2 && flows.iter().all(is_said) {
        return Ok(());
    }
    Err(format!(
        "expected two datagrams that may be answers, recorded:\n{}",
        listed(&flows)
    )
    .into())
}

fn exchange(client: &UdpSocket) -> io::Result<()> {
    client.send_to(b"hello", (MAKER_ADDRESS4, SERVED_PORT))?;
    let mut buffer = [0; 64];
    client.recv(&mut buffer)?;
    client.recv(&mut buffer).map(drop)
}

/// The part of the server: answers every datagram twice, the second time on a socket that is
/// connected to the peer, as servers of QUIC do; until its input ends.
pub(crate) fn serve(_: &Isolation) -> Report {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), SERVED_PORT);
    let result = [any, any]
        .map(shared)
        .into_iter()
        .collect::<io::Result<Vec<_>>>()
        .and_then(|sockets| {
            until_input_ends(&sockets, |socket, peer| {
                socket.send_to(b"welcome", peer)?;
                let own = shared(any)?;
                own.connect(peer)?;
                own.send(b"and once more").map(drop)
            })
        });
    report_of(result)
}

/// The part of the program that begins with some and is begun with by others.
pub(crate) fn ask_and_answer_part(_: &Isolation) -> Report {
    let own = SocketAddr::new(MAKER_ADDRESS4.into(), MIXED_PORT);
    let result = shared(own).and_then(|socket| {
        for port in CALLED..CALLED + CALLED_PEERS {
            socket.send_to(b"who are you?", (PEER_ADDRESS4, port))?;
        }
        until_input_ends(&[socket], |socket, peer| {
            socket.send_to(b"it is me", peer).map(drop)
        })
    });
    report_of(result)
}

fn report_of(result: io::Result<()>) -> Report {
    match result {
        Ok(()) => Report::Made(egress_baseline::canary::Made::default()),
        Err(cause) => Report::broken(cause),
    }
}

/// A socket whose port others may use as well.
fn shared(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let fd = socket(family, SocketType::DGRAM, None)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    bind(&fd, &address)?;
    Ok(fd.into())
}

fn until_input_ends(
    sockets: &[UdpSocket],
    mut answer: impl FnMut(&UdpSocket, SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    for socket in sockets {
        socket.set_nonblocking(true)?;
    }
    writeln!(io::stdout(), "ready")?;
    let input = io::stdin();
    let mut buffer = [0; 2_048];
    loop {
        let mut waited: Vec<_> = sockets
            .iter()
            .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
            .collect();
        waited.push(PollFd::new(&input, PollFlags::IN));
        poll(&mut waited, None)?;
        if waited.last().is_some_and(|end| !end.revents().is_empty()) {
            return Ok(());
        }
        for socket in sockets {
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                answer(socket, peer)?;
            }
        }
    }
}
