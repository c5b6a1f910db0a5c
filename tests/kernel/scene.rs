//! Mount namespaces in which a path is not what it seems. Each scene runs in a mount namespace
//! that was made for it (`unshare --mount`) and vanishes with it.

use std::{
    env, fs, io,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    mount::{
        MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    },
    process::{chroot, pivot_root},
};

use super::child::Report;

/// What a dynamically linked program needs of the file system, and the proof needs of `/proc`.
const NEEDED: [&str; 5] = ["lib", "lib32", "lib64", "usr", "proc"];

/// Sets the scene and becomes the program in it.
pub(crate) fn play(words: &[&str]) -> Report {
    // Nothing that is mounted from here on reaches the host.
    if let Err(errno) = mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    ) {
        return Report::Broken(format!("make mounts private: {errno}"));
    }
    let set = match words {
        ["same", _, exe, ..] => Ok(PathBuf::from(exe)),
        ["chroot", directory, ..] => jail(Path::new(directory)),
        ["pivot-root", directory, ..] => other_root(Path::new(directory)),
        ["overlay", directory, ..] => overlay(Path::new(directory)),
        ["bind-over", target, ..] => bind_over(Path::new(target)),
        other => Err(io::Error::other(format!("there is no scene {other:?}"))),
    };
    let Some(kind) = words.last() else {
        return Report::broken("a scene needs a kind");
    };
    match set {
        Ok(exe) => Report::Broken(format!(
            "become {}: {}",
            exe.display(),
            Command::new(&exe).args(["--part-make", kind]).exec()
        )),
        Err(cause) => Report::Broken(format!("set the scene {words:?}: {cause}")),
    }
}

fn furnish(root: &Path) -> io::Result<()> {
    for name in NEEDED {
        let (host, inside) = (Path::new("/").join(name), root.join(name));
        match fs::symlink_metadata(&host) {
            Ok(metadata) if metadata.is_symlink() => symlink(fs::read_link(&host)?, &inside)?,
            Ok(_) => {
                fs::create_dir_all(&inside)?;
                mount_bind_recursive(&host, &inside)?;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn memory_file_system(target: &Path) -> io::Result<()> {
    Ok(mount("none", target, "tmpfs", MountFlags::empty(), None)?)
}

/// The host's file `DIRECTORY/bin/app`, seen as `/bin/app`.
fn jail(directory: &Path) -> io::Result<PathBuf> {
    furnish(directory)?;
    chroot(directory)?;
    env::set_current_dir("/")?;
    Ok("/bin/app".into())
}

/// A file that no path of the host leads to, at a path that looks like the host's.
fn other_root(directory: &Path) -> io::Result<PathBuf> {
    let own = fs::read("/proc/self/exe")?;
    memory_file_system(directory)?;
    furnish(directory)?;
    fs::create_dir_all(directory.join("sbin"))?;
    write_program(&directory.join("sbin/app"), &own)?;
    fs::create_dir_all(directory.join("old"))?;
    env::set_current_dir(directory)?;
    pivot_root(".", "old")?;
    env::set_current_dir("/")?;
    Ok("/sbin/app".into())
}

fn overlay(directory: &Path) -> io::Result<PathBuf> {
    let own = fs::read("/proc/self/exe")?;
    memory_file_system(directory)?;
    let [lower, upper, work, merged] =
        ["lower", "upper", "work", "merged"].map(|name| directory.join(name));
    for layer in [&lower, &upper, &work, &merged] {
        fs::create_dir(layer)?;
    }
    write_program(&lower.join("app"), &own)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let options = std::ffi::CString::new(options)?;
    mount(
        "none",
        &merged,
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )?;
    Ok(merged.join("app"))
}

/// This program at the path of another, which it is not.
fn bind_over(target: &Path) -> io::Result<PathBuf> {
    mount_bind(env::current_exe()?, target)?;
    Ok(target.to_owned())
}

fn write_program(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path)?
        .write_all(content)
}
