//! Flows that are stored in detail, with their makers.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{
    Reader, StoreError,
    flow_id::parts_of,
    query::{Bounds, ContactQuery},
    rows::{application_of, flow_of, identity_of, process_of},
};
use crate::model::{Application, Process, RawIdentity, RecordedFlow};

/// Makers that are kept while flows are read: those in use at a time, not all of them.
const CACHE_LIMIT: usize = 1 << 12;

/// One flow a row, then the conditions of the statement.
macro_rules! select_flows {
    ($conditions:literal) => {
        concat!(
            "SELECT
               f.*,
               k.origin_id,
               k.watch_period_id,
               k.identity_id,
               k.process_id,
               k.run_id,
               k.socket_uid,
               k.network_namespace,
               x.given_id,
               x.state,
               y.opening,
               t.address,
               i.host_id,
               d.name_id,
               d.address AS destination_address,
               d.port,
               d.protocol,
               n.name,
               g.path AS socket_cgroup,
               r.key AS run
             FROM flow AS f
             JOIN maker AS k ON k.id = f.maker_id
             JOIN identity AS i ON i.id = k.identity_id
             JOIN host AS h ON h.id = i.host_id
             JOIN identity_application AS m ON m.identity_id = k.identity_id
             JOIN application AS a ON a.id = m.application_id
             JOIN destination AS d ON d.id = f.destination_id
             LEFT JOIN name AS n ON n.id = d.name_id
             LEFT JOIN address AS t ON t.id = f.address_id
             LEFT JOIN flow_import AS x ON x.flow_id = f.id
             LEFT JOIN flow_opening AS y ON y.flow_id = f.id
             LEFT JOIN cgroup AS g ON g.id = k.socket_cgroup_id
             LEFT JOIN run AS r ON r.id = k.run_id ",
            $conditions
        )
    };
}

/// The flow of one row.
pub(super) const FLOW_OF_ROW: &str = select_flows!("WHERE f.id = ?1");

/// All flows in order of recording.
pub(super) const EVERYTHING: &str = select_flows!("ORDER BY f.id");

const EVERY_FLOW: &str = select_flows!(
    "WHERE f.start_ns >= ?1
       AND f.start_ns < ?2
       AND NOT EXISTS (
         SELECT 1
         FROM json_each(?3) AS x
         WHERE f.start_ns >= x.value ->> 0
           AND f.start_ns < x.value ->> 1
       )
       AND (
         ?4 IS NULL
         OR a.context || ' ' || a.program || ifnull(' ' || a.script, '') GLOB ?4
         OR a.context GLOB ?4
         OR a.program GLOB ?4
         OR a.script GLOB ?4
       )
       AND (?5 IS NULL OR n.name GLOB ?5 OR ifnull(t.address, d.address) GLOB ?5)
       AND (?6 IS NULL OR h.name = ?6)
     ORDER BY f.id"
);

const LATEST_FLOWS: &str = select_flows!(
    "WHERE f.start_ns >= ?1
       AND f.start_ns < ?2
       AND NOT EXISTS (
         SELECT 1
         FROM json_each(?3) AS x
         WHERE f.start_ns >= x.value ->> 0
           AND f.start_ns < x.value ->> 1
       )
       AND (
         ?4 IS NULL
         OR a.context || ' ' || a.program || ifnull(' ' || a.script, '') GLOB ?4
         OR a.context GLOB ?4
         OR a.program GLOB ?4
         OR a.script GLOB ?4
       )
       AND (?5 IS NULL OR n.name GLOB ?5 OR ifnull(t.address, d.address) GLOB ?5)
       AND (?6 IS NULL OR h.name = ?6)
     ORDER BY f.start_ns DESC, f.id DESC
     LIMIT ?7"
);

const LATEST_PROCESSES: &str = "
SELECT p.*, h.name AS host
FROM process AS p
JOIN host AS h ON h.id = p.host_id
WHERE p.id IN (
  SELECT k.process_id
  FROM flow AS f
  JOIN maker AS k ON k.id = f.maker_id
  JOIN identity_application AS m ON m.identity_id = k.identity_id
  JOIN application AS a ON a.id = m.application_id
  JOIN destination AS d ON d.id = f.destination_id
  LEFT JOIN name AS n ON n.id = d.name_id
  LEFT JOIN address AS t ON t.id = f.address_id
  WHERE f.start_ns >= ?1
    AND f.start_ns < ?2
    AND NOT EXISTS (
      SELECT 1
      FROM json_each(?3) AS x
      WHERE f.start_ns >= x.value ->> 0
        AND f.start_ns < x.value ->> 1
    )
    AND (
      ?4 IS NULL
      OR a.context || ' ' || a.program || ifnull(' ' || a.script, '') GLOB ?4
      OR a.context GLOB ?4
      OR a.program GLOB ?4
      OR a.script GLOB ?4
    )
    AND (?5 IS NULL OR n.name GLOB ?5 OR ifnull(t.address, d.address) GLOB ?5)
)
  AND (?6 IS NULL OR h.name = ?6)
ORDER BY p.started_ns DESC, p.id DESC
LIMIT ?7";

impl Reader {
    /// The flow with this id.
    pub fn flow(&self, flow_id: &str) -> Result<Option<RecordedFlow>, StoreError> {
        let failed = |error| self.failed(error);
        let Some(row) = self.row_of(flow_id).map_err(failed)? else {
            return Ok(None);
        };
        let mut makers = Makers::default();
        self.connection
            .prepare_cached(FLOW_OF_ROW)
            .and_then(|mut statement| {
                statement
                    .query_row((row,), |row| self.recorded_flow(row, &mut makers))
                    .optional()
            })
            .map_err(failed)
    }

    /// The latest flows of applications that match the query, newest first.
    pub fn flows_of_application(
        &self,
        query: &ContactQuery,
        limit: u32,
    ) -> Result<Vec<RecordedFlow>, StoreError> {
        let bounds = Bounds::of(query);
        let mut makers = Makers::default();
        self.connection
            .prepare_cached(LATEST_FLOWS)
            .and_then(|mut statement| {
                statement
                    .query_map(
                        (
                            bounds.since,
                            bounds.until,
                            &bounds.except,
                            &bounds.application,
                            &bounds.to,
                            &bounds.host,
                            limit,
                        ),
                        |row| self.recorded_flow(row, &mut makers),
                    )?
                    .collect()
            })
            .map_err(|error| self.failed(error))
    }

    /// Process images of applications that match the query, latest start first.
    pub fn processes_of_application(
        &self,
        query: &ContactQuery,
        limit: u32,
    ) -> Result<Vec<Process>, StoreError> {
        let bounds = Bounds::of(query);
        self.connection
            .prepare_cached(LATEST_PROCESSES)
            .and_then(|mut statement| {
                statement
                    .query_map(
                        (
                            bounds.since,
                            bounds.until,
                            &bounds.except,
                            &bounds.application,
                            &bounds.to,
                            &bounds.host,
                            limit,
                        ),
                        process_of,
                    )?
                    .collect()
            })
            .map_err(|error| self.failed(error))
    }

    /// Hands out every flow in order of recording; stops when `each` says so.
    pub fn each_flow<E: From<StoreError>>(
        &self,
        query: &ContactQuery,
        mut each: impl FnMut(&RecordedFlow) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| self.failed(error);
        let bounds = Bounds::of(query);
        let mut makers = Makers::default();
        let mut statement = self.connection.prepare_cached(EVERY_FLOW).map_err(failed)?;
        let mut rows = statement
            .query((
                bounds.since,
                bounds.until,
                &bounds.except,
                &bounds.application,
                &bounds.to,
                &bounds.host,
            ))
            .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(&self.recorded_flow(row, &mut makers).map_err(failed)?)?;
        }
        Ok(())
    }

    /// A row of this store, whichever store gave the id.
    pub(super) fn row_of(&self, flow_id: &str) -> rusqlite::Result<Option<i64>> {
        if let Some((store, number)) = parts_of(flow_id)
            && store == self.store_id
        {
            return Ok(Some(number));
        }
        self.connection
            .prepare_cached("SELECT flow FROM imported_flow WHERE flow_id = ?1")?
            .query_row((flow_id,), |row| row.get(0))
            .optional()
    }

    /// A flow with its maker. The watch period is that of this store; what else has a number only
    /// within a dump has none.
    pub(super) fn recorded_flow(
        &self,
        row: &Row<'_>,
        makers: &mut Makers,
    ) -> rusqlite::Result<RecordedFlow> {
        let mut flow = flow_of(row)?;
        let given_id: Option<String> = row.get("given_id")?;
        let number: i64 = row.get("id")?;
        flow.flow_id = Some(given_id.unwrap_or_else(|| format!("{}-{number}", self.store_id)));
        let (identity, application) = makers.identity(&self.connection, row.get("identity_id")?)?;
        let process = match row.get("process_id")? {
            Some(process) => Some(makers.process(&self.connection, process)?),
            None => None,
        };
        Ok(RecordedFlow {
            flow,
            identity,
            application: Some(application),
            run: row.get("run")?,
            process,
            watch_period_id: u64::try_from(row.get::<_, i64>("watch_period_id")?).ok(),
            process_id: None,
            identity_id: None,
        })
    }
}

/// Makers of the flows that were read last.
#[derive(Debug, Default)]
pub(super) struct Makers {
    identities: HashMap<i64, (RawIdentity, Application)>,
    processes: HashMap<i64, Process>,
}

impl Makers {
    fn identity(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> rusqlite::Result<(RawIdentity, Application)> {
        if let Some(known) = self.identities.get(&id) {
            return Ok(known.clone());
        }
        let read = connection
            .prepare_cached(
                "SELECT i.*, h.name AS host, a.context, a.program, a.script
                 FROM identity AS i
                 JOIN host AS h ON h.id = i.host_id
                 JOIN identity_application AS m ON m.identity_id = i.id
                 JOIN application AS a ON a.id = m.application_id
                 WHERE i.id = ?1",
            )?
            .query_row((id,), |row| Ok((identity_of(row)?, application_of(row)?)))?;
        if self.identities.len() >= CACHE_LIMIT {
            self.identities.clear();
        }
        self.identities.insert(id, read.clone());
        Ok(read)
    }

    fn process(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<Process> {
        if let Some(known) = self.processes.get(&id) {
            return Ok(known.clone());
        }
        let read = connection
            .prepare_cached(
                "SELECT p.*, h.name AS host
                 FROM process AS p
                 JOIN host AS h ON h.id = p.host_id
                 WHERE p.id = ?1",
            )?
            .query_row((id,), process_of)?;
        if self.processes.len() >= CACHE_LIMIT {
            self.processes.clear();
        }
        self.processes.insert(id, read.clone());
        Ok(read)
    }
}
