//! Hosts whose cgroups are not all of version 2.
//!
//! Mounts of the whole machine decide it, so only the emulated one has these: `EGRESS_TEST_LAYOUT`
//! says how it has mounted them, `v1` or `hybrid`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;

use super::{
    contexts::Cgroup,
    dump::{Dump, Flow, listed},
    observer::{Observer, observe_command},
    told::trial,
    workshop::Workshop,
};

const KIND: &str = "udp4-sendto";

/// A unit's place in a hierarchy of version 1.
const OLD_UNIT: &str = "/sys/fs/cgroup/systemd/system.slice/egress-old.service";

pub(crate) fn trials() -> Vec<Trial> {
    match env::var("EGRESS_TEST_LAYOUT").as_deref() {
        Ok("v1") => vec![
            trial(
                "without cgroups of version 2, kprobes record, and no context is guessed",
                kprobes_without_version_2,
            ),
            trial(
                "without cgroups of version 2, the cgroup backend says what to mount",
                refusal_without_version_2,
            ),
        ],
        Ok("hybrid") => vec![
            trial("beside version 1, kprobes know units by version 2", || {
                beside_version_1("kprobe")
            }),
            trial("beside version 1, the cgroup backend works", || {
                beside_version_1("cgroup")
            }),
        ],
        _ => Vec::new(),
    }
}

/// The one flow of a process that was put into the cgroup at `place`.
fn flow_in(backend: &str, place: &Path) -> Result<Flow, String> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", backend])?;
    let words = ["--part-in-cgroup", &place.to_string_lossy(), KIND];
    let run = workshop.run("placed", &words)?;
    observer.stop_with(Signal::INT)?;
    let flows = Dump::read(&database)?.flows_of(run.pid);
    match flows.as_slice() {
        [flow] => Ok(flow.clone()),
        _ => Err(format!(
            "expected one flow ({:?}), recorded:\n{}",
            run.report,
            listed(&flows)
        )),
    }
}

/// A directory that is removed again.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).ok();
    }
}

fn kprobes_without_version_2() -> Result<(), Failed> {
    fs::create_dir_all(OLD_UNIT)?;
    let unit = Removed(OLD_UNIT.into());
    let flow = flow_in("kprobe", &unit.0)?;
    if flow.context.as_deref() == Some("none") {
        return Ok(());
    }
    Err(format!("expected no context, recorded {:?}", flow.context).into())
}

fn refusal_without_version_2() -> Result<(), Failed> {
    let workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let output = observe_command(&database, &["--backend", "cgroup", "--for", "1s"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_told = ["cgroup v2 is not mounted", "mount -t cgroup2", "hint:"]
        .iter()
        .all(|words| said.contains(words));
    if output.status.code() == Some(2) && is_told {
        return Ok(());
    }
    Err(format!("it ended with {}: {said}", output.status).into())
}

fn beside_version_1(backend: &str) -> Result<(), Failed> {
    let cgroup =
        Cgroup::make("system.slice/egress-both.service")?.ok_or("the cgroup exists already")?;
    let flow = flow_in(backend, cgroup.leaf())?;
    if flow.context.as_deref() == Some("unit:egress-both.service") {
        return Ok(());
    }
    Err(format!("expected the unit, recorded {:?}", flow.context).into())
}
