//! What the observer recorded, as `dump --all` tells it.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::Path};

use egress_baseline::model::{BlindSpot, FileFacts, LossCause, Process};
use serde::Deserialize;

use super::observer::ask;

/// One line of a flow.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flow {
    pub(crate) exe: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) script: Option<String>,
    pub(crate) uid: Option<u32>,
    pub(crate) pid: Option<u32>,
    pub(crate) ppid: Option<u32>,
    pub(crate) proto: String,
    pub(crate) src_port: Option<u16>,
    pub(crate) dst_ip: Option<IpAddr>,
    pub(crate) dst_port: Option<u16>,
    pub(crate) dst_name: Option<String>,
    pub(crate) name_source: Option<String>,
    pub(crate) opening: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) bytes_out: Option<u64>,
    pub(crate) bytes_in: Option<u64>,
    pub(crate) state: String,
    pub(crate) errno: Option<i32>,
    pub(crate) network_namespace: Option<u32>,
    pub(crate) socket_uid: Option<u32>,
    pub(crate) socket_cgroup: Option<String>,
    pub(crate) process_id: Option<u64>,
    #[serde(default)]
    pub(crate) exe_is_foreign: bool,
}

/// A counted loss.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Loss {
    pub(crate) cause: LossCause,
    pub(crate) count: u64,
}

/// The stretch of time that was watched.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WatchPeriod {
    pub(crate) backend: Option<String>,
    #[serde(default)]
    pub(crate) blind_spots: Vec<BlindSpot>,
    pub(crate) ended: Option<String>,
}

/// Everything in one database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    pub(crate) flows: Vec<Flow>,
    pub(crate) processes: BTreeMap<u64, Process>,
    /// Executables by the processes that ran them.
    pub(crate) executables: BTreeMap<u64, FileFacts>,
    /// What they interpreted.
    pub(crate) scripts: BTreeMap<u64, FileFacts>,
    files: BTreeMap<u64, FileFacts>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) watch_periods: Vec<WatchPeriod>,
}

impl Dump {
    pub(crate) fn read(database: &Path) -> Result<Self, String> {
        let output = ask(database, &["dump", "--all"])?;
        if !output.status.success() {
            return Err(format!(
                "dump ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let text = String::from_utf8(output.stdout)
            .map_err(|_| "the dump is not UTF-8, so it is no JSON".to_owned())?;
        let mut dump = Self::default();
        for line in text.lines() {
            dump.take(line)
                .map_err(|cause| format!("{cause} in line `{line}`"))?;
        }
        Ok(dump)
    }

    fn take(&mut self, line: &str) -> serde_json::Result<()> {
        #[derive(Deserialize)]
        struct Heading {
            #[serde(default)]
            kind: String,
        }
        #[derive(Deserialize)]
        struct Numbered {
            id: u64,
            #[serde(flatten)]
            process: Process,
            exe_file_id: Option<u64>,
            script_file_id: Option<u64>,
        }
        #[derive(Deserialize)]
        struct NumberedFile {
            id: u64,
            #[serde(flatten)]
            file: FileFacts,
        }
        let heading: Heading = serde_json::from_str(line)?;
        match heading.kind.as_str() {
            "flow" => self.flows.push(serde_json::from_str(line)?),
            "loss" => self.losses.push(serde_json::from_str(line)?),
            "watch_period" => self.watch_periods.push(serde_json::from_str(line)?),
            "process" => {
                let numbered: Numbered = serde_json::from_str(line)?;
                for (id, of_role) in [
                    (numbered.exe_file_id, &mut self.executables),
                    (numbered.script_file_id, &mut self.scripts),
                ] {
                    let file = id.and_then(|id| self.files.get(&id));
                    of_role.extend(file.map(|file| (numbered.id, file.clone())));
                }
                self.processes.insert(numbered.id, numbered.process);
            }
            "file" => {
                let numbered: NumberedFile = serde_json::from_str(line)?;
                self.files.insert(numbered.id, numbered.file);
            }
            _ => {}
        }
        Ok(())
    }

    /// The flows of a process, rows that only differ in time summed up.
    pub(crate) fn flows_of(&self, pid: u32) -> Vec<Flow> {
        let mut sums: BTreeMap<_, Flow> = BTreeMap::new();
        for flow in self.flows.iter().filter(|flow| flow.pid == Some(pid)) {
            sums.entry(contact_of(flow))
                .and_modify(|sum| add(sum, flow))
                .or_insert_with(|| flow.clone());
        }
        sums.into_values().collect()
    }

    /// The process image that made a flow.
    pub(crate) fn process_of(&self, flow: &Flow) -> Result<&Process, String> {
        flow.process_id
            .and_then(|id| self.processes.get(&id))
            .ok_or_else(|| format!("no process record for {flow}"))
    }

    /// How much was lost for `cause`.
    pub(crate) fn lost(&self, cause: LossCause) -> u64 {
        self.losses
            .iter()
            .filter(|loss| loss.cause == cause)
            .map(|loss| loss.count)
            .sum()
    }
}

/// What tells the contacts of one process apart.
fn contact_of(flow: &Flow) -> impl Ord + use<> {
    (
        flow.exe.clone(),
        flow.uid,
        flow.proto.clone(),
        flow.dst_ip,
        flow.dst_port,
        flow.state.clone(),
        flow.errno,
    )
}

fn add(sum: &mut Flow, flow: &Flow) {
    sum.attempts += flow.attempts;
    if sum.src_port != flow.src_port {
        sum.src_port = None;
    }
    for (total, part) in [
        (&mut sum.bytes_out, flow.bytes_out),
        (&mut sum.bytes_in, flow.bytes_in),
    ] {
        *total = match (*total, part) {
            (Some(total), Some(part)) => Some(total + part),
            (total, part) => total.or(part),
        };
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} attempts={} out={} in={} state={} errno={} src_port={} exe={:?}",
            self.proto,
            destination(self.dst_ip, self.dst_port),
            self.attempts,
            shown(self.bytes_out),
            shown(self.bytes_in),
            self.state,
            shown(self.errno),
            shown(self.src_port),
            self.exe.as_deref().unwrap_or("-"),
        )
    }
}

/// A list of flows for a message.
pub(crate) fn listed(flows: &[Flow]) -> String {
    if flows.is_empty() {
        return "  nothing".to_owned();
    }
    let lines: Vec<String> = flows.iter().map(|flow| format!("  {flow}")).collect();
    lines.join("\n")
}

/// A value that may be missing.
fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Address and port, either of which may be missing.
fn destination(address: Option<IpAddr>, port: Option<u16>) -> String {
    format!("{} port {}", shown(address), shown(port))
}
