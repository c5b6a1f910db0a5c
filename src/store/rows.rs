//! Rows as values of the model.

use std::time::Duration;

use rusqlite::Row;

use super::value::{Columns as _, opening_of};
use crate::model::{
    Application, Context, Executable, Flow, Name, Namespaces, Process, ProcessKey, Protocol,
    RawIdentity, Timestamp,
};

/// A flow without its id, from a row of the flow statements.
pub(super) fn flow_of(row: &Row<'_>) -> rusqlite::Result<Flow> {
    let name: Option<String> = row.get("name")?;
    let address = match name {
        Some(_) => row.address("address")?,
        None => row.address("destination_address")?,
    };
    Ok(Flow {
        flow_id: None,
        start: row.time("start_ns")?,
        end: row
            .get::<_, Option<i64>>("end_ns")?
            .map(Timestamp::from_unix_ns),
        socket_uid: row.get("socket_uid")?,
        socket_cgroup: row.get("socket_cgroup")?,
        network_namespace: row.get("network_namespace")?,
        source_port: row.get("source_port")?,
        address,
        port: row.get("port")?,
        protocol: Protocol(row.get("protocol")?),
        name: name
            .zip(row.name_source()?)
            .map(|(text, source)| Name { text, source }),
        opening: row
            .get::<_, Option<i64>>("opening")?
            .map(opening_of)
            .transpose()?,
        outcome: row.outcome()?,
        errno: row.get("errno")?,
        state: row.get("state")?,
        attempts: row.counted("attempts")?,
        bytes_out: row.maybe_counted("bytes_out")?,
        bytes_in: row.maybe_counted("bytes_in")?,
        duration: row.maybe_counted("duration_ns")?.map(Duration::from_nanos),
    })
}

/// An identity from a row of its table with `host` beside it.
pub(super) fn identity_of(row: &Row<'_>) -> rusqlite::Result<RawIdentity> {
    Ok(RawIdentity {
        host: row.get("host")?,
        exe: row.get("exe")?,
        is_deleted: row.get("is_deleted")?,
        is_memfd: row.get("is_memfd")?,
        is_foreign: row.get("is_foreign")?,
        interpreter_argv: row.maybe_parsed("interpreter_argv")?,
        interpreter_directory: row.get("interpreter_directory")?,
        cgroup_path: row.get("cgroup_path")?,
        uid: row.get("uid")?,
        user: row.get("user")?,
        slice_user: row.get("slice_user")?,
        login_user: row.get("login_user")?,
        job_daemon: row.get("job_daemon")?,
        container: row.maybe_parsed("container")?,
        stated_context: row.get("stated_context")?,
        stated_script: row.get("stated_script")?,
    })
}

/// An application from a row that has its columns.
pub(super) fn application_of(row: &Row<'_>) -> rusqlite::Result<Application> {
    Ok(Application {
        context: Context::new(row.get::<_, String>("context")?),
        program: row.get("program")?,
        script: row.get("script")?,
    })
}

/// A process from a row of its table with `host` beside it.
pub(super) fn process_of(row: &Row<'_>) -> rusqlite::Result<Process> {
    let bits = |column: &str| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
    };
    Ok(Process {
        host: row.get("host")?,
        key: key_of(row)?,
        boot_id: row.get("boot_id")?,
        pid: row.get("pid")?,
        ppid: row.get("ppid")?,
        started: row
            .get::<_, Option<i64>>("started_ns")?
            .map(Timestamp::from_unix_ns),
        exe: executable_of(row)?,
        comm: row.get("comm")?,
        argv: row.maybe_parsed("argv")?,
        cmdline: row.get("cmdline")?,
        argv_truncated: row.get("argv_truncated")?,
        working_directory: row.get("working_directory")?,
        ancestors: row.parsed("ancestors")?,
        uid: row.get("uid")?,
        euid: row.get("euid")?,
        login_uid: row.get("login_uid")?,
        audit_session: row.get("audit_session")?,
        tty: row.get("tty")?,
        cgroup_id: bits("cgroup_id")?,
        cgroup_path: row.get("cgroup_path")?,
        namespaces: namespaces_of(row)?,
    })
}

fn key_of(row: &Row<'_>) -> rusqlite::Result<Option<ProcessKey>> {
    let Some(pid) = row.get("key_pid")? else {
        return Ok(None);
    };
    Ok(Some(ProcessKey {
        pid,
        started_boot_ns: row.get::<_, i64>("key_started_boot_ns")?.cast_unsigned(),
        exec_id: row.get::<_, i64>("key_exec_id")?.cast_unsigned(),
    }))
}

fn executable_of(row: &Row<'_>) -> rusqlite::Result<Option<Executable>> {
    let Some(path) = row.get("exe_path")? else {
        return Ok(None);
    };
    let bits = |column: &str| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
    };
    Ok(Some(Executable {
        path,
        device: bits("exe_device")?,
        inode: bits("exe_inode")?,
        is_deleted: row.get("exe_is_deleted")?,
        is_memfd: row.get("exe_is_memfd")?,
        is_truncated: row.get("exe_is_truncated")?,
        is_foreign: row.get("exe_is_foreign")?,
    }))
}

fn namespaces_of(row: &Row<'_>) -> rusqlite::Result<Option<Namespaces>> {
    let Some(net) = row.get("net_namespace")? else {
        return Ok(None);
    };
    Ok(Some(Namespaces {
        net,
        mnt: row.get("mnt_namespace")?,
        user: row.get("user_namespace")?,
        pid: row.get("pid_namespace")?,
    }))
}
