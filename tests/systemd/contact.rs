//! What is to be observed: this program as a process that talks.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    path::{Path, PathBuf},
    process::ExitCode,
};

use egress_baseline::capture::now;

/// Answers nobody: it refuses.
const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Where a load connects to, and where it sends to.
pub(crate) const LOAD_TCP: u16 = 3101;
pub(crate) const LOAD_UDP: u16 = 3102;

/// Far more than any trial waits for.
const MOST_ROUNDS: u32 = 1_000_000;

/// One call of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) port: u16,
    pub(crate) before_ns: i64,
    pub(crate) after_ns: i64,
}

/// Plays the part that the words name, if they name one.
pub(crate) fn run(words: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let result = match words.as_slice() {
        ["--contact", port] => contact(port),
        ["--contact-named", name, port] => contact_named(name, port),
        ["--load", path] => load(Path::new(path)),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            writeln!(io::stderr(), "error: {cause}").ok();
            ExitCode::FAILURE
        }
    })
}

fn contact(port: &str) -> io::Result<()> {
    let port = port.parse().map_err(io::Error::other)?;
    refused(TcpStream::connect((PEER, port)).map(drop))
}

/// Asks for the name, as most programs do: through the C library.
fn contact_named(name: &str, port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let mut found = (name, port).to_socket_addrs()?;
    let address = found.find(SocketAddr::is_ipv4);
    let address = address.ok_or_else(|| io::Error::other("no address"))?;
    refused(TcpStream::connect(address).map(drop))
}

fn refused(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(()) => Err(io::Error::other("somebody answered")),
        Err(cause) => Err(cause),
    }
}

/// Says stop to the load that writes to `path`.
pub(crate) fn stop_file(path: &Path) -> PathBuf {
    path.with_extension("stop")
}

/// Connects and sends in turn until it is told to stop, and writes down when it did.
fn load(path: &Path) -> io::Result<()> {
    let mut log = File::create(path)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for _ in 0..MOST_ROUNDS {
        if stop_file(path).exists() {
            return Ok(());
        }
        note(&mut log, LOAD_TCP, || {
            refused(TcpStream::connect((PEER, LOAD_TCP)).map(drop))
        })?;
        note(&mut log, LOAD_UDP, || {
            socket.send_to(b"load", (PEER, LOAD_UDP)).map(drop)
        })?;
    }
    Err(io::Error::other("nobody told the load to stop"))
}

fn note(log: &mut File, port: u16, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = now().unix_ns();
    call()?;
    // One call of `write` a line, so that no line is ever half there.
    log.write_all(format!("{port} {before} {}\n", now().unix_ns()).as_bytes())
}

/// The calls of a load that has ended.
pub(crate) fn calls_in(text: &str) -> Result<Vec<Call>, String> {
    text.lines()
        .map(|line| {
            let numbers: Option<Vec<i64>> = line.split(' ').map(|word| word.parse().ok()).collect();
            match numbers.as_deref() {
                Some([port, before_ns, after_ns]) => Ok(Call {
                    port: u16::try_from(*port).map_err(|cause| cause.to_string())?,
                    before_ns: *before_ns,
                    after_ns: *after_ns,
                }),
                _ => Err(format!("the load wrote `{line}`")),
            }
        })
        .collect()
}
