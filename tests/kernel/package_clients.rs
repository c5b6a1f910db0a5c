//! Programs that fetch something from the registries that they are configured with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use libtest_mimic::Failed;

use super::dump::{Dump, Flow};

/// What is known of a program that fetches, before it is run.
struct Kind {
    /// Its command, and the folder that it is started in, by which its flows are known.
    name: &'static str,
    arguments: &'static [&'static str],
    /// What keeps it to its folder.
    confine: fn(&Path, &mut Command),
    /// Whether a flow of it is known as its own.
    is_itself: fn(&Flow) -> bool,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "apt-get",
        arguments: &["-q", "-o", "APT::Update::Error-Mode=any"],
        confine: |folder, command| {
            let lists = folder.join("lists");
            let option = format!("Dir::State::Lists={}", lists.display());
            command.args(["-o", &option, "update"]);
        },
        // It gives its privileges up to fetch.
        is_itself: |flow| {
            flow.uid.is_some()
                && flow.uid == uid_of("_apt")
                && has(&flow.exe, |exe| exe.starts_with("/usr/lib/apt/methods/"))
        },
    },
    Kind {
        name: "cargo",
        arguments: &["fetch"],
        confine: |folder, command| {
            let home = folder.join("home");
            if let Some(configuration) = cargo_configuration() {
                fs::copy(configuration, home.join("config.toml")).ok();
            }
            command.env("CARGO_HOME", home);
        },
        is_itself: |flow| has(&flow.exe, |exe| exe.ends_with("/cargo")),
    },
    Kind {
        name: "pip",
        arguments: &[
            "-q",
            "--no-cache-dir",
            "download",
            "--no-deps",
            "--disable-pip-version-check",
            "six",
            "-d",
            "home",
        ],
        confine: |_, _| {},
        is_itself: |flow| has(&flow.script, |script| script.ends_with("pip")),
    },
    Kind {
        name: "npm",
        arguments: &["view", "left-pad", "version", "--cache", "home"],
        confine: |_, _| {},
        is_itself: |flow| has(&flow.script, |script| script.ends_with("npm")),
    },
];

/// A program that fetches something from a registry. Not every machine has each; where one fails, its
/// attempts are compared all the same.
pub(crate) struct Client {
    kind: &'static Kind,
    is_whole: bool,
    folder: PathBuf,
}

pub(crate) fn clients(place: &Path) -> Vec<Client> {
    KINDS
        .iter()
        .map(|kind| Client {
            kind,
            is_whole: false,
            folder: place.join(kind.name),
        })
        .collect()
}

impl Client {
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Whether it fetched what it was to fetch.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether a flow that it made is known as its own, by user, program or script.
    pub(crate) fn is_known_by(&self, flow: &Flow) -> bool {
        (self.kind.is_itself)(flow)
    }

    /// Everything that it keeps goes into its folder, so that there is something to fetch and the host stays
    /// as it is.
    pub(crate) fn run(&mut self) -> Result<(), Failed> {
        for folder in ["lists/partial", "src", "home"] {
            fs::create_dir_all(self.folder.join(folder))
                .map_err(|cause| format!("make a folder: {cause}"))?;
        }
        let files = [("src/main.rs", "fn main() {}\n"), ("Cargo.toml", MANIFEST)];
        for (file, text) in files {
            fs::write(self.folder.join(file), text)
                .map_err(|cause| format!("write a file: {cause}"))?;
        }
        let mut command = Command::new(self.kind.name);
        command
            .args(self.kind.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        (self.kind.confine)(&self.folder, &mut command);
        self.is_whole = command.status().is_ok_and(|status| status.success());
        Ok(())
    }

    /// Whether it or something that it started made a connection.
    pub(crate) fn made(&self, dump: &Dump, flow: &Flow) -> bool {
        let process = flow.process_id.and_then(|id| dump.processes.get(&id));
        let folder = process.and_then(|process| process.working_directory.as_deref());
        flow.proto == "tcp" && folder.is_some_and(|folder| Path::new(folder) == self.folder)
    }
}

/// A package without dependencies, so that one index entry and one archive are fetched.
const MANIFEST: &str = "\
[package]
name = \"probe\"
version = \"0.1.0\"
edition = \"2021\"

[dependencies]
itoa = \"1\"
";

/// Where the registry is told that this machine uses.
fn cargo_configuration() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let file = home.join("config.toml");
    file.exists().then_some(file)
}

fn has(text: &Option<String>, holds: impl FnOnce(&str) -> bool) -> bool {
    text.as_deref().is_some_and(holds)
}

fn uid_of(name: &str) -> Option<u32> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")))?;
    line.split(':').nth(2)?.parse().ok()
}
