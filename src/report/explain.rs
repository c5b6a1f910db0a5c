//! The observations behind a flow or an application.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Serialize;

use super::{
    DOCUMENT_VERSION,
    applications::ApplicationReport,
    coverage::{Lost, Watched, lost},
    files::{FileExplained, Interactivity, explain_files, interactivity},
    status::{WatchStatus, watch_status},
};
use crate::model::{
    Application, ContainerFacts, FileSeen, Loss, NameAddress, NameSource, OpeningKind, Outcome,
    Process, RawIdentity, Reason, RecordedFlow, Timestamp,
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
    /// The rules that named the application, and what they went by.
    pub reasons: Vec<Reason>,
    /// The process image.
    pub process: Option<Process>,
    /// Whether somebody sits before it.
    pub interactive: Interactivity,
    /// The files that it ran.
    pub files: Vec<FileExplained>,
    /// Other names under which the host reached the address.
    pub other_names: Vec<OtherName>,
    /// Whether the host reached the address under several names.
    pub is_shared: bool,
    /// What was lost on the host while the flow went on.
    pub losses_meanwhile: Vec<Lost>,
    /// The watch period that recorded it.
    pub watch_period: Option<WatchStatus>,
    /// The file that it was imported from.
    pub imported_from: Option<String>,
}

/// A name under which the address of a flow was reached as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherName {
    /// The name.
    pub name: String,
    /// First attempt under it.
    pub first: Timestamp,
    /// Last attempt under it.
    pub last: Timestamp,
    /// Attempts under it.
    pub attempts: u64,
}

/// What stands around a flow in the store.
#[derive(Clone, Debug, Default)]
pub struct AroundFlow {
    /// The rules that named its application.
    pub reasons: Vec<Reason>,
    /// Files that its process ran.
    pub files: Vec<FileSeen>,
    /// Files that its application ran, these included.
    pub files_of_application: Vec<FileSeen>,
    /// Names of its address.
    pub names: Vec<NameAddress>,
    /// Losses of the host at the time.
    pub losses: Vec<Loss>,
}

/// What stands around an application in the store.
#[derive(Clone, Debug, Default)]
pub struct AroundApplication {
    /// The rules that named it, for each of its latest identities.
    pub reasons: Vec<Reason>,
    /// Its latest process images.
    pub processes: Vec<Process>,
    /// Files that it ran.
    pub files: Vec<FileSeen>,
    /// Losses of the host between its first and its last attempt.
    pub losses: Vec<Loss>,
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
    /// What it began with, where that hides which server is meant.
    pub opening: Option<OpeningKind>,
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
    /// The account that somebody logged in with.
    pub login_user: Option<String>,
    /// The daemon among its ancestors that starts jobs.
    pub job_daemon: Option<String>,
    /// What files of the host say of its container.
    pub container: Option<ContainerFacts>,
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
    /// The rules that named it, and what they went by.
    pub reasons: Vec<Reason>,
    /// The files that it ran, the latest first.
    pub files: Vec<FileExplained>,
    /// What was lost on the host between its first and its last attempt.
    pub losses_meanwhile: Vec<Lost>,
    /// What its latest flows tell it from.
    pub identities: Vec<IdentityFacts>,
    /// Its latest process images.
    pub processes: Vec<Process>,
    /// Its latest flows.
    pub latest_flows: Vec<FlowFacts>,
}

/// A flow, explained with the watch period that recorded it.
pub fn explain_flow(
    recorded: &RecordedFlow,
    watched: Option<&Watched>,
    around: AroundFlow,
) -> FlowExplained {
    let own = recorded.flow.name.as_ref().map(|name| name.text.as_str());
    let is_shared = around.names.len() > 1;
    let names = around.names.into_iter();
    // What changed is told by all that ran, and shown of what this process ran.
    let mut files = explain_files(&around.files_of_application);
    files.retain(|file| {
        let of_process = around.files.iter();
        let mut of_role = of_process.filter(|own| own.role == file.seen.role);
        of_role.any(|own| own.file == file.seen.file)
    });
    let source = watched.and_then(|one| one.period.source.as_ref());
    FlowExplained {
        version: DOCUMENT_VERSION,
        flow: flow_facts(recorded),
        identity: identity_facts(&recorded.identity),
        reasons: around.reasons,
        process: recorded.process.clone(),
        interactive: interactivity(recorded.process.as_ref(), &recorded.identity),
        files,
        other_names: names
            .filter(|seen| Some(seen.name.as_str()) != own)
            .map(|seen| OtherName {
                name: seen.name,
                first: seen.first,
                last: seen.last,
                attempts: seen.attempts,
            })
            .collect(),
        is_shared,
        losses_meanwhile: around.losses.iter().map(lost).collect(),
        watch_period: watched.map(watch_status),
        imported_from: source.map(|source| source.file.clone()),
    }
}

/// An application, explained.
pub fn explain_application(
    host: String,
    report: ApplicationReport,
    around: AroundApplication,
    flows: &[RecordedFlow],
) -> ApplicationExplained {
    let identities: BTreeSet<IdentityFacts> = flows
        .iter()
        .map(|recorded| identity_facts(&recorded.identity))
        .collect();
    ApplicationExplained {
        host,
        report,
        reasons: around.reasons,
        files: explain_files(&around.files),
        losses_meanwhile: around.losses.iter().map(lost).collect(),
        identities: identities.into_iter().collect(),
        processes: around.processes,
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
        opening: flow.opening,
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
        login_user: raw.login_user.clone(),
        job_daemon: raw.job_daemon.clone(),
        container: raw.container.clone(),
        stated_context: raw.stated_context.clone(),
        stated_script: raw.stated_script.clone(),
    }
}
