//! What real clients of TLS are called by: the name that they ask the server for, with a real server.

use std::{
    fmt::Display,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use egress_baseline::canary::PEER_ADDRESS4;
use libtest_mimic::{Completion, Trial};
use rustix::process::Signal;

use super::{
    beside::{Beside, Untried},
    dump::{Dump, listed},
    observer::Observer,
    session::backend_asked_for,
    workshop::Workshop,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "names: curl is named by the server that it asks for, and by nothing where it asks for none",
        || match run() {
            Ok(()) => Ok(Completion::Completed),
            Err(untried) => untried.conclude("names of TLS", "curl"),
        },
    )]
}

/// Where the server listens.
const PORT: u16 = 21_443;

fn run() -> Result<(), Untried> {
    for (tool, word) in [("curl", "--version"), ("openssl", "version")] {
        if Command::new(tool).arg(word).output().is_err() {
            return Err(Untried::Lacking(format!("there is no {tool}")));
        }
    }
    let workshop = Workshop::build_quiet()?;
    let _server = server(&workshop)?;
    let database = workshop.path().join("tls.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    // Both names lead to one address, and nobody is asked for either.
    let named = ["left.example", "right.example"];
    let mut fetched = Vec::new();
    for name in named {
        fetched.push((Some(name), curl(&workshop, name)?));
    }
    fetched.push((None, curl(&workshop, &PEER_ADDRESS4.to_string())?));
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(Untried::Broken(ended.said));
    }
    let dump = Dump::read(&database)?;
    for (name, pid) in fetched {
        let flows = dump.flows_of(pid);
        let is_right = flows.iter().all(|flow| {
            let source = name.map(|_| "server_name");
            flow.dst_name.as_deref() == name && flow.name_source.as_deref() == source
        });
        if flows.is_empty() || !is_right {
            return Err(Untried::Broken(format!(
                "expected {name:?}, recorded {:?}:\n{}",
                flows
                    .first()
                    .map(|flow| (&flow.dst_name, &flow.name_source)),
                listed(&flows)
            )));
        }
    }
    Ok(())
}

/// Fetches a page of the server under this name, which curl is told the address of; returns its process.
fn curl(workshop: &Workshop, name: &str) -> Result<u32, Untried> {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--insecure", "--max-time", "60"])
        .args(["--noproxy", "*", "--output", "/dev/null", "--resolve"])
        .arg(format!("{name}:{PORT}:{PEER_ADDRESS4}"))
        .arg(format!("https://{name}:{PORT}/"))
        .stdin(Stdio::null());
    workshop.lab.place(&mut command)?;
    let child = command.stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(pid),
        false => Err(broken(String::from_utf8_lossy(&output.stderr))),
    }
}

fn broken(cause: impl Display) -> Untried {
    Untried::Broken(format!("curl: {cause}"))
}

/// A real server at the peer.
fn server(workshop: &Workshop) -> Result<Beside, Untried> {
    let folder = workshop.folder("tls")?;
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    make_certificate(&key, &certificate)?;
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-quiet", "-www", "-accept"])
        .arg(format!("{PEER_ADDRESS4}:{PORT}"))
        .arg("-key")
        .arg(&key)
        .arg("-cert")
        .arg(&certificate);
    workshop.lab.place_at_peer(&mut command)?;
    let mut server = Beside::start(&mut command)?;
    let is_up = workshop.lab.run_inside(|_| {
        (0..200).any(|_| {
            thread::sleep(Duration::from_millis(50));
            TcpStream::connect((PEER_ADDRESS4, PORT)).is_ok()
        })
    });
    match is_up {
        Ok(true) => Ok(server),
        Ok(false) => Err(Untried::Broken(format!(
            "openssl does not serve: {:?}",
            server.0.try_wait()
        ))),
        Err(cause) => Err(Untried::Broken(cause.to_string())),
    }
}

fn make_certificate(key: &Path, certificate: &Path) -> Result<(), Untried> {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=example",
        ])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Untried::Broken(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}
