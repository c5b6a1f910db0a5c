//! Rows of identities and process images: what tells one from the next, and how a new one is written.

use rusqlite::{Connection, params};

use super::value::{Digest, digest, json};
use crate::model::{Process, RawIdentity, Timestamp};

/// A digest of everything that an identity is.
pub(super) fn digest_of_identity(raw: &RawIdentity) -> Digest {
    // Destructured so that a new field cannot be forgotten here.
    let RawIdentity {
        host,
        exe,
        is_deleted,
        is_memfd,
        is_foreign,
        interpreter_argv,
        interpreter_directory,
        cgroup_path,
        uid,
        user,
        slice_user,
        login_user,
        job_daemon,
        container,
        stated_context,
        stated_script,
    } = raw;
    let first = (
        (host, exe, is_deleted, is_memfd, is_foreign),
        (interpreter_argv, interpreter_directory),
        (cgroup_path, uid, user, slice_user),
        (stated_context, stated_script),
    );
    // What came later counts only where it is known: an identity of an earlier version stays itself.
    if login_user.is_none() && job_daemon.is_none() && container.is_none() {
        return digest(&first);
    }
    digest(&(first, (login_user, job_daemon, container)))
}

/// The kernel's key where there is one: what else is known of the image may grow later.
pub(super) fn digest_of_process(process: &Process) -> Digest {
    match &process.key {
        Some(key) => digest(&(&process.host, &process.boot_id, key)),
        None => digest(process),
    }
}

/// Writes a new identity.
pub(super) fn add_identity(
    connection: &Connection,
    digest: &Digest,
    host: i64,
    raw: &RawIdentity,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO identity (
               digest, host_id, exe, is_deleted, is_memfd, is_foreign,
               interpreter_argv, interpreter_directory, cgroup_path,
               uid, user, slice_user, login_user, job_daemon, container,
               stated_context, stated_script
             )
             VALUES (
               ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
             )",
        )?
        .insert(params![
            digest,
            host,
            raw.exe,
            raw.is_deleted,
            raw.is_memfd,
            raw.is_foreign,
            raw.interpreter_argv.as_ref().map(json),
            raw.interpreter_directory,
            raw.cgroup_path,
            raw.uid,
            raw.user,
            raw.slice_user,
            raw.login_user,
            raw.job_daemon,
            raw.container.as_ref().map(json),
            raw.stated_context,
            raw.stated_script,
        ])
}

const ADD_PROCESS: &str = "
INSERT INTO process (
  digest, host_id, boot_id, key_pid, key_started_boot_ns, key_exec_id, pid, ppid, started_ns,
  exe_path, exe_device, exe_inode, exe_is_deleted, exe_is_memfd, exe_is_truncated, exe_is_foreign,
  comm, argv, cmdline, argv_truncated, working_directory, ancestors,
  uid, euid, login_uid, audit_session, tty, cgroup_id, cgroup_path,
  net_namespace, mnt_namespace, user_namespace, pid_namespace
)
VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
  ?10, ?11, ?12, ?13, ?14, ?15, ?16,
  ?17, ?18, ?19, ?20, ?21, ?22,
  ?23, ?24, ?25, ?26, ?27, ?28, ?29,
  ?30, ?31, ?32, ?33
)";

/// Numbers that use all 64 bits keep them: the largest ones are stored as negative numbers.
pub(super) fn add_process(
    connection: &Connection,
    digest: &Digest,
    host: i64,
    process: &Process,
) -> rusqlite::Result<i64> {
    let key = process.key.as_ref();
    let exe = process.exe.as_ref();
    let namespaces = process.namespaces.as_ref();
    connection.prepare_cached(ADD_PROCESS)?.insert(params![
        digest,
        host,
        process.boot_id,
        key.map(|key| key.pid),
        key.map(|key| key.started_boot_ns.cast_signed()),
        key.map(|key| key.exec_id.cast_signed()),
        process.pid,
        process.ppid,
        process.started.map(Timestamp::unix_ns),
        exe.map(|exe| &exe.path),
        exe.and_then(|exe| exe.device).map(u64::cast_signed),
        exe.and_then(|exe| exe.inode).map(u64::cast_signed),
        exe.map(|exe| exe.is_deleted),
        exe.map(|exe| exe.is_memfd),
        exe.map(|exe| exe.is_truncated),
        exe.map(|exe| exe.is_foreign),
        process.comm,
        process.argv.as_ref().map(json),
        process.cmdline,
        process.argv_truncated,
        process.working_directory,
        json(&process.ancestors),
        process.uid,
        process.euid,
        process.login_uid,
        process.audit_session,
        process.tty,
        process.cgroup_id.map(u64::cast_signed),
        process.cgroup_path,
        namespaces.map(|namespaces| namespaces.net),
        namespaces.map(|namespaces| namespaces.mnt),
        namespaces.map(|namespaces| namespaces.user),
        namespaces.map(|namespaces| namespaces.pid),
    ])
}
