//! Programs that answer: their clients are no destinations of theirs, whom they ask is.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read},
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    thread,
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
};

use super::{
    child::Report,
    dump::{Flow, listed},
    requirements::not_tried,
    session::{Session, quickened, session},
    workshop::{Run, Workshop},
};

/// The port that the server of this binary shares among its sockets.
const SERVED_PORT: u16 = 4_433;
/// The port from which a program both asks and answers.
const MIXED_PORT: u16 = 4_434;
/// First of the ports of the peers that write first, and of those that are written to.
const CALLERS: u16 = 40_000;
const CALLED: u16 = 6_881;
const CALLED_PEERS: u16 = 5;
/// The ports of the resolver's upstream servers.
const UPSTREAMS: [(IpAddr, u16); 3] = [
    (IpAddr::V4(PEER_ADDRESS4), 5_301),
    (IpAddr::V4(PEER_ADDRESS4), 5_302),
    (IpAddr::V6(PEER_ADDRESS6), 5_303),
];
/// Where this binary itself writes first, as the clients.
pub(crate) const CALLED_BY_CLIENTS: [u16; 3] = [53, SERVED_PORT, MIXED_PORT];
const PATIENCE: Duration = Duration::from_secs(20);

/// The programs that answered, each with the number of those that it answered.
pub(crate) struct Answers {
    server: Result<(Run, u16), String>,
    mixed: Result<(Run, u16), String>,
    resolver: Result<(u32, u16), Unresolved>,
}

/// Why no resolver was tried.
#[derive(Clone, Debug)]
enum Unresolved {
    Lacking(String),
    Broken(String),
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
        Err(Unresolved::Lacking(why)) => not_tried("resolver", "dnsmasq", why),
        Err(Unresolved::Broken(why)) => Err(why.into()),
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
    let exe = workshop.link(name).map_err(|cause| cause.to_string())?;
    let mut command = workshop.command(&exe).map_err(|cause| cause.to_string())?;
    command.arg(part).stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| cause.to_string())?;
    let pid = child.id();
    let mut said = BufReader::new(child.stdout.take().ok_or("it has no output")?);
    let mut line = String::new();
    said.read_line(&mut line)
        .map_err(|cause| cause.to_string())?;
    let answered = workshop.lab.run_beside(|_| clients());
    drop(child.stdin.take());
    line.clear();
    said.read_to_string(&mut line)
        .map_err(|cause| cause.to_string())?;
    child.wait().map_err(|cause| cause.to_string())?;
    let answered = answered
        .map_err(|cause| cause.to_string())?
        .map_err(|cause| format!("a client: {cause}"))?;
    let report = serde_json::from_str(line.trim()).map_err(|cause| format!("{cause}: {line}"))?;
    let run = Run {
        pid,
        exe: exe.clone(),
        argv: vec![exe.into(), part.into()],
        report,
    };
    Ok((run, answered))
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
    use io::Write;
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

/// A real resolver in the maker's network, three servers that it asks, and a thousand clients.
fn resolve(workshop: &Workshop) -> Result<(u32, u16), Unresolved> {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"])
        .args(["--no-hosts", "--user=root", "--pid-file=", "--cache-size=0"])
        .args([
            "--all-servers",
            "--dns-forward-max=2000",
            "--log-facility=-",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for (address, port) in UPSTREAMS {
        command.arg(format!("--server={address}#{port}"));
    }
    workshop
        .lab
        .place(&mut command)
        .map_err(|cause| Unresolved::Broken(cause.to_string()))?;
    let mut resolver = match command.spawn() {
        Ok(child) => child,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Unresolved::Lacking("there is no dnsmasq".to_owned()));
        }
        Err(cause) => return Err(Unresolved::Broken(cause.to_string())),
    };
    let pid = resolver.id();
    let answered = workshop
        .lab
        .run_beside(|_| ask_resolver(&mut resolver))
        .map_err(|cause| cause.to_string())
        .and_then(|answered| answered.map_err(|cause| cause.to_string()));
    resolver.kill().ok();
    resolver.wait().ok();
    answered
        .map(|answered| (pid, answered))
        .map_err(Unresolved::Broken)
}

fn ask_resolver(resolver: &mut Child) -> io::Result<u16> {
    let servers = UPSTREAMS
        .into_iter()
        .map(UdpSocket::bind)
        .collect::<io::Result<Vec<_>>>()?;
    let clients = quickened(1_000, 200);
    thread::scope(|scope| {
        for server in &servers {
            server.set_read_timeout(Some(Duration::from_secs(2)))?;
            // Ends by itself once nobody asks any more.
            scope.spawn(|| answer_queries(server));
        }
        await_resolver(resolver)?;
        for number in 0..clients {
            let to = SocketAddr::new(MAKER_ADDRESS4.into(), 53);
            let from = SocketAddr::new(PEER_ADDRESS4.into(), CALLERS + number);
            ask(from, to, &query(number))?;
        }
        Ok(clients)
    })
}

/// It answers as soon as it is there; until then, each question is in vain.
fn await_resolver(resolver: &mut Child) -> io::Result<()> {
    for _ in 0..100 {
        if let Some(status) = resolver.try_wait()? {
            return Err(io::Error::other(format!("dnsmasq ended with {status}")));
        }
        let socket = UdpSocket::bind((PEER_ADDRESS4, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.send_to(&query(u16::MAX), (MAKER_ADDRESS4, 53))?;
        if socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::other("dnsmasq does not answer"))
}

fn ask(from: SocketAddr, to: SocketAddr, question: &[u8]) -> io::Result<()> {
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(question, to)?;
    socket.recv(&mut [0; 512]).map(drop)
}

/// A question for an address, of a name that nobody asked for before.
fn query(number: u16) -> Vec<u8> {
    let label = format!("client{number:05}");
    let mut bytes = number.to_be_bytes().to_vec();
    // One question, recursion desired.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for part in [label.as_str(), "example"] {
        bytes.push(u8::try_from(part.len()).unwrap_or(0));
        bytes.extend(part.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Answers that there is no such address.
fn answer_queries(server: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut buffer) {
        if length < 12 {
            continue;
        }
        buffer[2] |= 0x80;
        buffer[3] |= 0x80;
        server.send_to(&buffer[..length], from).ok();
    }
}
