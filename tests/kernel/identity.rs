//! Processes whose executable is not plainly a file of the host.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use egress_baseline::model::{Executable, Process};
use libtest_mimic::{Failed, Trial};

use super::{
    child::Report,
    dump::{Flow, listed},
    session::session,
    workshop::{Run, Workshop, run_to_end, text_of},
};

/// The flow that they all make.
const KIND: &str = "udp4-sendto";

/// What is not a file name to anyone who prints it: a line break, an escape sequence, no UTF-8, and
/// what looks like the store's own way of writing such bytes.
const HOSTILE: &[u8] = b"two\nlines\x1b[31m\xff\\xff\"'";

/// What must be known of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    is_deleted: bool,
    is_memfd: bool,
    is_foreign: bool,
    is_truncated: bool,
}

const PLAIN: Facts = Facts {
    is_deleted: false,
    is_memfd: false,
    is_foreign: false,
    is_truncated: false,
};

/// A process that was run, with what must be known of it.
pub(crate) struct Scene {
    run: Run,
    path: String,
    /// Whether `path` is only the end of the path.
    is_end_only: bool,
    facts: Facts,
    argv: Vec<String>,
}

type Stage = fn(&Workshop) -> Result<Scene, String>;

const STAGES: [(&str, Stage); 12] = [
    ("a program in memory", in_memory),
    ("a deleted program", deleted),
    ("a program with a hostile name", hostile_name),
    ("a path of 3.6 kilobytes", long_path),
    ("a path of more than four kilobytes", over_long_path),
    (
        "a program of the host in another mount namespace",
        same_file,
    ),
    ("a program in a chroot", in_chroot),
    ("a program under another root", under_other_root),
    ("a program on an overlay", on_overlay),
    ("a program mounted over another", mounted_over),
    ("arguments longer than are read", long_arguments),
    ("a process that changes its user", changing_user),
];

pub(crate) fn run_all(workshop: &Workshop) -> BTreeMap<&'static str, Result<Scene, String>> {
    STAGES
        .iter()
        .map(|(name, stage)| (*name, stage(workshop)))
        .collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    STAGES
        .iter()
        .map(|(name, _)| Trial::test(format!("{name} is recognised"), || judge(name)))
        .chain([
            Trial::test(
                "a change of user shows as a flow of its own",
                users_are_told_apart,
            ),
            Trial::test(
                "the working directory is recorded",
                working_directory_is_recorded,
            ),
        ])
        .collect()
}

fn judge(name: &'static str) -> Result<(), Failed> {
    let (scene, flow, process) = recorded(name)?;
    let exe = process.exe.as_ref().ok_or("no executable was recorded")?;
    let path = match scene.facts.is_foreign {
        true => format!("foreign:{}", scene.path),
        false => scene.path.clone(),
    };
    let is_named = |found: &str| match scene.is_end_only {
        true => found.ends_with(&scene.path),
        false => found == path || found == scene.path,
    };
    if !is_named(&exe.path) || facts_of(exe) != scene.facts {
        return Err(format!(
            "expected {path} {:?}\nrecorded {} {:?}",
            scene.facts,
            exe.path,
            facts_of(exe)
        )
        .into());
    }
    if flow.exe_is_foreign != scene.facts.is_foreign {
        return Err(format!("the flow says foreign: {}", flow.exe_is_foreign).into());
    }
    let argv = process.argv.clone().unwrap_or_default();
    let is_same = match process.argv_truncated {
        true => scene.argv.concat().starts_with(argv.concat().as_str()),
        false => argv == scene.argv,
    };
    if !is_same {
        return Err(format!("expected arguments {:?}\nrecorded {argv:?}", scene.argv).into());
    }
    Ok(())
}

fn facts_of(exe: &Executable) -> Facts {
    Facts {
        is_deleted: exe.is_deleted,
        is_memfd: exe.is_memfd,
        is_foreign: exe.is_foreign,
        is_truncated: exe.is_truncated,
    }
}

fn recorded(name: &'static str) -> Result<(&'static Scene, Flow, &'static Process), String> {
    let session = session()?;
    let scene = session
        .scenes
        .get(name)
        .ok_or("it was not run")?
        .as_ref()
        .map_err(String::clone)?;
    if !matches!(scene.run.report, Report::Made(_)) {
        return Err(format!("it made no flow: {:?}", scene.run.report));
    }
    let flows = session.dump.flows_of(scene.run.pid);
    let flow = flows
        .first()
        .ok_or_else(|| format!("nothing was recorded of pid {}", scene.run.pid))?
        .clone();
    let process = session.dump.process_of(&flow)?;
    Ok((scene, flow, process))
}

fn users_are_told_apart() -> Result<(), Failed> {
    let session = session()?;
    let (scene, ..) = recorded("a process that changes its user")?;
    let flows = session.dump.flows_of(scene.run.pid);
    let mut users: Vec<Option<u32>> = flows.iter().map(|flow| flow.uid).collect();
    users.sort_unstable();
    if users == [Some(0), Some(OTHER_USER)] {
        return Ok(());
    }
    Err(format!("expected users 0 and {OTHER_USER}:\n{}", listed(&flows)).into())
}

fn working_directory_is_recorded() -> Result<(), Failed> {
    let (scene, _, process) = recorded("a program with a hostile name")?;
    let expected = scene.run.exe.parent().map(text_of);
    if process.working_directory == expected {
        return Ok(());
    }
    Err(format!(
        "expected {expected:?}, recorded {:?}",
        process.working_directory
    )
    .into())
}

const OTHER_USER: u32 = 65_534;

/// Runs `exe` with `arguments`, which becomes another program in the end: `path` with `argv`.
fn become_another(
    workshop: &Workshop,
    exe: &Path,
    arguments: &[&OsStr],
    path: impl AsRef<OsStr>,
    argv: Vec<String>,
) -> Result<Scene, String> {
    let mut command = workshop.command(exe).map_err(|cause| cause.to_string())?;
    command.args(arguments);
    if let Some(directory) = exe.parent() {
        command.current_dir(directory);
    }
    Ok(Scene {
        run: run_to_end(exe, &mut command)?,
        path: text_of(path),
        is_end_only: false,
        facts: PLAIN,
        argv,
    })
}

fn link(workshop: &Workshop, name: impl AsRef<Path>) -> Result<PathBuf, String> {
    workshop.link(name).map_err(|cause| cause.to_string())
}

fn folder(workshop: &Workshop, name: &str) -> Result<PathBuf, String> {
    workshop.folder(name).map_err(|cause| cause.to_string())
}

/// The arguments of a program that was started as `name` to make the flow.
fn making(name: impl AsRef<OsStr>) -> Vec<String> {
    vec![text_of(name), "--part-make".to_owned(), KIND.to_owned()]
}

/// Runs this binary as `exe`, to stay what it is.
fn stay(workshop: &Workshop, exe: &Path, arguments: &[&OsStr]) -> Result<Scene, String> {
    let argv = std::iter::once(exe.as_os_str())
        .chain(arguments.iter().copied())
        .map(text_of)
        .collect();
    become_another(workshop, exe, arguments, exe, argv)
}

fn in_memory(workshop: &Workshop) -> Result<Scene, String> {
    let exe = link(workshop, "memory")?;
    let arguments = ["--part-memfd", KIND].map(OsStr::new);
    let scene = become_another(
        workshop,
        &exe,
        &arguments,
        "/memfd:evil",
        making("kworker/0:0"),
    )?;
    Ok(Scene {
        facts: Facts {
            is_deleted: true,
            is_memfd: true,
            ..PLAIN
        },
        ..scene
    })
}

fn deleted(workshop: &Workshop) -> Result<Scene, String> {
    let exe = link(workshop, "deleted")?;
    let scene = stay(workshop, &exe, &["--part-deleted", KIND].map(OsStr::new))?;
    Ok(Scene {
        facts: Facts {
            is_deleted: true,
            ..PLAIN
        },
        ..scene
    })
}

fn hostile_name(workshop: &Workshop) -> Result<Scene, String> {
    folder(workshop, "hostile")?;
    let exe = link(
        workshop,
        Path::new("hostile").join(OsStr::from_bytes(HOSTILE)),
    )?;
    let words = ["--part-make", KIND].map(OsStr::new);
    stay(
        workshop,
        &exe,
        &[words[0], words[1], OsStr::from_bytes(HOSTILE)],
    )
}

fn deep(workshop: &Workshop, name: &str, levels: usize, length: usize) -> Result<Scene, String> {
    let directory = folder(workshop, name)?;
    let exe = link(workshop, Path::new(name).join("start"))?;
    let numbers = [levels.to_string(), length.to_string()];
    let arguments = ["--part-deep", &numbers[0], &numbers[1], KIND].map(OsStr::new);
    let mut path = directory;
    for _ in 0..levels {
        path.push("d".repeat(length));
    }
    path.push("app");
    become_another(workshop, &exe, &arguments, path, making("./app"))
}

fn long_path(workshop: &Workshop) -> Result<Scene, String> {
    deep(workshop, "long", 17, 200)
}

fn over_long_path(workshop: &Workshop) -> Result<Scene, String> {
    let scene = deep(workshop, "over-long", 30, 250)?;
    // What must be there is the end: the leaf and as many directories as fill half of what is read.
    let end = scene.path[scene.path.len() - 2_000..].to_owned();
    Ok(Scene {
        path: end,
        is_end_only: true,
        facts: Facts {
            is_truncated: true,
            ..PLAIN
        },
        ..scene
    })
}

/// Runs a scene in a mount namespace of its own; the program there is `path`.
fn in_mount_namespace(
    workshop: &Workshop,
    words: &[&OsStr],
    path: impl AsRef<OsStr>,
    facts: Facts,
) -> Result<Scene, String> {
    let exe = link(workshop, format!("scene-{}", text_of(words[0])))?;
    let mut arguments: Vec<OsString> = ["--mount", "--"].map(OsString::from).to_vec();
    arguments.push(exe.into());
    arguments.push("--part-scene".into());
    arguments.extend(words.iter().map(|word| (*word).to_owned()));
    arguments.push(KIND.into());
    let argv = making(&path);
    let mut command = workshop
        .command(Path::new("unshare"))
        .map_err(|cause| cause.to_string())?;
    command.args(&arguments);
    Ok(Scene {
        run: run_to_end(Path::new("unshare"), &mut command)?,
        path: text_of(path),
        is_end_only: false,
        facts,
        argv,
    })
}

const FOREIGN: Facts = Facts {
    is_foreign: true,
    ..PLAIN
};

fn same_file(workshop: &Workshop) -> Result<Scene, String> {
    let exe = link(workshop, "the-same")?;
    let words = ["same", "-"].map(OsStr::new);
    in_mount_namespace(
        workshop,
        &[words[0], words[1], exe.as_os_str()],
        &exe,
        PLAIN,
    )
}

fn in_chroot(workshop: &Workshop) -> Result<Scene, String> {
    let jail = folder(workshop, "jail")?;
    folder(workshop, "jail/bin")?;
    let exe = link(workshop, "jail/bin/app")?;
    let mut scene = in_mount_namespace(
        workshop,
        &[OsStr::new("chroot"), jail.as_os_str()],
        &exe,
        PLAIN,
    )?;
    scene.argv = making("/bin/app");
    Ok(scene)
}

fn under_other_root(workshop: &Workshop) -> Result<Scene, String> {
    let root = folder(workshop, "root")?;
    in_mount_namespace(
        workshop,
        &[OsStr::new("pivot-root"), root.as_os_str()],
        "/sbin/app",
        FOREIGN,
    )
}

fn on_overlay(workshop: &Workshop) -> Result<Scene, String> {
    let directory = folder(workshop, "layers")?;
    in_mount_namespace(
        workshop,
        &[OsStr::new("overlay"), directory.as_os_str()],
        directory.join("merged/app"),
        FOREIGN,
    )
}

fn mounted_over(workshop: &Workshop) -> Result<Scene, String> {
    let victim = workshop.path().join("victim");
    fs::write(&victim, "what the host has here").map_err(|cause| cause.to_string())?;
    in_mount_namespace(
        workshop,
        &[OsStr::new("bind-over"), victim.as_os_str()],
        &victim,
        FOREIGN,
    )
}

fn long_arguments(workshop: &Workshop) -> Result<Scene, String> {
    let exe = link(workshop, "talkative")?;
    let long = "word".repeat(4_096);
    stay(
        workshop,
        &exe,
        &["--part-make", KIND, &long].map(OsStr::new),
    )
}

fn changing_user(workshop: &Workshop) -> Result<Scene, String> {
    let exe = link(workshop, "changing-user")?;
    let user = OTHER_USER.to_string();
    stay(
        workshop,
        &exe,
        &["--part-as-user", &user, KIND].map(OsStr::new),
    )
}
