//! Processes in cgroups that are named as systemd, cron, Docker and Podman name theirs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use libtest_mimic::{Completion, Failed, Trial};

use super::{
    child::Report,
    dump::listed,
    requirements::not_tried,
    session::session,
    workshop::{Run, Workshop, text_of},
};

const KIND: &str = "tcp4-connected";

/// Names, cgroup paths and the contexts that they stand for; `{own}` is letters of this run's own,
/// `{id}` sixty-four digits of it.
const PLACES: [(&str, &str, &str); 8] = [
    (
        "a unit",
        "system.slice/egress-{own}.service",
        "unit:egress-{own}.service",
    ),
    (
        "an instance of a template",
        "system.slice/system-egress\\x2d{own}.slice/egress-{own}@blue.service",
        "unit:egress-{own}@.service",
    ),
    ("a job of cron", "system.slice/cron.service", "cron:root"),
    (
        "a session",
        "user.slice/user-0.slice/session-{own}.scope",
        "session:root",
    ),
    (
        "a unit of a user",
        "user.slice/user-0.slice/user@0.service/app.slice/egress-{own}.service",
        "user-unit:root:egress-{own}.service",
    ),
    (
        "a container of docker under systemd",
        "system.slice/docker-{id}.scope",
        "container:docker/{short}",
    ),
    (
        "a container of docker without systemd",
        "docker/{id}",
        "container:docker/{short}",
    ),
    (
        "a container of podman",
        "machine.slice/libpod-{id}.scope",
        "container:podman/{short}",
    ),
];

/// A process that ran in a cgroup.
#[derive(Clone)]
pub(crate) enum Placed {
    Ran(Box<Run>),
    /// It exists already and is not ours.
    Taken,
}

pub(crate) fn run_all(workshop: &Workshop) -> BTreeMap<&'static str, Result<Placed, String>> {
    PLACES
        .iter()
        .enumerate()
        .map(|(number, (name, path, _))| (*name, run_in(workshop, number, &filled(path))))
        .collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    PLACES
        .iter()
        .map(|(name, path, context)| {
            Trial::ignorable_test(format!("{name} is known by its cgroup"), || {
                judge(name, path, context)
            })
        })
        .collect()
}

fn judge(name: &'static str, path: &str, context: &str) -> Result<Completion, Failed> {
    let session = session()?;
    let run = match session.placed.get(name).ok_or("it was not run")?.clone()? {
        Placed::Ran(run) => run,
        Placed::Taken => {
            return not_tried(name, "free_cgroups", "the host has a cgroup of that name");
        }
    };
    let flows = session.dump.flows_of(run.pid);
    let [flow] = flows.as_slice() else {
        return Err(format!("expected one flow, recorded:\n{}", listed(&flows)).into());
    };
    let (context, cgroup) = (filled(context), text_of(format!("/{}", filled(path))));
    if flow.context.as_deref() == Some(&context) && flow.socket_cgroup.as_deref() == Some(&cgroup) {
        return Ok(Completion::Completed);
    }
    Err(format!(
        "expected {context} in {cgroup}, recorded {:?} in {:?}",
        flow.context, flow.socket_cgroup
    )
    .into())
}

/// Letters and digits that no other run on this machine uses at this time.
pub(crate) fn filled(pattern: &str) -> String {
    let pid = std::process::id();
    // Numbers in names of units may be taken for what changes from run to run.
    let own: String = pid
        .to_string()
        .bytes()
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect();
    let id = format!("{pid:064x}").chars().rev().collect::<String>();
    pattern
        .replace("{own}", &own)
        .replace("{short}", &id[..12])
        .replace("{id}", &id)
}

fn run_in(workshop: &Workshop, number: usize, path: &str) -> Result<Placed, String> {
    let Some(cgroup) = Cgroup::make(path)? else {
        return Ok(Placed::Taken);
    };
    let place = cgroup.leaf().to_string_lossy().into_owned();
    let run = workshop.run(
        format!("placed-{number}"),
        &["--part-in-cgroup", &place, KIND],
    )?;
    match run.report {
        Report::Made(_) => Ok(Placed::Ran(Box::new(run))),
        other => Err(format!("it made no flow: {other:?}")),
    }
}

/// A cgroup of our own, and those of its parents that had to be made; removed when dropped.
pub(crate) struct Cgroup {
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// None if it exists already.
    pub(crate) fn make(path: &str) -> Result<Option<Self>, String> {
        let root = cgroup_root()?;
        let leaf = root.join(path);
        if leaf.exists() {
            return Ok(None);
        }
        let mut missing: Vec<&Path> = leaf
            .ancestors()
            .take_while(|ancestor| *ancestor != root && !ancestor.exists())
            .collect();
        missing.reverse();
        let mut cgroup = Self { made: Vec::new() };
        for directory in missing {
            fs::create_dir(directory)
                .map_err(|cause| format!("make cgroup {}: {cause}", directory.display()))?;
            cgroup.made.push(directory.to_owned());
        }
        Ok(Some(cgroup))
    }

    pub(crate) fn leaf(&self) -> &Path {
        self.made.last().map_or(Path::new("/"), PathBuf::as_path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in self.made.iter().rev() {
            // Another run may have put its own below the same parent.
            fs::remove_dir(directory).ok();
        }
    }
}

/// Where cgroup v2 is mounted: not always at `/sys/fs/cgroup`.
fn cgroup_root() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|cause| cause.to_string())?;
    mounts
        .lines()
        .find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let is_unified = after.split(' ').next() == Some("cgroup2");
            is_unified.then(|| before.split(' ').nth(4).map(PathBuf::from))?
        })
        .ok_or_else(|| "cgroup v2 is not mounted".to_owned())
}
