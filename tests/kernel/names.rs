//! What destinations are called: real resolvers, and processes that ask them in the ways in which
//! programs do.

use std::{collections::BTreeMap, fs, io, net::IpAddr, path::PathBuf, sync::LazyLock};

use egress_baseline::canary::{OPEN_PORT, PEER_ADDRESS4};
use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;

use super::{
    asking::{NAME_IN_HELLO, NAME_IN_INITIAL},
    beside::Untried,
    child::Report,
    dump::{Dump, Flow},
    musl,
    name_servers::{ANSWERED, FORGED, Resolver, STUB, with_server},
    observer::{NO_SELF_CHECK, Observer, ask},
    session::backend_asked_for,
    workshop::{Run, Workshop},
};

/// Processes by what is tried with them: their words, and how their destination must be called.
const CASES: [Case; 16] = [
    case(
        "the C library asks for both addresses",
        &["libc", "{udp}", "libc.example"],
        Some(("libc.example", "dns_answer")),
    ),
    case(
        "a name that was asked for over TCP is that of its asker",
        &["libc", "{tcp}", "over-tcp.example"],
        Some(("over-tcp.example", "dns_answer")),
    ),
    case(
        "a name that a stub on this host answered is that of its asker",
        &["libc", "{stub}", "stub.example"],
        Some(("stub.example", "dns_answer")),
    ),
    case(
        "a name that a stub on this host answered over TCP is that of its asker",
        &["libc", "{stub-tcp}", "stub-tcp.example"],
        Some(("stub-tcp.example", "dns_answer")),
    ),
    case(
        "a static program asks through musl",
        &["musl", "{udp}", "{client}", "musl.example"],
        Some(("musl.example", "dns_answer")),
    ),
    case(
        "musl asks all its servers at once, and the first answer counts",
        &["musl", "{both}", "{client}", "musl-both.example"],
        Some(("musl-both.example", "dns_answer")),
    ),
    case(
        "a program that speaks DNS itself is told apart from others at the same address",
        &["own", "left.example"],
        Some(("left.example", "dns_answer")),
    ),
    case(
        "another program at that address keeps the name that it asked for",
        &["own", "right.example"],
        Some(("right.example", "dns_answer")),
    ),
    case(
        "a server name is better than the name that was asked for",
        &["hello", "front.example", "1"],
        Some((NAME_IN_HELLO, "server_name")),
    ),
    case(
        "a server name in several segments is read",
        &["hello", "pieces.example", "5"],
        Some((NAME_IN_HELLO, "server_name")),
    ),
    case(
        "the first packet of QUIC names its flow",
        &["quic", "quic.example"],
        Some((NAME_IN_INITIAL, "server_name")),
    ),
    case(
        "what a proxy is asked for is not read, and that is said",
        &[
            "greet",
            "proxy.example",
            "CONNECT www.example.org:443 HTTP/1.1\r\n",
        ],
        Some(("proxy.example", "dns_answer")),
    )
    .hiding("proxy"),
    case(
        "a protocol that may go over to TLS later is said to be one",
        &["greet", "mail.example", "EHLO client.example\r\n"],
        Some(("mail.example", "dns_answer")),
    )
    .hiding("may_start_tls"),
    case(
        "an answer from where it was asked for names its address",
        &["other-server", "right-answer.example"],
        Some(("right-answer.example", "dns_answer")),
    ),
    case(
        "an answer with another identification names nothing",
        &["other-server", "forged-id.example"],
        None,
    ),
    case(
        "an answer from another port names nothing",
        &["other-server", "forged-port.example"],
        None,
    ),
];

struct Case {
    what: &'static str,
    words: &'static [&'static str],
    name: Option<(&'static str, &'static str)>,
    /// How it hides the server that is meant.
    opening: Option<&'static str>,
}

impl Case {
    const fn hiding(self, opening: &'static str) -> Self {
        Self {
            opening: Some(opening),
            ..self
        }
    }
}

const fn case(
    what: &'static str,
    words: &'static [&'static str],
    name: Option<(&'static str, &'static str)>,
) -> Case {
    Case {
        what,
        words,
        name,
        opening: None,
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    CASES
        .iter()
        .map(|case| {
            let name = format!("names: {}", case.what);
            Trial::ignorable_test(name, || tried_case(case))
        })
        .chain([
            Trial::ignorable_test(
                "names: a process that asked nobody has a name that others asked for",
                || tried(others_name),
            ),
            Trial::ignorable_test("names: all that was read was read whole", || {
                tried(nothing_lost)
            }),
            Trial::ignorable_test(
                "names: where they are turned off there are none, and that is said",
                || tried(turned_off),
            ),
        ])
        .collect()
}

/// Some cases need a program that not every machine can build.
fn tried_case(case: &Case) -> Result<Completion, Failed> {
    let needs_client = case.words.contains(&CLIENT);
    if needs_client
        && let Ok(session) = &*SESSION
        && let Err(untried) = &session.client
    {
        return untried.conclude(case.what, "musl");
    }
    tried(|session| judge(session, case))
}

/// What stands for the path of the program that musl's compiler built.
const CLIENT: &str = "{client}";

static SESSION: LazyLock<Result<Session, Untried>> = LazyLock::new(hold);

/// What happened, and what was recorded of it, with names and without.
struct Session {
    dump: Dump,
    /// What the observer said of itself.
    status: String,
    runs: BTreeMap<&'static str, Result<Run, String>>,
    client: Result<PathBuf, Untried>,
    silent: Result<Run, String>,
    without: Dump,
    without_run: Result<Run, String>,
}

fn tried(judge: impl FnOnce(&Session) -> Result<(), String>) -> Result<Completion, Failed> {
    match &*SESSION {
        Ok(session) => judge(session)
            .map(|()| Completion::Completed)
            .map_err(Failed::from),
        Err(untried) => untried.conclude("names", "dnsmasq"),
    }
}

fn hold() -> Result<Session, Untried> {
    let workshop = Workshop::build_quiet()?;
    let resolver = Resolver::at_peer(&workshop)?;
    let stub = Resolver::on_host(&workshop)?;
    let client = musl::client(&workshop);
    let mut words_for = configurations(&workshop)?;
    if let Ok(client) = &client {
        words_for.insert(CLIENT, client.display().to_string());
    }
    let backend = backend_asked_for();
    let database = workshop.path().join("names.db");
    let observer = Observer::start(&database, &["--backend", &backend])?;
    // Everything is read at once afterwards, so that nothing depends on who is faster.
    let (runs, silent) = observer.while_paused(|| {
        with_server(&workshop, || {
            let runs = run_cases(&workshop, &words_for);
            let silent = workshop.run("names-silent", &["--part-ask", "silent"]);
            (runs, silent)
        })
    })??;
    end(observer)?;
    let dump = Dump::read(&database)?;
    let status = ask(&database, &["status", "--verbose"])?;
    let database = workshop.path().join("nameless.db");
    let configuration = workshop.path().join("nameless.toml");
    let text = format!("[observe]\n{NO_SELF_CHECK}names = false\n");
    fs::write(&configuration, text)?;
    let arguments = ["--backend", &backend];
    let observer = Observer::start_with(&database, Some(&configuration), &arguments)?;
    let words = ["--part-ask", "hello", "unnamed.example", "1"];
    let without_run = workshop.run("names-off", &words);
    end(observer)?;
    let without = Dump::read(&database)?;
    drop((stub, resolver));
    Ok(Session {
        dump,
        status: String::from_utf8_lossy(&status.stdout).into_owned(),
        runs,
        client,
        silent,
        without,
        without_run,
    })
}

fn end(observer: Observer) -> Result<(), String> {
    let ended = observer.stop_with(Signal::INT)?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(format!(
            "the observer ended with {}: {}",
            ended.status, ended.said
        )),
    }
}

/// What stands in `/etc/resolv.conf`, by the word for it.
fn configurations(workshop: &Workshop) -> io::Result<BTreeMap<&'static str, String>> {
    let texts = [
        ("{udp}", format!("nameserver {PEER_ADDRESS4}\n")),
        (
            "{tcp}",
            format!("nameserver {PEER_ADDRESS4}\noptions use-vc\n"),
        ),
        (
            "{both}",
            format!("nameserver {PEER_ADDRESS4}\nnameserver {STUB}\n"),
        ),
        ("{stub}", format!("nameserver {STUB}\n")),
        ("{stub-tcp}", format!("nameserver {STUB}\noptions use-vc\n")),
    ];
    let folder = workshop.folder("resolv")?;
    let mut paths = BTreeMap::new();
    for (word, text) in texts {
        let path = folder.join(word.trim_matches(['{', '}']));
        fs::write(&path, text)?;
        paths.insert(word, path.display().to_string());
    }
    Ok(paths)
}

fn run_cases(
    workshop: &Workshop,
    configurations: &BTreeMap<&'static str, String>,
) -> BTreeMap<&'static str, Result<Run, String>> {
    let run = |(number, case): (usize, &Case)| {
        let mut words = vec!["--part-ask"];
        words.extend(case.words.iter().map(|word| {
            let path = configurations.get(word);
            path.map_or(*word, String::as_str)
        }));
        (case.what, workshop.run(format!("names-{number}"), &words))
    };
    // Without the program there is nothing to run: that is said where it is judged.
    let can_run = |(_, case): &(usize, &Case)| {
        !case.words.contains(&CLIENT) || configurations.contains_key(CLIENT)
    };
    CASES.iter().enumerate().filter(can_run).map(run).collect()
}

/// The flow of a process to where it went after it had asked.
fn destination(dump: &Dump, run: &Result<Run, String>) -> Result<Flow, String> {
    let run = run.as_ref().map_err(String::clone)?;
    if !matches!(run.report, Report::Made(_)) {
        return Err(format!("it did not do its part: {:?}", run.report));
    }
    let flows = dump.flows_of(run.pid);
    let found: Vec<_> = flows
        .iter()
        .filter(|flow| flow.dst_port == Some(OPEN_PORT))
        .collect();
    match found.as_slice() {
        [flow] => Ok((*flow).clone()),
        other => Err(format!("one flow was made, recorded: {other:?}")),
    }
}

fn named(flow: &Flow) -> Option<(&str, &str)> {
    Some((flow.dst_name.as_deref()?, flow.name_source.as_deref()?))
}

fn judge(session: &Session, case: &Case) -> Result<(), String> {
    let run = session.runs.get(case.what).ok_or("it was not run")?;
    let flow = destination(&session.dump, run)?;
    let expected_address: IpAddr = match case.words {
        ["other-server", name] if name.starts_with("forged") => FORGED.into(),
        ["other-server", ..] => ANSWERED.into(),
        _ => PEER_ADDRESS4.into(),
    };
    let is_right = named(&flow) == case.name && flow.opening.as_deref() == case.opening;
    match is_right && flow.dst_ip == Some(expected_address) {
        true => Ok(()),
        false => Err(format!(
            "expected {:?} {:?} at {expected_address}, recorded {:?} {:?} in {flow}; lost: {:?}",
            case.name,
            case.opening,
            named(&flow),
            flow.opening,
            session.dump.losses
        )),
    }
}

fn others_name(session: &Session) -> Result<(), String> {
    let flow = destination(&session.dump, &session.silent)?;
    match named(&flow) {
        Some((name, "host_dns_answer")) if name.ends_with(".example") => Ok(()),
        other => Err(format!("recorded {other:?} in {flow}")),
    }
}

fn nothing_lost(session: &Session) -> Result<(), String> {
    let lost: Vec<_> = session
        .dump
        .losses
        .iter()
        .filter(|loss| loss.cause.word().starts_with("names"))
        .collect();
    let periods = &session.dump.watch_periods;
    let is_blind = periods
        .iter()
        .flat_map(|period| &period.blind_spots)
        .any(|spot| spot.code == "names");
    match lost.is_empty() && !periods.is_empty() && !is_blind {
        true => Ok(()),
        false => Err(format!("lost: {lost:?}\n{}", session.status)),
    }
}

fn turned_off(session: &Session) -> Result<(), String> {
    let flow = destination(&session.without, &session.without_run)?;
    let periods = &session.without.watch_periods;
    let is_said = periods
        .iter()
        .all(|period| period.blind_spots.iter().any(|spot| spot.code == "names"));
    match named(&flow).is_none() && !periods.is_empty() && is_said {
        true => Ok(()),
        false => Err(format!("recorded {flow}; watched: {periods:?}")),
    }
}
