//! Opens databases: for writing with the schema brought up to date, for reading wherever they are.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, FileControl, OpenFlags, config::DbConfig};

use super::{
    StoreError,
    file::{Content, beside, create_if_missing, inspect, refuse_newer},
    lock::{self, Holder},
    migrate,
};

/// Longer than any write of ours but a long import; those who wait can try again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A reader that is done soon is waited for; one that is not must not hold up a shutdown.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(200);

/// All statements of a recorder, so that none is parsed twice.
const STATEMENTS: usize = 64;

/// Opens or creates a database and brings its schema up to date.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    if fs::symlink_metadata(path).is_err() {
        create_if_missing(path)?;
    }
    let content = inspect(path)?;
    let failed = |error| StoreError::of_sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, error))?;
    if connection.is_readonly("main").map_err(failed)? {
        // SQLite falls back to reading when it may not write, whatever the reason.
        return Err(why_read_only(path));
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Until the schema is known to be ours to write, closing must not move a byte of the file.
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection
        .set_db_config(no_checkpoint, true)
        .map_err(failed)?;
    refuse_newer(path, migrate::version(&connection).map_err(failed)?)?;
    if content == Content::Empty {
        // Before the first table is made, or it would need a VACUUM.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(failed)?;
    }
    configure(&mut connection).map_err(failed)?;
    connection
        .set_db_config(no_checkpoint, false)
        .map_err(failed)?;
    Ok(connection)
}

/// The order matters: a new file gets its application id with the first migration, and only then a
/// write-ahead log in which that could be hidden.
fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate::apply(connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Readers in a place that they cannot write need the files of the log to be there.
    let mut persist = 1;
    connection.file_control(Some("main"), FileControl::PersistWal(&mut persist))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Without this SQLite plans a statement anew whenever other values are bound to it, which takes longer
/// than to run it.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// Opens an existing database for reading.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    if inspect(path)? == Content::Empty {
        return Err(StoreError::NotADatabase {
            path: path.to_owned(),
        });
    }
    let connection = match open_beside_writers(path) {
        Ok(connection) => connection,
        Err(error) => match open_at_rest(path)? {
            Some(connection) => connection,
            None => return Err(cannot_open(path, error)),
        },
    };
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    keep_plans(&connection).map_err(|error| StoreError::of_sqlite(path, error))?;
    let found =
        migrate::version(&connection).map_err(|error| StoreError::of_sqlite(path, error))?;
    refuse_newer(path, found)?;
    if found < migrate::newest() {
        return Err(StoreError::Older {
            path: path.to_owned(),
            found,
            known: migrate::newest(),
        });
    }
    Ok(connection)
}

fn open_beside_writers(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Opening touches nothing: only the first read shows whether the log can be used.
    migrate::version(&connection)?;
    Ok(connection)
}

/// Without files of a write-ahead log and without permission to make them, the database file alone
/// can be read as long as nobody writes it and nothing is left in a log.
fn open_at_rest(path: &Path) -> Result<Option<Connection>, StoreError> {
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
    if log > 0 || matches!(lock::holder(path)?, Holder::Observer(_)) {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(immutable_uri(path), flags).ok())
}

/// Every byte that is not plainly harmless is escaped, so that no file name can add a parameter.
fn immutable_uri(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};

    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = "file:".to_owned();
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            _ => write!(uri, "%{byte:02x}").expect("a string takes all that is written to it"),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// SQLite says only that it cannot open the file; the system knows why.
fn cannot_open(path: &Path, error: rusqlite::Error) -> StoreError {
    match fs::File::open(path) {
        Err(cause) => StoreError::of_file(path, cause),
        Ok(_) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) => {
            StoreError::NoPermission {
                path: path.to_owned(),
            }
        }
        Ok(_) => StoreError::of_sqlite(path, error),
    }
}

fn why_read_only(path: &Path) -> StoreError {
    match fs::OpenOptions::new().append(true).open(path) {
        Err(cause) => StoreError::of_file(path, cause),
        Ok(_) => StoreError::ReadOnly {
            path: path.to_owned(),
        },
    }
}

/// Moves everything from the log into the database file, so that the file alone tells all. Readers
/// can stand in the way; then it is done another time, and nobody waits for it.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(CHECKPOINT_PATIENCE)?;
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    done
}
