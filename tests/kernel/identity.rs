//! Processes whose executable is not plainly a file of the host: what must be known of each.

use egress_baseline::model::{Executable, Ownership, Process};
use libtest_mimic::{Failed, Trial};

use super::{
    child::Report,
    dump::{Flow, listed},
    scenes::{Facts, OTHER_USER, STAGES, Scene},
    session::session,
    workshop::text_of,
};

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
    provenance_agrees(scene, &flow)?;
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

/// What is known of the file must not be what the host has under its path.
fn provenance_agrees(scene: &Scene, flow: &Flow) -> Result<(), Failed> {
    let file = flow
        .process_id
        .and_then(|id| session().ok()?.dump.executables.get(&id));
    let Some(file) = file else {
        // A path without its beginning leads nowhere.
        return match scene.facts.is_truncated {
            true => Ok(()),
            false => Err("its file was not examined".into()),
        };
    };
    let expected: &[Ownership] = match scene.facts {
        Facts {
            is_deleted: true, ..
        }
        | Facts { is_memfd: true, .. } => &[Ownership::NoName],
        Facts {
            is_foreign: true, ..
        } => &[Ownership::OtherNamespace],
        // An emulated machine has no packages.
        _ => &[Ownership::Unowned, Ownership::NoDatabase],
    };
    if expected.contains(&file.ownership) && file.package.is_none() {
        return Ok(());
    }
    Err(format!("expected {expected:?}, recorded {file:?}").into())
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
