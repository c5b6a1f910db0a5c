//! What flows refer to: found if it is there, added if it is new.

use std::{collections::HashMap, hash::Hash};

use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::value::{Digest, digest, json};
use crate::model::{Application, Destination, IdentityRecord, Process, RawIdentity, Timestamp};

/// More than the distinct ones in use at a time on a busy host; a full map starts over.
const CACHE_LIMIT: usize = 1 << 16;

/// Numbers of rows that are known to be there, so that a batch need not ask for them again.
///
/// Valid only while no transaction of ours failed and no other process wrote: a prune beside the
/// observer may have dropped what no flow needed.
#[derive(Debug, Default)]
pub(super) struct Interned {
    data_version: Option<i64>,
    hosts: HashMap<String, i64>,
    identities: HashMap<Digest, i64>,
    processes: HashMap<Digest, i64>,
    destinations: HashMap<Destination, i64>,
    names: HashMap<String, i64>,
    cgroups: HashMap<String, i64>,
}

impl Interned {
    /// Forgets everything if another process wrote since; call it inside a write transaction.
    pub(super) fn forget_if_changed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let now = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.data_version != Some(now) {
            *self = Self {
                data_version: Some(now),
                ..Self::default()
            };
        }
        Ok(())
    }

    /// The number of a host.
    pub(super) fn host(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.hosts.get(name) {
            return Ok(*id);
        }
        let id = find_or_add(
            connection,
            "SELECT id FROM host WHERE name = ?1",
            "INSERT INTO host (name) VALUES (?1)",
            (name,),
        )?;
        Ok(remember(&mut self.hosts, name.to_owned(), id))
    }

    /// The number of a cgroup path.
    pub(super) fn cgroup(&mut self, connection: &Connection, path: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.cgroups.get(path) {
            return Ok(*id);
        }
        let id = find_or_add(
            connection,
            "SELECT id FROM cgroup WHERE path = ?1",
            "INSERT INTO cgroup (path) VALUES (?1)",
            (path,),
        )?;
        Ok(remember(&mut self.cgroups, path.to_owned(), id))
    }

    /// The number of a name; a new name is its own pattern.
    pub(super) fn name(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let id = find_or_add(
            connection,
            "SELECT id FROM name WHERE name = ?1",
            "INSERT INTO name (name) VALUES (?1)",
            (name,),
        )?;
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO name_pattern (name_id, pattern) VALUES (?1, ?2)",
            )?
            .execute(params![id, name])?;
        Ok(remember(&mut self.names, name.to_owned(), id))
    }

    /// The number of a destination.
    pub(super) fn destination(
        &mut self,
        connection: &Connection,
        destination: &Destination,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.destinations.get(destination) {
            return Ok(*id);
        }
        let name = match &destination.name {
            Some(name) => Some(self.name(connection, name)?),
            None => None,
        };
        let id = find_or_add(
            connection,
            "SELECT id
             FROM destination
             WHERE ifnull(name_id, 0) = ifnull(?1, 0)
               AND ifnull(address, '') = ifnull(?2, '')
               AND ifnull(port, -1) = ifnull(?3, -1)
               AND ifnull(protocol, -1) = ifnull(?4, -1)",
            "INSERT INTO destination (name_id, address, port, protocol) VALUES (?1, ?2, ?3, ?4)",
            (
                name,
                destination.address.map(|address| address.to_string()),
                destination.port,
                destination.protocol.0,
            ),
        )?;
        Ok(remember(&mut self.destinations, destination.clone(), id))
    }

    /// The number of an identity; what it stands for is written down if it is new or changed.
    pub(super) fn identity(
        &mut self,
        connection: &Connection,
        identity: &IdentityRecord,
    ) -> rusqlite::Result<i64> {
        let digest = digest_of_identity(&identity.raw);
        if let Some(id) = self.identities.get(&digest) {
            return Ok(*id);
        }
        let host = self.host(connection, &identity.raw.host)?;
        let known = find(
            connection,
            "SELECT id FROM identity WHERE digest = ?1",
            (digest,),
        )?;
        let id = match known {
            Some(id) => id,
            None => add_identity(connection, &digest, host, &identity.raw)?,
        };
        stand_for(connection, id, &identity.application)?;
        Ok(remember(&mut self.identities, digest, id))
    }

    /// The number of a process image.
    pub(super) fn process(
        &mut self,
        connection: &Connection,
        process: &Process,
    ) -> rusqlite::Result<i64> {
        let digest = digest_of_process(process);
        if let Some(id) = self.processes.get(&digest) {
            return Ok(*id);
        }
        let known = find(
            connection,
            "SELECT id FROM process WHERE digest = ?1",
            (digest,),
        )?;
        let id = match known {
            Some(id) => id,
            None => {
                let host = self.host(connection, &process.host)?;
                add_process(connection, &digest, host, process)?
            }
        };
        Ok(remember(&mut self.processes, digest, id))
    }
}

/// Writes down what an identity stands for.
pub(super) fn stand_for(
    connection: &Connection,
    identity: i64,
    application: &Application,
) -> rusqlite::Result<()> {
    let application = find_or_add(
        connection,
        "SELECT id
         FROM application
         WHERE program = ?2
           AND context = ?1
           AND ifnull(script, '') = ifnull(?3, '')
           AND (script IS NULL) = (?3 IS NULL)",
        "INSERT INTO application (context, program, script) VALUES (?1, ?2, ?3)",
        (
            application.context.as_str(),
            &application.program,
            &application.script,
        ),
    )?;
    connection
        .prepare_cached(
            "INSERT INTO identity_application (identity_id, application_id)
             VALUES (?1, ?2)
             ON CONFLICT (identity_id) DO UPDATE SET application_id = excluded.application_id
             WHERE application_id <> excluded.application_id",
        )?
        .execute((identity, application))?;
    Ok(())
}

/// The number of a run, which from now on reaches from `first` to `last` at least.
pub(super) fn run(
    connection: &Connection,
    host: i64,
    key: &str,
    (first, last): (Timestamp, Timestamp),
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO run (host_id, key, first_ns, last_ns)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (host_id, key) DO UPDATE SET
               first_ns = min(first_ns, excluded.first_ns),
               last_ns = max(last_ns, excluded.last_ns)
             RETURNING id",
        )?
        .query_row((host, key, first.unix_ns(), last.unix_ns()), |row| {
            row.get(0)
        })
}

fn remember<K: Eq + Hash>(cache: &mut HashMap<K, i64>, key: K, id: i64) -> i64 {
    if cache.len() >= CACHE_LIMIT {
        cache.clear();
    }
    cache.insert(key, id);
    id
}

fn find(connection: &Connection, query: &str, key: impl Params) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(query)?
        .query_row(key, |row| row.get(0))
        .optional()
}

fn find_or_add(
    connection: &Connection,
    query: &str,
    insert: &str,
    key: impl Params + Clone,
) -> rusqlite::Result<i64> {
    if let Some(id) = find(connection, query, key.clone())? {
        return Ok(id);
    }
    connection.prepare_cached(insert)?.insert(key)
}

fn digest_of_identity(raw: &RawIdentity) -> Digest {
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
        stated_context,
        stated_script,
    } = raw;
    digest(&(
        (host, exe, is_deleted, is_memfd, is_foreign),
        (interpreter_argv, interpreter_directory),
        (cgroup_path, uid, user, slice_user),
        (stated_context, stated_script),
    ))
}

/// The kernel's key where there is one: what else is known of the image may grow later.
fn digest_of_process(process: &Process) -> Digest {
    match &process.key {
        Some(key) => digest(&(&process.host, &process.boot_id, key)),
        None => digest(process),
    }
}

fn add_identity(
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
               uid, user, slice_user, stated_context, stated_script
             )
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
fn add_process(
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
