//! The guest: its units, its log, its processes.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

pub(crate) const SERVICE: &str = "egress-baseline.service";
pub(crate) const SELF_CHECK: &str = "egress-baseline-self-check.service";
pub(crate) const CONFIG: &str = "/etc/egress-baseline/config.toml";

/// An emulated machine is slow, and may share its processors with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Refuses every machine but the guest: one with nothing but its own cable.
pub(crate) fn demand_guest() -> Result<(), String> {
    if fs::read_to_string("/etc/hostname").is_ok_and(|name| name.trim() != "guest") {
        return Err("this is not the guest".to_owned());
    }
    for entry in fs::read_dir("/sys/class/net").map_err(|cause| cause.to_string())? {
        let name = entry.map_err(|cause| cause.to_string())?.file_name();
        if name != "lo" && name != "lab0" {
            return Err(format!("{} may lead out of the machine", name.display()));
        }
    }
    Ok(())
}

/// Runs a program to its end; an exit status other than 0 is an error with what it said.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = output_of(program, arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} {arguments:?} ended with {}: {text}{said}",
        output.status
    ))
}

pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Result<Output, String> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| format!("start {program}: {cause}"))
}

pub(crate) fn systemctl(arguments: &[&str]) -> Result<String, String> {
    run("systemctl", arguments)
}

/// A property of a unit.
pub(crate) fn property(unit: &str, name: &str) -> Result<String, String> {
    let text = systemctl(&["show", "--value", "--property", name, unit])?;
    Ok(text.trim().to_owned())
}

/// A property that is a number.
pub(crate) fn number(unit: &str, name: &str) -> Result<u64, String> {
    let text = property(unit, name)?;
    text.parse()
        .map_err(|_| format!("{name} of {unit} is `{text}`"))
}

/// Looks until there is something to see.
pub(crate) fn await_some<T>(
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("waited in vain: {what}"));
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// What the service said since the host started.
pub(crate) fn journal() -> Result<String, String> {
    run(
        "journalctl",
        &["--no-pager", "--output", "cat", "--unit", SERVICE],
    )
}

/// The state of each thread of the service, by name.
pub(crate) fn threads() -> Result<BTreeMap<String, Thread>, String> {
    let pid = property(SERVICE, "MainPID")?;
    let entries =
        fs::read_dir(format!("/proc/{pid}/task")).map_err(|cause| format!("{pid}: {cause}"))?;
    let mut threads = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|cause| cause.to_string())?.path();
        let status = fs::read_to_string(path.join("status")).map_err(|cause| cause.to_string())?;
        let fields: BTreeMap<String, String> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let name = fields.get("Name").cloned().unwrap_or_default();
        threads.insert(name, Thread { fields });
    }
    Ok(threads)
}

/// One thread, as `/proc` tells of it.
#[derive(Debug)]
pub(crate) struct Thread {
    fields: BTreeMap<String, String>,
}

impl Thread {
    pub(crate) fn field(&self, name: &str) -> Result<&str, String> {
        self.fields
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("`/proc` does not tell {name}"))
    }

    /// A set of capabilities.
    pub(crate) fn set(&self, name: &str) -> Result<u64, String> {
        u64::from_str_radix(self.field(name)?, 16).map_err(|cause| cause.to_string())
    }
}

/// Writes the configuration, over what is there, so that its owner and mode stay.
pub(crate) fn configure(text: &str) -> Result<(), String> {
    fs::write(CONFIG, text).map_err(|cause| format!("write {CONFIG}: {cause}"))
}
