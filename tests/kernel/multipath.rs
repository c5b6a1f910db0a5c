//! A connection over two paths: the second subflow is opened by the kernel, for the program.

use std::path::PathBuf;

use egress_baseline::{
    canary::{Group, NotMade, offer_second_path, two_paths_target},
    model::Outcome,
};
use libtest_mimic::{Completion, Failed, Trial};

use super::{
    child::Report,
    dump::{Flow, listed},
    requirements::not_tried,
    session::session,
    workshop::{Run, Workshop},
};

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct TwoPaths {
    run: Run,
    namespace: u64,
}

/// Connects over two paths, in a laboratory of its own: there, every such connection has two.
pub(crate) fn run() -> Result<TwoPaths, String> {
    let workshop = Workshop::build()?;
    let namespace = workshop
        .lab
        .namespace_inode()
        .map_err(|cause| cause.to_string())?;
    let run = match offer_second_path(&workshop.lab) {
        Ok(()) => workshop.run("two-paths", &["--part-two-paths"])?,
        Err(NotMade::Lacking(what)) => Run {
            pid: 0,
            exe: PathBuf::new(),
            argv: Vec::new(),
            report: Report::Lacking(what),
        },
        Err(broken) => return Err(broken.to_string()),
    };
    Ok(TwoPaths { run, namespace })
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "a later subflow of a multipath connection belongs to its program",
        later_subflow_belongs_to_program,
    )]
}

fn later_subflow_belongs_to_program() -> Result<Completion, Failed> {
    let session = session()?;
    let two_paths = session.two_paths.clone()?;
    let made = match &two_paths.run.report {
        Report::Made(made) => *made,
        Report::Lacking(what) => return not_tried("two paths", Group::Mptcp.word(), what),
        other => return Err(format!("it could not be made: {other:?}").into()),
    };
    let target = two_paths_target();
    let in_namespace: Vec<Flow> = session
        .dump
        .flows
        .iter()
        .filter(|flow| flow.network_namespace.map(u64::from) == Some(two_paths.namespace))
        .cloned()
        .collect();
    let is_right = |flow: &Flow| {
        flow.pid == Some(two_paths.run.pid)
            && flow.exe.as_deref() == Some(&two_paths.run.exe_text())
            && flow.dst_ip == Some(target.ip())
            && flow.dst_port == Some(target.port())
            && flow.state == Outcome::Established.word()
    };
    let attempts: u64 = in_namespace.iter().map(|flow| flow.attempts).sum();
    if in_namespace.iter().all(is_right) && attempts == made.attempts {
        return Ok(Completion::Completed);
    }
    Err(format!(
        "expected {} subflows of {}, recorded in its namespace:\n{}",
        made.attempts,
        two_paths.run.exe_text(),
        listed(&in_namespace)
    )
    .into())
}
