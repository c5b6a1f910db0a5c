//! The observations behind a flow or an application.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Serialize;

use super::{
    DOCUMENT_VERSION,
    applications::ApplicationReport,
    coverage::Watched,
    status::{WatchStatus, watch_status},
};
use crate::model::{
    Application, NameSource, Outcome, Process, RawIdentity, RecordedFlow, Timestamp,
};

/// A flow with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowExplained {
    /// Version of the document.
    pub version: u32,
    /// The flow.
    pub flow: FlowFacts,
    /// Its maker's identity at the attempt.
    pub identity: IdentityFacts,
    /// The process image.
    pub process: Option<Process>,
    /// The watch period that recorded it.
    pub watch_period: Option<WatchStatus>,
    /// The file that it was imported from.
    pub imported_from: Option<String>,
}

/// What is known of a flow itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowFacts {
    /// Its id.
    pub flow_id: Option<String>,
    /// Who.
    pub application: Option<Application>,
    /// Which run of the application.
    pub run: Option<String>,
    /// First attempt.
    pub start: Timestamp,
    /// Last attempt, or the end of the connection.
    pub end: Option<Timestamp>,
    /// The name that was asked for.
    pub name: Option<String>,
    /// Where the name came from.
    pub name_source: Option<NameSource>,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// Protocol.
    pub protocol: String,
    /// Source port.
    pub source_port: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Errno of a failure.
    pub errno: Option<i32>,
    /// What an import said of the outcome.
    pub state: Option<String>,
    /// Attempts.
    pub attempts: u64,
    /// Payload bytes sent.
    pub bytes_out: Option<u64>,
    /// Payload bytes received.
    pub bytes_in: Option<u64>,
    /// Time from connect to close, summed, nanoseconds.
    pub duration_ns: Option<u64>,
    /// The socket's user id.
    pub socket_uid: Option<u32>,
    /// The socket's cgroup.
    pub socket_cgroup: Option<String>,
    /// Inode of the network namespace.
    pub network_namespace: Option<u32>,
}

/// What an application is told from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IdentityFacts {
    /// The host.
    pub host: String,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Whether the file had no name any more.
    pub is_deleted: bool,
    /// Whether the file was never in a file system.
    pub is_memfd: bool,
    /// Whether the file is not the host's file of that name.
    pub is_foreign: bool,
    /// Arguments, for interpreters.
    pub interpreter_argv: Option<Vec<String>>,
    /// Working directory, for interpreters.
    pub interpreter_directory: Option<String>,
    /// Cgroup at the attempt.
    pub cgroup_path: Option<String>,
    /// User id at the attempt.
    pub uid: Option<u32>,
    /// Name of the user.
    pub user: Option<String>,
    /// The context that an import stated.
    pub stated_context: Option<String>,
    /// The script that an import stated.
    pub stated_script: Option<String>,
}

/// Applications with what they are told from, what they talk to and their latest flows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplicationsExplained {
    /// Version of the document.
    pub version: u32,
    /// The applications.
    pub applications: Vec<ApplicationExplained>,
}

/// One application on one host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplicationExplained {
    /// The host.
    pub host: String,
    /// The application and its destinations.
    #[serde(flatten)]
    pub report: ApplicationReport,
    /// What its latest flows tell it from.
    pub identities: Vec<IdentityFacts>,
    /// Its latest process images.
    pub processes: Vec<Process>,
    /// Its latest flows.
    pub latest_flows: Vec<FlowFacts>,
}

/// A flow, explained with the watch period that recorded it.
pub fn explain_flow(recorded: &RecordedFlow, watched: Option<&Watched>) -> FlowExplained {
    let source = watched.and_then(|one| one.period.source.as_ref());
    FlowExplained {
        version: DOCUMENT_VERSION,
        flow: flow_facts(recorded),
        identity: identity_facts(&recorded.identity),
        process: recorded.process.clone(),
        watch_period: watched.map(watch_status),
        imported_from: source.map(|source| source.file.clone()),
    }
}

/// An application, explained.
pub fn explain_application(
    host: String,
    report: ApplicationReport,
    processes: Vec<Process>,
    flows: &[RecordedFlow],
) -> ApplicationExplained {
    let identities: BTreeSet<IdentityFacts> = flows
        .iter()
        .map(|recorded| identity_facts(&recorded.identity))
        .collect();
    ApplicationExplained {
        host,
        report,
        identities: identities.into_iter().collect(),
        processes,
        latest_flows: flows.iter().map(flow_facts).collect(),
    }
}

fn flow_facts(recorded: &RecordedFlow) -> FlowFacts {
    let flow = &recorded.flow;
    FlowFacts {
        flow_id: flow.flow_id.clone(),
        application: recorded.application.clone(),
        run: recorded.run.clone(),
        start: flow.start,
        end: flow.end,
        name: flow.name.as_ref().map(|name| name.text.clone()),
        name_source: flow.name.as_ref().map(|name| name.source),
        address: flow.address,
        port: flow.port,
        protocol: flow.protocol.word(flow.address),
        source_port: flow.source_port,
        outcome: flow.outcome,
        errno: flow.errno,
        state: flow.state.clone(),
        attempts: flow.attempts,
        bytes_out: flow.bytes_out,
        bytes_in: flow.bytes_in,
        duration_ns: flow
            .duration
            .map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        socket_uid: flow.socket_uid,
        socket_cgroup: flow.socket_cgroup.clone(),
        network_namespace: flow.network_namespace,
    }
}

fn identity_facts(raw: &RawIdentity) -> IdentityFacts {
    IdentityFacts {
        host: raw.host.clone(),
        exe: raw.exe.clone(),
        is_deleted: raw.is_deleted,
        is_memfd: raw.is_memfd,
        is_foreign: raw.is_foreign,
        interpreter_argv: raw.interpreter_argv.clone(),
        interpreter_directory: raw.interpreter_directory.clone(),
        cgroup_path: raw.cgroup_path.clone(),
        uid: raw.uid,
        user: raw.user.clone(),
        stated_context: raw.stated_context.clone(),
        stated_script: raw.stated_script.clone(),
    }
}
