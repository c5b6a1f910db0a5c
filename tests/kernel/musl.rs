//! A static program of another C library than that of the tests.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{beside::Untried, workshop::Workshop};

const SOURCE: &str = include_str!("resolve.c");

/// Where the emulated machine, which has no compiler, finds it built.
const BUILT: &str = "/tests/resolve";

/// The resolver client, built with musl's compiler.
pub(crate) fn client(workshop: &Workshop) -> Result<PathBuf, Untried> {
    if Path::new(BUILT).exists() {
        return Ok(PathBuf::from(BUILT));
    }
    let source = workshop.path().join("resolve.c");
    std::fs::write(&source, SOURCE)?;
    let program = workshop.path().join("resolve");
    let built = Command::new("musl-gcc")
        .args(["-static", "-Wall", "-Werror", "-O1", "-o"])
        .arg(&program)
        .arg(&source)
        .output();
    match built {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Untried::Broken(format!("musl-gcc: {said}")))
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(Untried::Lacking("there is no musl-gcc".to_owned()))
        }
        Err(cause) => Err(cause.into()),
    }
}
