//! Scripts, started in each way that there is: what an interpreter runs is part of the application.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use egress_baseline::{
    canary::PEER_ADDRESS4,
    model::{Ownership, PackageCheck},
};
use libtest_mimic::{Completion, Failed, Trial};

use super::{
    dump::{Dump, Flow, listed},
    requirements::not_tried,
    session::session,
    workshop::{Workshop, text_of},
};

/// What must be required for this to be required.
pub(crate) const FEATURE: &str = "bash";

/// Names of the starts; how the script begins; the command in the directory of the script.
const STARTS: [(&str, &str, &[&str]); 5] = [
    ("by its first line", "#!{bash}", &["./push.sh"]),
    ("by env", "#!/usr/bin/env -S bash -e", &["./push.sh"]),
    ("as an argument", "", &["{bash}", "-u", "./push.sh"]),
    (
        "from another directory",
        "",
        &["{bash}", "../by its first line/push.sh"],
    ),
    ("as a text", "", &["{bash}", "-c", "TOKEN=hunter2; {send}"]),
];

/// A script that was run: its process, and what is to be recorded as the script.
pub(crate) type Started = Result<Option<(u32, String)>, String>;

pub(crate) fn run_all(workshop: &Workshop) -> BTreeMap<&'static str, Started> {
    STARTS
        .iter()
        .map(|start| (start.0, run(workshop, start)))
        .collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    STARTS
        .iter()
        .map(|(name, ..)| {
            Trial::ignorable_test(format!("a script that is started {name} is known"), || {
                judge(name)
            })
        })
        .collect()
}

/// None where there is no such interpreter.
fn run(workshop: &Workshop, (name, first, command): &(&str, &str, &[&str])) -> Started {
    let Some(bash) = ["/usr/bin/bash", "/bin/bash"]
        .iter()
        .find(|bash| Path::new(bash).exists())
    else {
        return Ok(None);
    };
    let send = format!("echo x >/dev/udp/{PEER_ADDRESS4}/9");
    let filled = |text: &str| text.replace("{bash}", bash).replace("{send}", &send);
    let folder = workshop.folder(name).map_err(|cause| cause.to_string())?;
    let script = folder.join("push.sh");
    fs::write(&script, format!("{}\n{send}\n", filled(first)))
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
        .map_err(|cause| format!("write {}: {cause}", script.display()))?;
    let words: Vec<String> = command.iter().map(|word| filled(word)).collect();
    let mut child = workshop
        .command(Path::new(&words[0]))
        .and_then(|mut command| command.args(&words[1..]).current_dir(&folder).spawn())
        .map_err(|cause| format!("start {words:?}: {cause}"))?;
    let pid = child.id();
    let status = child.wait().map_err(|cause| cause.to_string())?;
    if !status.success() {
        return Err(format!("{words:?} ended with {status}"));
    }
    let expected = match words.as_slice() {
        [_, option, _] if option == "-c" => format!("-c TOKEN=[redacted]; {send}"),
        _ => text_of(
            fs::canonicalize(whereabouts(&folder, &words)).map_err(|cause| cause.to_string())?,
        ),
    };
    Ok(Some((pid, expected)))
}

/// The script is the last word of the command.
fn whereabouts(folder: &Path, words: &[String]) -> PathBuf {
    folder.join(words.last().map_or("", String::as_str))
}

fn judge(name: &'static str) -> Result<Completion, Failed> {
    let session = session()?;
    let Some((pid, script)) = session.scripts.get(name).ok_or("it was not run")?.clone()? else {
        return not_tried(name, FEATURE, "there is no bash");
    };
    let flows = session.dump.flows_of(pid);
    let [flow] = flows.as_slice() else {
        return Err(format!("expected one flow, recorded:\n{}", listed(&flows)).into());
    };
    if flow.script.as_ref() != Some(&script) {
        return Err(format!("expected {script}, recorded {:?}", flow.script).into());
    }
    provenance_is_known(&session.dump, flow, &script)?;
    Ok(Completion::Completed)
}

/// The interpreter is a package's where there are packages, and the script is nobody's.
fn provenance_is_known(dump: &Dump, flow: &Flow, script: &str) -> Result<(), Failed> {
    let process = flow.process_id.ok_or("no process was recorded")?;
    let bash = dump.executables.get(&process).ok_or("bash has no file")?;
    let has_packages = Path::new("/var/lib/dpkg/status").exists();
    let check = bash.package.as_ref().map(|package| package.check);
    let is_known = match has_packages {
        true => check == Some(PackageCheck::Matches),
        false => bash.ownership == Ownership::NoDatabase,
    };
    if !is_known || bash.sha256.is_none() {
        return Err(format!("of the interpreter is known {bash:?}").into());
    }
    let of_script = dump.scripts.get(&process);
    if !script.starts_with('/') {
        return match of_script {
            None => Ok(()),
            Some(file) => Err(format!("a text is no file: {file:?}").into()),
        };
    }
    let file = of_script.ok_or("the script has no file")?;
    let found = file.resolved_path.as_ref().unwrap_or(&file.path);
    if found == script && file.package.is_none() && file.sha256.is_some() {
        return Ok(());
    }
    Err(format!("expected {script}, recorded {file:?}").into())
}
