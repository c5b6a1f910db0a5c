//! Processes whose executable is not plainly a file of the host: how each is started.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::workshop::{Run, Workshop, run_to_end, text_of};

/// The flow that they all make.
const KIND: &str = "udp4-sendto";

/// What is not a file name to anyone who prints it: a line break, an escape sequence, no UTF-8, and
/// what looks like the store's own way of writing such bytes.
const HOSTILE: &[u8] = b"two\nlines\x1b[31m\xff\\xff\"'";

/// What must be known of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) is_deleted: bool,
    pub(crate) is_memfd: bool,
    pub(crate) is_foreign: bool,
    pub(crate) is_truncated: bool,
}

const PLAIN: Facts = Facts {
    is_deleted: false,
    is_memfd: false,
    is_foreign: false,
    is_truncated: false,
};

/// A process that was run, with what must be known of it.
pub(crate) struct Scene {
    pub(crate) run: Run,
    pub(crate) path: String,
    /// Whether `path` is only the end of the path.
    pub(crate) is_end_only: bool,
    pub(crate) facts: Facts,
    pub(crate) argv: Vec<String>,
}

pub(crate) type Stage = fn(&Workshop) -> Result<Scene, String>;

pub(crate) const STAGES: [(&str, Stage); 12] = [
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

/// The user that one of them becomes.
pub(crate) const OTHER_USER: u32 = 65_534;

pub(crate) fn run_all(workshop: &Workshop) -> BTreeMap<&'static str, Result<Scene, String>> {
    STAGES
        .iter()
        .map(|(name, stage)| (*name, stage(workshop)))
        .collect()
}

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
