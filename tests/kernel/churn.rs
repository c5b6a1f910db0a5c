//! Processes that fork, run a file of their own, make one contact and are gone.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use egress_baseline::{
    canary::{OPEN_PORT, PEER_ADDRESS4},
    model::LossCause,
};
use libtest_mimic::{Failed, Trial};

use super::{
    child::{Report, churned_arguments, churned_name},
    dump::Flow,
    session::{Session, flood_datagrams, session},
    workshop::{Workshop, run_to_end, text_of},
};

const PROCESSES: usize = 1_000;

/// The short-lived processes in the order in which they were started.
pub(crate) struct Churn {
    parent: u32,
    directory: PathBuf,
    pids: Vec<u32>,
}

pub(crate) fn run(workshop: &Workshop) -> Result<Churn, String> {
    let directory = workshop
        .folder("churn")
        .map_err(|cause| cause.to_string())?;
    let exe = workshop
        .link("churn/parent")
        .map_err(|cause| cause.to_string())?;
    let mut command = workshop.command(&exe).map_err(|cause| cause.to_string())?;
    command
        .args(["--part-churn", &PROCESSES.to_string()])
        .arg(&directory);
    let run = run_to_end(&exe, &mut command)?;
    match run.report {
        Report::Started(pids) if pids.len() == PROCESSES => Ok(Churn {
            parent: run.pid,
            directory,
            pids,
        }),
        other => Err(format!("expected {PROCESSES} processes: {other:?}")),
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "1000 of 1000 short-lived processes have the right path, arguments and parent",
            short_lived_processes_are_identified,
        ),
        Trial::test(
            "every datagram of a flood is either recorded or counted as lost",
            flood_is_accounted_for,
        ),
    ]
}

fn short_lived_processes_are_identified() -> Result<(), Failed> {
    let session = session()?;
    let churn = session.churn.as_ref().map_err(String::clone)?;
    let mut by_exe: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in &session.dump.flows {
        if let Some(exe) = &flow.exe {
            by_exe.entry(exe).or_default().push(flow);
        }
    }
    let faults: Vec<String> = (0..PROCESSES)
        .zip(&churn.pids)
        .filter_map(|(number, pid)| {
            let exe = text_of(churn.directory.join(churned_name(number)));
            let flows = by_exe.get(exe.as_str()).map_or(&[][..], Vec::as_slice);
            let fault = fault_of(session, churn, number, *pid, flows)?;
            Some(format!("{number} (pid {pid}): {fault}"))
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    let some: Vec<&str> = faults.iter().take(5).map(String::as_str).collect();
    Err(format!(
        "{} of {PROCESSES} are wrong:\n{}",
        faults.len(),
        some.join("\n")
    )
    .into())
}

fn fault_of(
    session: &Session,
    churn: &Churn,
    number: usize,
    pid: u32,
    flows: &[&Flow],
) -> Option<String> {
    // A connection that ends in a later flush than it began in has a row without attempts there.
    let mut attempts = flows.iter().filter(|flow| flow.attempts > 0);
    let (Some(flow), None) = (attempts.next(), attempts.next()) else {
        let at_all = session.dump.flows_of(pid).len();
        return Some(format!(
            "{} flows under its path, {at_all} under its pid",
            flows.len()
        ));
    };
    let proto = if number.is_multiple_of(2) {
        "tcp"
    } else {
        "udp"
    };
    let is_right = flow.pid == Some(pid)
        && flow.ppid == Some(churn.parent)
        && flow.proto == proto
        && flow.attempts == 1
        && flow.dst_port == Some(OPEN_PORT)
        && flow.dst_ip == Some(PEER_ADDRESS4.into());
    if !is_right {
        return Some(format!(
            "pid {:?}, parent {:?}: {flow}",
            flow.pid, flow.ppid
        ));
    }
    let argv = match session.dump.process_of(flow) {
        Ok(process) => process.argv.clone().unwrap_or_default(),
        Err(cause) => return Some(cause),
    };
    let exe = Path::new(&churn.directory).join(churned_name(number));
    let mut expected = vec![text_of(exe)];
    expected.extend(churned_arguments(number));
    (argv != expected).then(|| format!("arguments {argv:?}"))
}

fn flood_is_accounted_for() -> Result<(), Failed> {
    let session = session()?;
    let run = session.flood.clone()?;
    let recorded: u64 = session
        .dump
        .flows_of(run.pid)
        .iter()
        .map(|flow| flow.attempts)
        .sum();
    let lost = session.dump.lost(LossCause::DatagramsFull)
        + session.dump.lost(LossCause::ContactsFull)
        + session.dump.lost(LossCause::ProcessUnknown);
    if recorded > 0 && recorded + lost == flood_datagrams() {
        return Ok(());
    }
    Err(format!(
        "{} datagrams were sent, {recorded} recorded, {lost} counted as lost; \
         all losses: {:?}",
        flood_datagrams(),
        session.dump.losses
    )
    .into())
}
