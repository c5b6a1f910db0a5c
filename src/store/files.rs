//! Files that ran: each version once, with the identities and process images that ran it.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::{
    Reader, StoreError,
    images::{digest_of_identity, digest_of_process},
    import::ImportTransaction,
    intern::{IDENTITY_OF_DIGEST, Interned, PROCESS_OF_DIGEST, find, remember},
    value::{Columns as _, Digest, digest, invalid},
    write::Writer,
};
use crate::model::{
    Application, FileFacts, FilePlace, FileRole, FileSeen, FileUse, NoDigest, Package, Process,
    ProcessFiles, RawIdentity, RecordedFlow, Timestamp,
};

const ADD_FILE: &str = "
INSERT INTO file (
  digest, host_id, path, resolved_path, device, inode, size, changed_ns, sha256, no_sha256,
  mode, owner_uid, owner_gid, capabilities, place, writable_by_all, ownership,
  package_manager, package, package_version, package_architecture, package_check
)
VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
  ?22
)";

const ADD_USE: &str = "
INSERT INTO identity_file (identity_id, role, file_id, first_ns, last_ns)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (identity_id, role, file_id) DO UPDATE SET
  first_ns = min(first_ns, excluded.first_ns),
  last_ns = max(last_ns, excluded.last_ns)";

/// Writes a new file.
fn add_file(
    connection: &Connection,
    digest: &Digest,
    host: i64,
    file: &FileFacts,
) -> rusqlite::Result<i64> {
    let package = file.package.as_ref();
    connection.prepare_cached(ADD_FILE)?.insert(params![
        digest,
        host,
        file.path,
        file.resolved_path,
        file.device.map(u64::cast_signed),
        file.inode.map(u64::cast_signed),
        file.size.map(u64::cast_signed),
        file.changed.map(Timestamp::unix_ns),
        file.sha256,
        file.no_sha256.map(NoDigest::word),
        file.mode,
        file.owner_uid,
        file.owner_gid,
        file.capabilities,
        file.place.map(FilePlace::word),
        file.writable_by_all,
        file.ownership.word(),
        package.map(|package| &package.manager),
        package.map(|package| &package.name),
        package.and_then(|package| package.version.as_ref()),
        package.and_then(|package| package.architecture.as_ref()),
        package.map(|package| package.check.word()),
    ])
}

fn column_of(role: FileRole) -> &'static str {
    match role {
        FileRole::Executable => {
            "UPDATE process SET exe_file_id = ?2 WHERE id = ?1 AND exe_file_id IS NOT ?2"
        }
        FileRole::Script => {
            "UPDATE process SET script_file_id = ?2 WHERE id = ?1 AND script_file_id IS NOT ?2"
        }
    }
}

impl Writer<'_> {
    /// Notes which files the makers of flows ran. Makers without a stored flow are passed over: what
    /// they sent was given up, or is no egress.
    pub(super) fn add_file_uses(&mut self, uses: &[FileUse]) -> rusqlite::Result<()> {
        let mut windows = HashMap::<(i64, FileRole, i64), (i64, i64)>::new();
        for one in uses {
            let connection = self.connection;
            let Some(identity) = self
                .interned
                .known_identity(connection, &one.identity.raw)?
            else {
                continue;
            };
            let file = self.interned.file(connection, &one.file)?;
            if let Some(process) = self.interned.known_process(connection, &one.process)? {
                self.interned
                    .run_file(connection, process, one.role, file)?;
            }
            let (first, last) = (one.first.unix_ns(), one.last.unix_ns());
            windows
                .entry((identity, one.role, file))
                .and_modify(|window| *window = (window.0.min(first), window.1.max(last)))
                .or_insert((first, last));
        }
        let mut statement = self.connection.prepare_cached(ADD_USE)?;
        for ((identity, role, file), (first, last)) in windows {
            statement.execute((identity, role.word(), file, first, last))?;
        }
        Ok(())
    }
}

impl Interned {
    /// The number of an identity that is there.
    pub(super) fn known_identity(
        &self,
        connection: &Connection,
        raw: &RawIdentity,
    ) -> rusqlite::Result<Option<i64>> {
        let digest = digest_of_identity(raw);
        match self.identities.get(&digest) {
            Some(id) => Ok(Some(*id)),
            None => find(connection, IDENTITY_OF_DIGEST, (digest,)),
        }
    }

    /// The number of a process image that is there.
    pub(super) fn known_process(
        &self,
        connection: &Connection,
        process: &Process,
    ) -> rusqlite::Result<Option<i64>> {
        let digest = digest_of_process(process);
        match self.processes.get(&digest) {
            Some(id) => Ok(Some(*id)),
            None => find(connection, PROCESS_OF_DIGEST, (digest,)),
        }
    }

    /// The number of a file.
    pub(super) fn file(
        &mut self,
        connection: &Connection,
        file: &FileFacts,
    ) -> rusqlite::Result<i64> {
        let digest = digest(file);
        if let Some(id) = self.files.get(&digest) {
            return Ok(*id);
        }
        let known = find(
            connection,
            "SELECT id FROM file WHERE digest = ?1",
            (digest,),
        )?;
        let id = match known {
            Some(id) => id,
            None => {
                let host = self.host(connection, &file.host)?;
                add_file(connection, &digest, host, file)?
            }
        };
        Ok(remember(&mut self.files, digest, id))
    }

    /// Notes once that a process image ran a file.
    pub(super) fn run_file(
        &mut self,
        connection: &Connection,
        process: i64,
        role: FileRole,
        file: i64,
    ) -> rusqlite::Result<()> {
        if self.run_files.get(&(process, role)) != Some(&file) {
            set_file_of_process(connection, process, role, file)?;
            remember(&mut self.run_files, (process, role), file);
        }
        Ok(())
    }
}

/// Notes that a process image ran a file.
fn set_file_of_process(
    connection: &Connection,
    process: i64,
    role: FileRole,
    file: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(column_of(role))?
        .execute((process, file))?;
    Ok(())
}

impl ImportTransaction<'_> {
    /// Adds a file of the dump; returns its number here.
    pub(super) fn merge_file(&mut self, file: &FileFacts) -> rusqlite::Result<i64> {
        self.writer.interned.file(self.writer.connection, file)
    }

    /// Adds when flows of an identity came from a file.
    pub(super) fn merge_file_use(
        &self,
        (identity, file): (i64, i64),
        role: FileRole,
        (first, last): (Timestamp, Timestamp),
    ) -> rusqlite::Result<()> {
        let (first, last) = (first.unix_ns(), last.unix_ns());
        self.writer.connection.prepare_cached(ADD_USE)?.execute((
            identity,
            role.word(),
            file,
            first,
            last,
        ))?;
        Ok(())
    }

    /// Notes what a process image of the dump ran.
    pub(super) fn merge_files_of_process(
        &self,
        process: i64,
        files: [(FileRole, Option<i64>); 2],
    ) -> rusqlite::Result<()> {
        for (role, file) in files {
            if let Some(file) = file {
                set_file_of_process(self.writer.connection, process, role, file)?;
            }
        }
        Ok(())
    }
}

const FILES_OF_APPLICATION: &str = "
SELECT f.*, h.name AS host, u.role, MIN(u.first_ns) AS first_ns, MAX(u.last_ns) AS last_ns
FROM identity_file AS u
JOIN file AS f ON f.id = u.file_id
JOIN host AS h ON h.id = f.host_id
JOIN identity_application AS m ON m.identity_id = u.identity_id
JOIN application AS a ON a.id = m.application_id
WHERE h.name = ?1
  AND a.context = ?2
  AND a.program = ?3
  AND a.script IS ?4
GROUP BY u.role, f.id
ORDER BY u.role, last_ns DESC, f.id DESC
LIMIT ?5";

const FILES_OF_FLOW: &str = "
SELECT f.*, h.name AS host, r.role, u.first_ns, u.last_ns
FROM flow AS l
JOIN maker AS k ON k.id = l.maker_id
JOIN process AS p ON p.id = k.process_id
JOIN (SELECT 'executable' AS role UNION ALL SELECT 'script') AS r
JOIN file AS f
  ON f.id = CASE r.role WHEN 'executable' THEN p.exe_file_id ELSE p.script_file_id END
JOIN host AS h ON h.id = f.host_id
JOIN identity_file AS u
  ON u.identity_id = k.identity_id
  AND u.role = r.role
  AND u.file_id = f.id
WHERE l.id = ?1
ORDER BY r.role";

impl Reader {
    /// Files that an application ran on a host, the latest of each role first.
    pub fn files_of_application(
        &self,
        host: &str,
        application: &Application,
        limit: u32,
    ) -> Result<Vec<FileSeen>, StoreError> {
        let Application {
            context,
            program,
            script,
        } = application;
        self.connection
            .prepare_cached(FILES_OF_APPLICATION)
            .and_then(|mut statement| {
                statement
                    .query_map(
                        (host, context.as_str(), program, script, limit),
                        file_seen_of,
                    )?
                    .collect()
            })
            .map_err(|error| self.failed(error))
    }

    /// Files that the process of a flow ran.
    pub fn files_of_flow(&self, flow: &RecordedFlow) -> Result<Vec<FileSeen>, StoreError> {
        let Some(flow_id) = flow.flow.flow_id.as_deref() else {
            return Ok(Vec::new());
        };
        let files = || {
            let Some(row) = self.row_of(flow_id)? else {
                return Ok(Vec::new());
            };
            self.connection
                .prepare_cached(FILES_OF_FLOW)?
                .query_map((row,), file_seen_of)?
                .collect()
        };
        files().map_err(|error| self.failed(error))
    }
}

fn file_seen_of(row: &Row<'_>) -> rusqlite::Result<FileSeen> {
    Ok(FileSeen {
        role: role_of(row)?,
        first: row.time("first_ns")?,
        last: row.time("last_ns")?,
        file: file_of(row)?,
    })
}

/// What a file was, from a row with its role.
pub(super) fn role_of(row: &Row<'_>) -> rusqlite::Result<FileRole> {
    word_of(row, "role")?.ok_or_else(|| invalid("no role".into()))
}

fn word_of<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        text.parse()
            .map_err(|_| invalid(format!("`{text}` is no word of `{column}`").into()))
    })
    .transpose()
}

/// A file from a row of its table with `host` beside it.
pub(super) fn file_of(row: &Row<'_>) -> rusqlite::Result<FileFacts> {
    let bits = |column: &str| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
    };
    let name: Option<String> = row.get("package")?;
    let package = match (name, word_of(row, "package_check")?) {
        (Some(name), Some(check)) => Some(Package {
            manager: row.get("package_manager")?,
            name,
            version: row.get("package_version")?,
            architecture: row.get("package_architecture")?,
            check,
        }),
        _ => None,
    };
    Ok(FileFacts {
        host: row.get("host")?,
        path: row.get("path")?,
        resolved_path: row.get("resolved_path")?,
        device: bits("device")?,
        inode: bits("inode")?,
        size: bits("size")?,
        changed: row
            .get::<_, Option<i64>>("changed_ns")?
            .map(Timestamp::from_unix_ns),
        sha256: row.get("sha256")?,
        no_sha256: word_of(row, "no_sha256")?,
        mode: row.get("mode")?,
        owner_uid: row.get("owner_uid")?,
        owner_gid: row.get("owner_gid")?,
        capabilities: row.get("capabilities")?,
        place: word_of(row, "place")?,
        writable_by_all: row.get("writable_by_all")?,
        ownership: word_of(row, "ownership")?.unwrap_or_default(),
        package,
    })
}

/// Numbers within a dump of what a process image ran, from a row of its table.
pub(super) fn files_of_process(
    row: &Row<'_>,
    mut number: impl FnMut(i64) -> u64,
) -> rusqlite::Result<ProcessFiles> {
    let executable: Option<i64> = row.get("exe_file_id")?;
    let script: Option<i64> = row.get("script_file_id")?;
    Ok(ProcessFiles {
        executable: executable.map(&mut number),
        script: script.map(&mut number),
    })
}
