//! What is in a database, as an administrator sees it with the sqlite3 shell.

use std::path::Path;

use egress_baseline::model::LossCause;
use rusqlite::{Connection, OpenFlags, Params, ToSql};

/// A database that may be in use.
pub(crate) struct Stored {
    connection: Connection,
}

/// Sums over flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) attempts: u64,
    pub(crate) bytes_out: u64,
    pub(crate) destinations: u64,
}

impl Stored {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|cause| told(&cause))?;
        Ok(Self { connection })
    }

    /// One whole number that a query yields; nothing is 0.
    pub(crate) fn number(&self, query: &str, values: impl Params) -> Result<i64, String> {
        self.connection
            .query_row(query, values, |row| row.get::<_, Option<i64>>(0))
            .map(Option::unwrap_or_default)
            .map_err(|cause| told(&cause))
    }

    /// What SQLite says of the file itself: `ok`, if all is well.
    pub(crate) fn integrity(&self) -> Result<String, String> {
        let ask = |pragma| {
            self.connection
                .query_row(pragma, [], |row| row.get::<_, String>(0))
        };
        ask("PRAGMA integrity_check").map_err(|cause| told(&cause))
    }

    /// Sums over the flows of an executable, of every outcome or of one.
    pub(crate) fn sums(&self, exe: &str, outcome: Option<&str>) -> Result<Sums, String> {
        let query = "
            SELECT
              ifnull(SUM(attempts), 0),
              ifnull(SUM(bytes_out), 0),
              COUNT(DISTINCT address || ' ' || port)
            FROM flows
            WHERE exe = ?1
              AND (?2 IS NULL OR outcome = ?2)";
        self.connection
            .query_row(query, (exe, outcome), |row| {
                let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                Ok(Sums {
                    attempts: number(0)?,
                    bytes_out: number(1)?,
                    destinations: number(2)?,
                })
            })
            .map_err(|cause| told(&cause))
    }

    /// How much was lost for `cause`.
    pub(crate) fn lost(&self, cause: LossCause) -> Result<u64, String> {
        self.loss(
            "SELECT SUM(count) FROM losses WHERE cause = ?1",
            cause.word(),
        )
    }

    /// How many bytes went with that.
    pub(crate) fn lost_bytes(&self, cause: LossCause) -> Result<u64, String> {
        self.loss(
            "SELECT SUM(bytes) FROM losses WHERE cause = ?1",
            cause.word(),
        )
    }

    fn loss(&self, query: &str, cause: impl ToSql) -> Result<u64, String> {
        Ok(self.number(query, [cause])?.cast_unsigned())
    }
}

fn told(cause: &rusqlite::Error) -> String {
    format!("ask the database: {cause}")
}
