//! Protocols that are modules: loaded while observing, or there before.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use egress_baseline::{
    canary::{Group, Kind, kinds},
    model::LossCause,
};
use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;

use super::{
    child::Report,
    dump::{Dump, listed},
    observer::Observer,
    requirements::not_tried,
    session::{backend_asked_for, session},
    workshop::Workshop,
};

/// What each trial of a kind of these groups proves depends on when its module was loaded.
const GROUPS: [Group; 3] = [Group::Sctp, Group::Dccp, Group::L2tp];

/// The modules that hooks are put into.
const HOOKED: [&str; 5] = ["sctp", "dccp_ipv4", "dccp_ipv6", "l2tp_ip", "l2tp_ip6"];

/// Loads the modules that `EGRESS_TEST_LATE_MODULES`, a directory with a list named `late`, has kept
/// back until now; those that are there already stay as they are. Returns what was loaded.
pub(crate) fn load_late() -> Result<Vec<String>, String> {
    let Some(directory) = env::var_os("EGRESS_TEST_LATE_MODULES").map(PathBuf::from) else {
        return Ok(Vec::new());
    };
    let list = fs::read_to_string(directory.join("late")).map_err(|cause| cause.to_string())?;
    let mut loaded = Vec::new();
    for file in list.lines() {
        let name = file.trim_end_matches(".ko").replace('-', "_");
        if Path::new("/sys/module").join(&name).exists() {
            continue;
        }
        let output = Command::new("insmod")
            .arg(directory.join(file))
            .output()
            .map_err(|cause| format!("start insmod: {cause}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("insmod {file}: {said}"));
        }
        loaded.push(name);
    }
    Ok(loaded)
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::ignorable_test(
            "a protocol that is loaded while observing is noticed, and the moment is told",
            late_protocols_are_told,
        ),
        Trial::ignorable_test(
            "a protocol that was there before is seen from the beginning",
            early_protocols_are_seen,
        ),
    ]
}

/// That they are seen is what the trials of their kinds say.
fn late_protocols_are_told() -> Result<Completion, Failed> {
    let session = session()?;
    let hooked: Vec<&String> = session
        .late_modules
        .iter()
        .filter(|name| HOOKED.contains(&name.as_str()))
        .collect();
    if session.observed.backend == "cgroup" {
        // Its hooks are on sockets, whatever their protocol.
        return Ok(Completion::ignored_with("no hooks in modules"));
    }
    if hooked.is_empty() {
        return not_tried("late protocols", "late_modules", "none was kept back");
    }
    let told = session.dump.lost(LossCause::HookLate);
    // More, if one had to be tried again.
    if told >= hooked.len() as u64 {
        return Ok(Completion::Completed);
    }
    Err(format!("{hooked:?} were loaded, and {told} moments are told").into())
}

/// One kind of each protocol.
fn samples() -> Vec<&'static Kind> {
    GROUPS
        .into_iter()
        .filter_map(|group| kinds().iter().find(|kind| kind.group == group))
        .collect()
}

fn early_protocols_are_seen() -> Result<Completion, Failed> {
    // Whatever was kept back is loaded by now.
    session()?;
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    let mut runs = Vec::new();
    for kind in samples() {
        let run = workshop.run(format!("early-{}", kind.name), &["--part-make", kind.name])?;
        runs.push((kind, run));
    }
    let ended = observer.stop_with(Signal::INT)?;
    if !ended.status.success() {
        return Err(format!("the observer ended with {}: {}", ended.status, ended.said).into());
    }
    let dump = Dump::read(&database)?;
    for (kind, run) in &runs {
        match &run.report {
            Report::Made(_) => {}
            Report::Lacking(what) => {
                let trial = format!("early {}", kind.name);
                let ignored = not_tried(&trial, kind.group.word(), what)?;
                if runs.len() == 1 {
                    return Ok(ignored);
                }
                continue;
            }
            other => return Err(format!("{} could not be made: {other:?}", kind.name).into()),
        }
        let flows = dump.flows_of(run.pid);
        let expected = kind.expected().ok_or("it expects nothing")?;
        let is_right = matches!(flows.as_slice(), [flow]
            if flow.dst_ip == expected.address && flow.state == expected.outcome.word());
        if !is_right {
            return Err(format!("{}: recorded:\n{}", kind.name, listed(&flows)).into());
        }
    }
    match dump.lost(LossCause::HookLate) {
        0 => Ok(Completion::Completed),
        late => Err(format!("{late} protocols are said to have been loaded meanwhile").into()),
    }
}
