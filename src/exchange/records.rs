//! The lines of everything that is not a flow: what only `dump --all` writes.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::{
    LineError,
    fields::{Fields, bad, required, shortened},
    files, self_checks,
};
use crate::model::{
    BackendFailure, BlindSpot, ContainerFacts, Destination, ImportSource, Loss, LossCause,
    NameAddress, NameSource, Outcome, Process, Protocol, RawIdentity, Record, Rollup, RollupPeriod,
    Tally, Timestamp, WatchKind, WatchPeriod,
};

/// A line that opens with the record's kind and id.
#[derive(Serialize)]
struct Numbered<Body> {
    kind: &'static str,
    id: u64,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize)]
struct StoreLine<'a> {
    kind: &'static str,
    id: &'a str,
    last_flow: u64,
}

#[derive(Serialize)]
struct WatchPeriodBody<'a> {
    origin: WatchKind,
    host: &'a str,
    boot_id: Option<&'a str>,
    program_version: &'a str,
    backend: Option<&'a str>,
    backend_failures: &'a [BackendFailure],
    blind_spots: &'a [BlindSpot],
    settings: &'a Value,
    source: Option<&'a ImportSource>,
    started: Timestamp,
    covered_until: Timestamp,
    ended: Option<Timestamp>,
}

#[derive(Serialize)]
struct LossLine {
    kind: &'static str,
    watch_period_id: u64,
    cause: LossCause,
    since: Timestamp,
    until: Timestamp,
    count: u64,
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct IdentityBody<'a> {
    host: &'a str,
    exe: Option<&'a str>,
    is_deleted: bool,
    is_memfd: bool,
    is_foreign: bool,
    interpreter_argv: Option<&'a [String]>,
    interpreter_directory: Option<&'a str>,
    cgroup_path: Option<&'a str>,
    uid: Option<u32>,
    user: Option<&'a str>,
    slice_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_daemon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a ContainerFacts>,
    stated_context: Option<&'a str>,
    stated_script: Option<&'a str>,
}

#[derive(Serialize)]
struct RollupLine<'a> {
    kind: &'static str,
    store: &'a str,
    hour: Option<Timestamp>,
    run: Option<&'a str>,
    identity_id: u64,
    proto: String,
    dst_ip: Option<IpAddr>,
    dst_port: Option<u16>,
    dst_name: Option<&'a str>,
    name_source: Option<NameSource>,
    outcome: Outcome,
    attempts: u64,
    bytes_out: u64,
    bytes_in: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Serialize)]
struct NameAddressLine<'a> {
    kind: &'static str,
    store: &'a str,
    host: &'a str,
    name: &'a str,
    address: IpAddr,
    first: Timestamp,
    last: Timestamp,
    attempts: u64,
}

/// The line of a record that is no flow.
pub(super) fn render(record: &Record) -> Result<String, serde_json::Error> {
    match record {
        Record::Store { id, last_flow } => serde_json::to_string(&StoreLine {
            kind: "store",
            id,
            last_flow: *last_flow,
        }),
        Record::WatchPeriod { id, period } => serde_json::to_string(&Numbered {
            kind: "watch_period",
            id: *id,
            body: watch_period_body(period),
        }),
        Record::Loss {
            watch_period_id,
            loss,
        } => serde_json::to_string(&LossLine {
            kind: "loss",
            watch_period_id: *watch_period_id,
            cause: loss.cause,
            since: loss.since,
            until: loss.until,
            count: loss.count,
            bytes: loss.bytes,
        }),
        Record::SelfCheck {
            watch_period_id,
            check,
        } => self_checks::render(*watch_period_id, check),
        Record::File { id, file } => serde_json::to_string(&Numbered {
            kind: "file",
            id: *id,
            body: file,
        }),
        Record::FileUse { .. } => files::render_use(record),
        Record::Process { id, process, files } => serde_json::to_string(&Numbered {
            kind: "process",
            id: *id,
            body: files::ProcessBody::of(process, files),
        }),
        Record::Identity { id, raw } => serde_json::to_string(&Numbered {
            kind: "identity",
            id: *id,
            body: identity_body(raw),
        }),
        Record::Flow(_) => super::render_record(record),
        Record::Rollup(rollup) => serde_json::to_string(&rollup_line(rollup)),
        Record::NameAddress(seen) => serde_json::to_string(&NameAddressLine {
            kind: "name_address",
            store: &seen.store,
            host: &seen.host,
            name: &seen.name,
            address: seen.address,
            first: seen.first,
            last: seen.last,
            attempts: seen.attempts,
        }),
    }
}

fn watch_period_body(period: &WatchPeriod) -> WatchPeriodBody<'_> {
    WatchPeriodBody {
        origin: period.kind,
        host: &period.host,
        boot_id: period.boot_id.as_deref(),
        program_version: &period.program_version,
        backend: period.backend.as_deref(),
        backend_failures: &period.backend_failures,
        blind_spots: &period.blind_spots,
        settings: &period.settings,
        source: period.source.as_ref(),
        started: period.started,
        covered_until: period.covered_until,
        ended: period.ended,
    }
}

fn identity_body(raw: &RawIdentity) -> IdentityBody<'_> {
    IdentityBody {
        host: &raw.host,
        exe: raw.exe.as_deref(),
        is_deleted: raw.is_deleted,
        is_memfd: raw.is_memfd,
        is_foreign: raw.is_foreign,
        interpreter_argv: raw.interpreter_argv.as_deref(),
        interpreter_directory: raw.interpreter_directory.as_deref(),
        cgroup_path: raw.cgroup_path.as_deref(),
        uid: raw.uid,
        user: raw.user.as_deref(),
        slice_user: raw.slice_user.as_deref(),
        login_user: raw.login_user.as_deref(),
        job_daemon: raw.job_daemon.as_deref(),
        container: raw.container.as_ref(),
        stated_context: raw.stated_context.as_deref(),
        stated_script: raw.stated_script.as_deref(),
    }
}

fn rollup_line(rollup: &Rollup) -> RollupLine<'_> {
    let destination = &rollup.destination;
    let (hour, run) = match &rollup.period {
        RollupPeriod::Hour(hour) => (Some(*hour), None),
        RollupPeriod::Run(run) => (None, Some(run.as_str())),
    };
    RollupLine {
        kind: "rollup",
        store: &rollup.store,
        hour,
        run,
        identity_id: rollup.identity_id,
        proto: destination.protocol.word(destination.address),
        dst_ip: destination.address,
        dst_port: destination.port,
        dst_name: destination.name.as_deref(),
        name_source: rollup.name_source,
        outcome: rollup.outcome,
        attempts: rollup.tally.attempts,
        bytes_out: rollup.tally.bytes_out,
        bytes_in: rollup.tally.bytes_in,
        first: rollup.first,
        last: rollup.last,
    }
}

/// The record of a kind that is no flow.
pub(super) fn parse(kind: &str, fields: &mut Fields) -> Result<Record, LineError> {
    match kind {
        "store" => Ok(Record::Store {
            id: required("id", fields.text("id")?)?,
            last_flow: required("last_flow", fields.wide("last_flow")?)?,
        }),
        "watch_period" => Ok(Record::WatchPeriod {
            id: required("id", fields.wide("id")?)?,
            period: watch_period(fields)?,
        }),
        "loss" => loss(fields),
        "self_check" => self_checks::parse(fields),
        "process" => Ok(Record::Process {
            id: required("id", fields.wide("id")?)?,
            process: Box::new(process(fields)?),
            files: files::of_process(fields)?,
        }),
        "file" => files::parse(fields),
        "file_use" => files::parse_use(fields),
        "identity" => Ok(Record::Identity {
            id: required("id", fields.wide("id")?)?,
            raw: Box::new(identity(fields)?),
        }),
        "rollup" => rollup(fields).map(|rollup| Record::Rollup(Box::new(rollup))),
        "name_address" => name_address(fields).map(Record::NameAddress),
        unknown => Err(LineError::UnknownKind(shortened(unknown))),
    }
}

fn watch_period(fields: &mut Fields) -> Result<WatchPeriod, LineError> {
    Ok(WatchPeriod {
        kind: required("origin", fields.structured("origin")?)?,
        host: required("host", fields.text("host")?)?,
        boot_id: fields.text("boot_id")?,
        program_version: required("program_version", fields.text("program_version")?)?,
        backend: fields.text("backend")?,
        backend_failures: fields.structured("backend_failures")?.unwrap_or_default(),
        blind_spots: fields.structured("blind_spots")?.unwrap_or_default(),
        settings: fields.take("settings").unwrap_or_default(),
        source: fields.structured("source")?,
        started: required("started", fields.time("started")?)?,
        covered_until: required("covered_until", fields.time("covered_until")?)?,
        ended: fields.time("ended")?,
    })
}

fn loss(fields: &mut Fields) -> Result<Record, LineError> {
    Ok(Record::Loss {
        watch_period_id: required("watch_period_id", fields.wide("watch_period_id")?)?,
        loss: Loss {
            cause: required("cause", fields.word("cause", "cause of a loss")?)?,
            since: required("since", fields.time("since")?)?,
            until: required("until", fields.time("until")?)?,
            count: required("count", fields.count("count")?)?,
            bytes: fields.count("bytes")?,
        },
    })
}

fn process(fields: &mut Fields) -> Result<Process, LineError> {
    Ok(Process {
        host: required("host", fields.text("host")?)?,
        key: fields.structured("key")?,
        boot_id: fields.text("boot_id")?,
        pid: fields.number("pid")?,
        ppid: fields.number("ppid")?,
        started: fields.time("started")?,
        exe: fields.structured("exe")?,
        comm: fields.text("comm")?,
        argv: fields.structured("argv")?,
        cmdline: fields.text("cmdline")?,
        argv_truncated: fields.claim("argv_truncated")?,
        working_directory: fields.text("working_directory")?,
        ancestors: fields.structured("ancestors")?.unwrap_or_default(),
        uid: fields.number("uid")?,
        euid: fields.number("euid")?,
        login_uid: fields.number("login_uid")?,
        audit_session: fields.number("audit_session")?,
        tty: fields.text("tty")?,
        cgroup_id: fields.wide("cgroup_id")?,
        cgroup_path: fields.text("cgroup_path")?,
        namespaces: fields.structured("namespaces")?,
    })
}

fn identity(fields: &mut Fields) -> Result<RawIdentity, LineError> {
    Ok(RawIdentity {
        host: required("host", fields.text("host")?)?,
        exe: fields.text("exe")?,
        is_deleted: fields.claim("is_deleted")?,
        is_memfd: fields.claim("is_memfd")?,
        is_foreign: fields.claim("is_foreign")?,
        interpreter_argv: fields.structured("interpreter_argv")?,
        interpreter_directory: fields.text("interpreter_directory")?,
        cgroup_path: fields.text("cgroup_path")?,
        uid: fields.number("uid")?,
        user: fields.text("user")?,
        slice_user: fields.text("slice_user")?,
        login_user: fields.text("login_user")?,
        job_daemon: fields.text("job_daemon")?,
        container: fields.structured("container")?,
        stated_context: fields.text("stated_context")?,
        stated_script: fields.text("stated_script")?,
    })
}

fn rollup(fields: &mut Fields) -> Result<Rollup, LineError> {
    let address = fields.address("dst_ip")?;
    let word = required("proto", fields.text("proto")?)?;
    let protocol = Protocol::parse(&word, address)
        .ok_or_else(|| bad("proto", "protocol", &Value::String(word)))?;
    let period = match (fields.time("hour")?, fields.text("run")?) {
        (Some(hour), _) => RollupPeriod::Hour(hour),
        (None, Some(run)) => RollupPeriod::Run(run),
        (None, None) => return Err(LineError::Missing("hour")),
    };
    Ok(Rollup {
        store: required("store", fields.text("store")?)?,
        period,
        identity_id: required("identity_id", fields.wide("identity_id")?)?,
        destination: Destination {
            name: fields.text("dst_name")?,
            address,
            port: fields.port("dst_port")?,
            protocol,
        },
        name_source: fields.name_source("name_source")?,
        outcome: required("outcome", fields.word("outcome", "outcome")?)?,
        tally: Tally {
            attempts: required("attempts", fields.count("attempts")?)?,
            bytes_out: required("bytes_out", fields.count("bytes_out")?)?,
            bytes_in: required("bytes_in", fields.count("bytes_in")?)?,
        },
        first: required("first", fields.time("first")?)?,
        last: required("last", fields.time("last")?)?,
    })
}

fn name_address(fields: &mut Fields) -> Result<NameAddress, LineError> {
    Ok(NameAddress {
        store: required("store", fields.text("store")?)?,
        host: required("host", fields.text("host")?)?,
        name: required("name", fields.text("name")?)?,
        address: required("address", fields.address("address")?)?,
        first: required("first", fields.time("first")?)?,
        last: required("last", fields.time("last")?)?,
        attempts: required("attempts", fields.count("attempts")?)?,
    })
}
