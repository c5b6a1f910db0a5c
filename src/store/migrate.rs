//! Brings the schema up to date. Numbers ascend, and a migration that has landed never changes.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// `EgBl` as SQLite's application id: tells our files from those of other programs.
pub(super) const APPLICATION_ID: i32 = 0x4567_426c;

const MIGRATIONS: [&str; 7] = [
    include_str!("../../migrations/0001_flows.sql"),
    include_str!("../../migrations/0002_self_checks.sql"),
    include_str!("../../migrations/0003_compact.sql"),
    include_str!("../../migrations/0004_packed_runs.sql"),
    include_str!("../../migrations/0005_who.sql"),
    include_str!("../../migrations/0006_openings.sql"),
    include_str!("../../migrations/0007_files.sql"),
];

/// The schema that this program reads and writes.
pub(super) const fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

/// The schema of an open database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies what is missing, each migration in a transaction of its own.
pub(super) fn apply(connection: &mut Connection) -> rusqlite::Result<()> {
    while version(connection)? < newest() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        apply_next(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Reads the version again inside the transaction: another process may have been faster.
fn apply_next(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let version = version(transaction)?;
    let next = usize::try_from(version).unwrap_or(0);
    let Some(migration) = MIGRATIONS.get(next) else {
        return Ok(());
    };
    transaction.execute_batch(migration)?;
    if version == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "INSERT INTO origin (id, store_id) VALUES (1, lower(hex(randomblob(8))))",
            [],
        )?;
    }
    transaction.pragma_update(None, "user_version", version + 1)
}
