//! What flows refer to: found if it is there, added if it is new.

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::{
    images::{add_identity, add_process, digest_of_identity, digest_of_process},
    value::Digest,
};
use crate::model::{Application, Destination, FileRole, IdentityRecord, Process, Timestamp};

/// More than the distinct ones in use at a time on a busy host; a full map starts over.
const CACHE_LIMIT: usize = 1 << 16;

/// Numbers of rows that are known to be there, so that a batch need not ask for them again.
///
/// Valid only while no transaction of ours failed and no other process wrote: a prune beside the
/// observer may have dropped what no flow needed.
#[derive(Debug, Default)]
pub(super) struct Interned {
    data_version: Option<i64>,
    hosts: Numbers<String>,
    pub(super) identities: Numbers<Digest>,
    pub(super) processes: Numbers<Digest>,
    destinations: Numbers<Destination>,
    names: Numbers<String>,
    addresses: Numbers<IpAddr>,
    cgroups: Numbers<String>,
    pub(super) files: Numbers<Digest>,
    /// The file that each process image is known to have run.
    pub(super) run_files: Numbers<(i64, FileRole)>,
    makers: Numbers<MakerRow>,
    runs: Numbers<(i64, String)>,
    /// How far runs reach that were met in this transaction.
    run_windows: HashMap<i64, (i64, i64), RandomState>,
}

type Numbers<K> = HashMap<K, i64, RandomState>;

/// What flows of one maker have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MakerRow {
    pub(super) origin: i64,
    pub(super) period: i64,
    pub(super) identity: i64,
    pub(super) process: Option<i64>,
    pub(super) run: Option<i64>,
    pub(super) socket_uid: Option<u32>,
    pub(super) socket_cgroup: Option<i64>,
    pub(super) network_namespace: Option<u32>,
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

    /// The number of an address.
    pub(super) fn address(
        &mut self,
        connection: &Connection,
        address: IpAddr,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.addresses.get(&address) {
            return Ok(*id);
        }
        let id = find_or_add(
            connection,
            "SELECT id FROM address WHERE address = ?1",
            "INSERT INTO address (address) VALUES (?1)",
            (address.to_string(),),
        )?;
        Ok(remember(&mut self.addresses, address, id))
    }

    /// The number of a maker's row. It is looked for in memory only: a second row of the same maker
    /// does no harm.
    pub(super) fn maker(
        &mut self,
        connection: &Connection,
        row: MakerRow,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.makers.get(&row) {
            return Ok(*id);
        }
        let id = connection
            .prepare_cached(
                "INSERT INTO maker (
                   origin_id, watch_period_id, identity_id, process_id, run_id, socket_uid,
                   socket_cgroup_id, network_namespace
                 )
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .insert((
                row.origin,
                row.period,
                row.identity,
                row.process,
                row.run,
                row.socket_uid,
                row.socket_cgroup,
                row.network_namespace,
            ))?;
        Ok(remember(&mut self.makers, row, id))
    }

    /// The number of a run, which from now on reaches from `first` to `last` at least.
    pub(super) fn run(
        &mut self,
        connection: &Connection,
        host: i64,
        key: &str,
        (first, last): (Timestamp, Timestamp),
    ) -> rusqlite::Result<i64> {
        let (first, last) = (first.unix_ns(), last.unix_ns());
        let key = (host, key.to_owned());
        let id = match self.runs.get(&key) {
            Some(id) => *id,
            None => {
                let id = connection
                    .prepare_cached(
                        "INSERT INTO run (host_id, key, first_ns, last_ns)
                         VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (host_id, key) DO UPDATE SET key = excluded.key
                         RETURNING id",
                    )?
                    .query_row((host, &key.1, first, last), |row| row.get(0))?;
                remember(&mut self.runs, key, id)
            }
        };
        self.widen_run(id, first, last);
        Ok(id)
    }

    /// A run reaches from `first` to `last` at least.
    pub(super) fn widen_run(&mut self, run: i64, first: i64, last: i64) {
        self.run_windows
            .entry(run)
            .and_modify(|window| *window = (window.0.min(first), window.1.max(last)))
            .or_insert((first, last));
    }

    /// Writes down how far runs reach.
    pub(super) fn write_runs(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "UPDATE run
             SET first_ns = min(first_ns, ?2), last_ns = max(last_ns, ?3)
             WHERE id = ?1",
        )?;
        for (run, (first, last)) in self.run_windows.drain() {
            statement.execute((run, first, last))?;
        }
        Ok(())
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
        let known = find(connection, IDENTITY_OF_DIGEST, (digest,))?;
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
        let known = find(connection, PROCESS_OF_DIGEST, (digest,))?;
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

pub(super) const IDENTITY_OF_DIGEST: &str = "SELECT id FROM identity WHERE digest = ?1";
pub(super) const PROCESS_OF_DIGEST: &str = "SELECT id FROM process WHERE digest = ?1";

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

pub(super) fn remember<K: Eq + Hash>(cache: &mut Numbers<K>, key: K, id: i64) -> i64 {
    if cache.len() >= CACHE_LIMIT {
        cache.clear();
    }
    cache.insert(key, id);
    id
}

pub(super) fn find(
    connection: &Connection,
    query: &str,
    key: impl Params,
) -> rusqlite::Result<Option<i64>> {
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
