//! Whose contacts a query is about.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{query::Bounds, read::Reader, rows::application_of};
use crate::model::Application;

/// Identities that the query is about, and what they stand for.
#[derive(Debug, Default)]
pub(super) struct MatchingMakers {
    /// Host and application by their numbers, each pair once.
    pub(super) pairs: Vec<(i64, i64)>,
    /// The pair of each identity, and its user.
    pub(super) identities: HashMap<i64, (usize, Option<usize>), RandomState>,
    pub(super) users: Vec<String>,
}

const IDENTITIES: &str = "
SELECT i.id, i.host_id, m.application_id, ifnull(i.user, i.uid || '') AS user
FROM identity AS i
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = i.id
JOIN application AS a ON a.id = m.application_id
WHERE (?2 IS NULL OR h.name = ?2)
  AND (
    ?1 IS NULL
    OR a.context || ' ' || a.program || ifnull(' ' || a.script, '') GLOB ?1
    OR a.context GLOB ?1
    OR a.program GLOB ?1
    OR a.script GLOB ?1
  )";

impl Reader {
    pub(super) fn matching_makers(&self, bounds: &Bounds) -> rusqlite::Result<MatchingMakers> {
        let mut makers = MatchingMakers::default();
        let mut pairs = HashMap::<(i64, i64), usize>::new();
        let mut users = HashMap::<String, usize>::new();
        let mut statement = self.connection.prepare_cached(IDENTITIES)?;
        let mut rows = statement.query((&bounds.application, &bounds.host))?;
        while let Some(row) = rows.next()? {
            let pair = (row.get("host_id")?, row.get("application_id")?);
            let pair = *pairs.entry(pair).or_insert_with(|| {
                makers.pairs.push(pair);
                makers.pairs.len() - 1
            });
            let user: Option<String> = row.get("user")?;
            let user = user.map(|user| {
                *users.entry(user.clone()).or_insert_with(|| {
                    makers.users.push(user);
                    makers.users.len() - 1
                })
            });
            makers.identities.insert(row.get("id")?, (pair, user));
        }
        Ok(makers)
    }

    /// Pairs by the names of their hosts and applications.
    pub(super) fn in_order(
        &self,
        makers: &MatchingMakers,
    ) -> rusqlite::Result<Vec<(usize, String, Application)>> {
        let hosts: HashMap<i64, String> = self
            .connection
            .prepare_cached("SELECT id, name FROM host")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let applications: HashMap<i64, Application> = self
            .connection
            .prepare_cached("SELECT * FROM application")?
            .query_map([], |row| Ok((row.get("id")?, application_of(row)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut pairs: Vec<_> = makers
            .pairs
            .iter()
            .enumerate()
            .filter_map(|(pair, (host, application))| {
                let application = applications.get(application)?.clone();
                Some((pair, hosts.get(host)?.clone(), application))
            })
            .collect();
        pairs.sort_by(|(_, host, application), (_, other_host, other)| {
            (host, application).cmp(&(other_host, other))
        });
        Ok(pairs)
    }
}
