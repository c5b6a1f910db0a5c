//! What identities stand for: a mapping that can be computed again when its rules change.

use rusqlite::OptionalExtension as _;

use super::{Recorder, StoreError, intern::stand_for, rows::identity_of};
use crate::model::{Application, RawIdentity};

/// Number of a raw identity in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub i64);

impl Recorder {
    /// The version of the rules that the whole mapping was last computed with.
    pub fn rules_version(&self) -> Result<Option<u32>, StoreError> {
        let value: Option<String> = self
            .connection
            .query_row(
                "SELECT value FROM meta WHERE key = 'rules_version'",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| self.failed(error))?;
        // What cannot be read was not computed with rules that we know.
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// All raw identities.
    pub fn identities(&self) -> Result<Vec<(IdentityId, RawIdentity)>, StoreError> {
        self.connection
            .prepare(
                "SELECT i.*, h.name AS host
                 FROM identity AS i
                 JOIN host AS h ON h.id = i.host_id
                 ORDER BY i.id",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| {
                        Ok((IdentityId(row.get("id")?), identity_of(row)?))
                    })?
                    .collect()
            })
            .map_err(|error| self.failed(error))
    }

    /// Writes down what identities stand for under these rules, in one transaction. Identities that
    /// are not named keep their application.
    pub fn set_applications(
        &mut self,
        rules_version: u32,
        mapping: Vec<(IdentityId, Application)>,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.in_transaction(|writer| {
            let connection = writer.connection;
            let write = || {
                for (identity, application) in &mapping {
                    stand_for(connection, identity.0, application)?;
                }
                connection.execute(
                    "DELETE FROM application
                     WHERE id NOT IN (SELECT application_id FROM identity_application)",
                    [],
                )?;
                connection.execute(
                    "INSERT INTO meta (key, value)
                     VALUES ('rules_version', ?1)
                     ON CONFLICT DO UPDATE SET value = excluded.value",
                    (rules_version.to_string(),),
                )
            };
            write().map_err(|error| StoreError::of_sqlite(&path, error))
        })?;
        Ok(())
    }
}
