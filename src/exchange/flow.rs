//! The line of a flow.

use std::{net::IpAddr, time::Duration};

use serde::Serialize;

use super::{
    LineError,
    fields::{Fields, address_of, bad, required},
    state::take_ending,
};
use crate::model::{
    Context, Executable, Flow, Name, NameSource, OpeningKind, Process, Protocol, RawIdentity,
    RecordedFlow, Timestamp,
};

/// Whether a line carries what ties the records of one dump together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    Written,
    Omitted,
}

/// The fields in the order in which they are written: the exchange format first, then what only
/// this program knows, left out where there is nothing to say.
#[derive(Debug, Serialize)]
pub(super) struct FlowLine<'a> {
    kind: &'static str,
    flow_id: Option<&'a str>,
    ts: Timestamp,
    end: Option<Timestamp>,
    host: &'a str,
    exe: Option<&'a str>,
    cmdline: Option<&'a str>,
    script: Option<&'a str>,
    context: Option<&'a str>,
    user: Option<&'a str>,
    uid: Option<u32>,
    pid: Option<u32>,
    ppid: Option<u32>,
    proto: String,
    src_port: Option<u16>,
    dst_ip: Option<IpAddr>,
    dst_port: Option<u16>,
    dst_name: Option<&'a str>,
    name_source: Option<NameSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<OpeningKind>,
    /// How many names its address has, if it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_names: Option<u64>,
    attempts: u64,
    bytes_out: Option<u64>,
    bytes_in: Option<u64>,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_cgroup: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_namespace: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    exe_is_deleted: bool,
    #[serde(skip_serializing_if = "is_false")]
    exe_is_memfd: bool,
    #[serde(skip_serializing_if = "is_false")]
    exe_is_foreign: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watch_period_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_id: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(claim: &bool) -> bool {
    !claim
}

impl<'a> FlowLine<'a> {
    pub(super) fn of(recorded: &'a RecordedFlow, ids: Ids) -> Self {
        let flow = &recorded.flow;
        let identity = &recorded.identity;
        let process = recorded.process.as_ref();
        let stated = flow.state.as_deref();
        let with_ids = |id: Option<u64>| id.filter(|_| ids == Ids::Written);
        Self {
            kind: "flow",
            flow_id: flow.flow_id.as_deref(),
            ts: flow.start,
            end: flow.end,
            host: &identity.host,
            exe: identity.exe.as_deref(),
            cmdline: process.and_then(|process| process.cmdline.as_deref()),
            script: script_of(recorded),
            context: context_of(recorded),
            user: identity.user.as_deref(),
            uid: identity.uid,
            pid: process.and_then(|process| process.pid),
            ppid: process.and_then(|process| process.ppid),
            proto: flow.protocol.word(flow.address),
            src_port: flow.source_port,
            dst_ip: flow.address,
            dst_port: flow.port,
            dst_name: flow.name.as_ref().map(|name| name.text.as_str()),
            name_source: flow.name.as_ref().map(|name| name.source),
            opening: flow.opening,
            shared_names: None,
            attempts: flow.attempts,
            bytes_out: flow.bytes_out,
            bytes_in: flow.bytes_in,
            state: stated.unwrap_or_else(|| flow.outcome.word()),
            outcome: stated.map(|_| flow.outcome.word()),
            errno: flow.errno,
            duration_ns: flow
                .duration
                .map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
            socket_uid: flow.socket_uid,
            socket_cgroup: flow.socket_cgroup.as_deref(),
            network_namespace: flow.network_namespace,
            exe_is_deleted: identity.is_deleted,
            exe_is_memfd: identity.is_memfd,
            exe_is_foreign: identity.is_foreign,
            run: recorded.run.as_deref(),
            watch_period_id: with_ids(recorded.watch_period_id),
            process_id: with_ids(recorded.process_id),
            identity_id: with_ids(recorded.identity_id),
        }
    }
}

impl FlowLine<'_> {
    /// The same, with how many names its address has.
    pub(super) fn marked(self, shared_names: Option<u64>) -> Self {
        Self {
            shared_names,
            ..self
        }
    }
}

/// The application's script where it is known, so that a dump without its identity records still
/// belongs to the same application when it is read back.
fn script_of(recorded: &RecordedFlow) -> Option<&str> {
    match &recorded.application {
        Some(application) => application.script.as_deref(),
        None => recorded.identity.stated_script.as_deref(),
    }
}

fn context_of(recorded: &RecordedFlow) -> Option<&str> {
    match &recorded.application {
        Some(application) => Some(application.context.as_str()),
        None => recorded.identity.stated_context.as_deref(),
    }
}

/// The flow that a line holds.
pub(super) fn parse(fields: &mut Fields) -> Result<RecordedFlow, LineError> {
    let ending = take_ending(fields)?;
    let (address, name) = destination(fields)?;
    let protocol = protocol(fields, address)?;
    let port = fields
        .port("dst_port")?
        .filter(|_| protocol.has_ports() || protocol == Protocol::UNKNOWN);
    let flow = Flow {
        flow_id: fields.text("flow_id")?,
        start: required("ts", fields.time("ts")?)?,
        end: fields.time("end")?,
        socket_uid: fields.number("socket_uid")?,
        socket_cgroup: fields.text("socket_cgroup")?,
        network_namespace: fields.number("network_namespace")?,
        source_port: fields.port("src_port")?,
        address,
        port,
        protocol,
        name,
        opening: fields.word("opening", "opening of a flow")?,
        outcome: ending.outcome,
        errno: ending.errno,
        state: ending.state,
        attempts: fields.count("attempts")?.unwrap_or(1),
        bytes_out: fields.count("bytes_out")?,
        bytes_in: fields.count("bytes_in")?,
        duration: fields.wide("duration_ns")?.map(Duration::from_nanos),
    };
    let identity = identity(fields)?;
    Ok(RecordedFlow {
        flow,
        process: process(fields, &identity)?,
        identity,
        application: None,
        run: fields.text("run")?,
        watch_period_id: fields.wide("watch_period_id")?,
        process_id: fields.wide("process_id")?,
        identity_id: fields.wide("identity_id")?,
    })
}

/// Address and name. A name that is an address literal is the address: proxies log such.
fn destination(fields: &mut Fields) -> Result<(Option<IpAddr>, Option<Name>), LineError> {
    let address = fields.address("dst_ip")?;
    let source = fields.name_source("name_source")?;
    let Some(text) = fields.text("dst_name")? else {
        return Ok((address, None));
    };
    // A line that tells the source was written by this program, which folds names itself.
    let text = match source {
        Some(_) => text,
        None => text.strip_suffix('.').unwrap_or(&text).to_ascii_lowercase(),
    };
    if text.is_empty() {
        return Ok((address, None));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&text);
    if let Some(literal) = address_of(bare) {
        return Ok((address.or(Some(literal)), None));
    }
    let source = source.unwrap_or(NameSource::Imported);
    Ok((address, Some(Name { text, source })))
}

fn protocol(fields: &mut Fields, address: Option<IpAddr>) -> Result<Protocol, LineError> {
    const EXPECTED: &str = "protocol (`tcp`, `udp`, `icmp`, a number up to 255 or `unknown`)";
    match fields.take("proto") {
        None => Ok(Protocol::UNKNOWN),
        Some(value) => {
            let word = match &value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => return Err(bad("proto", EXPECTED, &value)),
            };
            Protocol::parse(&word, address).ok_or_else(|| bad("proto", EXPECTED, &value))
        }
    }
}

fn identity(fields: &mut Fields) -> Result<RawIdentity, LineError> {
    let none = Context::none();
    Ok(RawIdentity {
        host: fields.text("host")?.unwrap_or_default(),
        exe: fields.text("exe")?.filter(|exe| !exe.is_empty()),
        is_deleted: fields.claim("exe_is_deleted")?,
        is_memfd: fields.claim("exe_is_memfd")?,
        is_foreign: fields.claim("exe_is_foreign")?,
        uid: fields.number("uid")?,
        user: fields.text("user")?,
        // `none` says that nothing is known, which is what saying nothing says.
        stated_context: fields
            .text("context")?
            .filter(|context| !context.is_empty() && context != none.as_str()),
        stated_script: fields.text("script")?.filter(|script| !script.is_empty()),
        ..RawIdentity::default()
    })
}

fn process(fields: &mut Fields, identity: &RawIdentity) -> Result<Option<Process>, LineError> {
    let pid = fields.number("pid")?;
    let ppid = fields.number("ppid")?;
    let cmdline = fields.text("cmdline")?;
    if pid.is_none() && ppid.is_none() && cmdline.is_none() {
        return Ok(None);
    }
    Ok(Some(Process {
        host: identity.host.clone(),
        pid,
        ppid,
        cmdline,
        exe: identity.exe.as_ref().map(|path| Executable {
            path: path.clone(),
            is_deleted: identity.is_deleted,
            is_memfd: identity.is_memfd,
            is_foreign: identity.is_foreign,
            ..Executable::default()
        }),
        uid: identity.uid,
        ..Process::default()
    }))
}
