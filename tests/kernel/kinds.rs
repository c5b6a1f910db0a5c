//! One trial for each kind of flow: what was made against what was recorded.

use egress_baseline::{
    canary::{Kind, Scope, kinds},
    model::{Protocol, Verdict},
    proof::{Maker, Recorded, judge as judge_kind},
};
use libtest_mimic::{Completion, Failed, Trial};

use super::{
    answers::CALLED_BY_CLIENTS,
    child::Report,
    dump::{Flow, listed},
    requirements::not_tried,
    session::{Session, session},
    support,
    workshop::Run,
};

pub(crate) fn trials() -> Vec<Trial> {
    kinds()
        .iter()
        .map(|kind| {
            Trial::ignorable_test(format!("{} is recorded as it was made", kind.name), || {
                judge(kind)
            })
        })
        .chain([Trial::test(
            "a peer that only answers makes no flow",
            peer_makes_no_flow,
        )])
        .collect()
}

fn judge(kind: &'static Kind) -> Result<Completion, Failed> {
    let judged = compare(kind);
    if let Err(cause) = &judged {
        support::note(kind, Verdict::Missed, None);
        return Err(cause.clone());
    }
    judged
}

fn compare(kind: &'static Kind) -> Result<Completion, Failed> {
    let session = session()?;
    let run = session
        .makers
        .get(kind.name)
        .ok_or("it was not made")?
        .clone()?;
    let made = match &run.report {
        Report::Made(made) => *made,
        Report::Lacking(what) => {
            support::note(kind, Verdict::NotMade, None);
            return not_tried(kind.name, kind.group.word(), what);
        }
        other => return Err(format!("it could not be made: {other:?}").into()),
    };
    let flows = session.dump.flows_of(run.pid);
    let found = flows
        .iter()
        .map(|flow| recorded(flow, session))
        .collect::<Result<Vec<_>, _>>()?;
    let judgement = judge_kind(kind, &made, &maker(&run), &session.observed, &found);
    match judgement.fault {
        None => {
            support::note(kind, judgement.verdict, judgement.blind_spot);
            Ok(Completion::Completed)
        }
        Some(fault) => {
            let expected = judgement
                .rule
                .map_or_else(|| "no flow".to_owned(), |rule| rule.to_string());
            Err(format!(
                "{fault}\nexpected: {expected}\nrecorded:\n{}",
                listed(&flows)
            )
            .into())
        }
    }
}

/// What the dump tells of a flow, as the program itself compares it.
fn recorded(flow: &Flow, session: &Session) -> Result<Recorded, Failed> {
    let process = session.dump.process_of(flow).ok();
    Ok(Recorded {
        pid: flow.pid,
        ppid: flow.ppid,
        exe: flow.exe.clone(),
        argv: process.and_then(|process| process.argv.clone()),
        uid: flow.uid,
        socket_uid: flow.socket_uid,
        network_namespace: flow.network_namespace,
        protocol: Protocol::parse(&flow.proto, flow.dst_ip)
            .ok_or_else(|| format!("`{}` is no protocol", flow.proto))?,
        source_port: flow.src_port,
        address: flow.dst_ip,
        port: flow.dst_port,
        outcome: flow
            .state
            .parse()
            .map_err(|()| format!("`{}` is no outcome", flow.state))?,
        errno: flow.errno,
        attempts: flow.attempts,
        bytes_out: flow.bytes_out,
        bytes_in: flow.bytes_in,
    })
}

/// The process as its parent knows it.
fn maker(run: &Run) -> Maker {
    Maker {
        pid: Some(run.pid),
        ppid: Some(std::process::id()),
        exe: run.exe_text(),
        argv: run.argv_text(),
        uid: 0,
    }
}

/// This very process is the peer: all that it may be seen doing is to write first where a kind
/// asks for it.
fn peer_makes_no_flow() -> Result<(), Failed> {
    let session = session()?;
    let own = session.dump.flows_of(std::process::id());
    let stray: Vec<Flow> = own
        .into_iter()
        .filter(|flow| {
            let is_call = flow
                .dst_port
                .is_some_and(|port| CALLED_BY_CLIENTS.contains(&port));
            !is_call
                && !kinds()
                    .iter()
                    .any(|kind| kind.scope == Scope::NoFlow && Some(kind.port()) == flow.dst_port)
        })
        .collect();
    match stray.as_slice() {
        [] => Ok(()),
        some => Err(format!("recorded of the peer:\n{}", listed(some)).into()),
    }
}
