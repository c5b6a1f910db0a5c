-- Question: what does it cost to keep who talked to what, and to be asked about months of it?
-- Cost: one row of about 55 bytes a recorded flow instead of 100; one packed row an identity and day,
-- about 25 bytes a contact, from which windows of whole days are answered instead of from hours.
-- Existing flows and rollups are copied once, which takes about a second for 500,000 of them.
--
-- What the flows of one maker have in common stands once, in `maker`. Words have become numbers:
-- 0 and 1 take no room in a row, so the usual outcomes have those.
-- `flow` declares no references: all that it refers to is found or added in the same transaction,
-- and checking each again would cost as much as the row.

DROP VIEW contacts;
DROP VIEW flows;
DROP VIEW applications;

CREATE TABLE outcome (
  id INTEGER PRIMARY KEY,
  word TEXT NOT NULL UNIQUE,
  is_failure INTEGER NOT NULL
) STRICT;

INSERT INTO outcome (id, word, is_failure) VALUES
  (0, 'established', 0),
  (1, 'sent', 0),
  (2, 'unknown', 0),
  (3, 'pending', 0),
  (4, 'refused', 1),
  (5, 'unreachable', 1),
  (6, 'timed_out', 1),
  (7, 'denied', 1),
  (8, 'failed', 1),
  (9, 'maybe_reply', 0);

CREATE TABLE address (
  id INTEGER PRIMARY KEY,
  address TEXT NOT NULL UNIQUE
) STRICT;

-- A maker may have several rows: they are looked up in memory only.
CREATE TABLE maker (
  id INTEGER PRIMARY KEY,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  watch_period_id INTEGER NOT NULL REFERENCES watch_period (id),
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  process_id INTEGER,
  run_id INTEGER,
  socket_uid INTEGER,
  socket_cgroup_id INTEGER REFERENCES cgroup (id),
  network_namespace INTEGER
) STRICT;

-- What only imports say of a flow.
CREATE TABLE flow_import (
  flow_id INTEGER PRIMARY KEY,
  given_id TEXT,
  state TEXT
) STRICT;

-- AUTOINCREMENT: a flow's id is part of its name in dumps and must never be used twice.
CREATE TABLE compact_flow (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  maker_id INTEGER NOT NULL,
  destination_id INTEGER NOT NULL,
  address_id INTEGER,
  name_source INTEGER,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  source_port INTEGER,
  outcome INTEGER NOT NULL,
  errno INTEGER,
  attempts INTEGER NOT NULL,
  bytes_out INTEGER,
  bytes_in INTEGER,
  duration_ns INTEGER
) STRICT;

INSERT INTO maker (
  origin_id, watch_period_id, identity_id, process_id, run_id, socket_uid, socket_cgroup_id,
  network_namespace
)
SELECT DISTINCT
  origin_id, watch_period_id, identity_id, process_id, run_id, socket_uid, socket_cgroup_id,
  network_namespace
FROM flow;

CREATE UNIQUE INDEX maker_lookup ON maker (
  identity_id, ifnull(process_id, 0), watch_period_id, ifnull(socket_uid, -1),
  ifnull(socket_cgroup_id, 0), ifnull(network_namespace, -1), ifnull(run_id, 0), origin_id
);

INSERT INTO address (address)
SELECT DISTINCT address
FROM flow
WHERE address IS NOT NULL;

INSERT INTO flow_import (flow_id, given_id, state)
SELECT id, given_id, state
FROM flow
WHERE given_id IS NOT NULL
  OR state IS NOT NULL;

INSERT INTO compact_flow (
  id, maker_id, destination_id, address_id, name_source, start_ns, end_ns, source_port, outcome,
  errno, attempts, bytes_out, bytes_in, duration_ns
)
SELECT
  f.id,
  (
    SELECT k.id
    FROM maker AS k
    WHERE k.identity_id = f.identity_id
      AND ifnull(k.process_id, 0) = ifnull(f.process_id, 0)
      AND k.watch_period_id = f.watch_period_id
      AND ifnull(k.socket_uid, -1) = ifnull(f.socket_uid, -1)
      AND ifnull(k.socket_cgroup_id, 0) = ifnull(f.socket_cgroup_id, 0)
      AND ifnull(k.network_namespace, -1) = ifnull(f.network_namespace, -1)
      AND ifnull(k.run_id, 0) = ifnull(f.run_id, 0)
      AND k.origin_id = f.origin_id
  ),
  f.destination_id,
  (SELECT t.id FROM address AS t WHERE t.address = f.address),
  f.name_source,
  f.start_ns,
  f.end_ns,
  f.source_port,
  (SELECT e.id FROM outcome AS e WHERE e.word = f.outcome),
  f.errno,
  f.attempts,
  f.bytes_out,
  f.bytes_in,
  f.duration_ns
FROM flow AS f
ORDER BY f.id;

DROP INDEX maker_lookup;

-- The newest flows may have been dropped: their numbers stay used up.
DELETE FROM sqlite_sequence WHERE name = 'compact_flow';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'compact_flow', seq FROM sqlite_sequence WHERE name = 'flow';

ALTER TABLE watch_period ADD COLUMN flows INTEGER NOT NULL DEFAULT 0;

UPDATE watch_period
SET flows = counted.flows
FROM (
  SELECT watch_period_id, COUNT(*) AS flows
  FROM flow
  GROUP BY watch_period_id
) AS counted
WHERE counted.watch_period_id = watch_period.id;

DROP TABLE flow;
ALTER TABLE compact_flow RENAME TO flow;

-- The hour leads the key: windows are ranges, and what is written together lies together.
CREATE TABLE compact_contact_hour (
  hour_ns INTEGER NOT NULL,
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  outcome INTEGER NOT NULL REFERENCES outcome (id),
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  name_source INTEGER REFERENCES name_source (id),
  attempts INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  PRIMARY KEY (hour_ns, identity_id, destination_id, outcome, origin_id)
) STRICT, WITHOUT ROWID;

INSERT INTO compact_contact_hour
SELECT
  c.hour_ns, c.identity_id, c.destination_id, e.id, c.origin_id,
  c.name_source, c.attempts, c.bytes_out, c.bytes_in, c.first_ns, c.last_ns
FROM contact_hour AS c
JOIN outcome AS e ON e.word = c.outcome
ORDER BY c.hour_ns, c.identity_id, c.destination_id, e.id, c.origin_id;

DROP TABLE contact_hour;
ALTER TABLE compact_contact_hour RENAME TO contact_hour;

CREATE TABLE compact_contact_run (
  run_id INTEGER NOT NULL REFERENCES run (id),
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  outcome INTEGER NOT NULL REFERENCES outcome (id),
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  name_source INTEGER REFERENCES name_source (id),
  attempts INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  PRIMARY KEY (run_id, identity_id, destination_id, outcome, origin_id)
) STRICT, WITHOUT ROWID;

INSERT INTO compact_contact_run
SELECT
  c.run_id, c.identity_id, c.destination_id, e.id, c.origin_id,
  c.name_source, c.attempts, c.bytes_out, c.bytes_in, c.first_ns, c.last_ns
FROM contact_run AS c
JOIN outcome AS e ON e.word = c.outcome
ORDER BY c.run_id, c.identity_id, c.destination_id, e.id, c.origin_id;

DROP TABLE contact_run;
ALTER TABLE compact_contact_run RENAME TO contact_run;

-- Days whose hours stand in `contact_day` as well, all of them and as they are now. A change to an
-- hour of such a day takes the day from both tables in the same transaction.
CREATE TABLE summed_day (
  day_ns INTEGER PRIMARY KEY
) STRICT;

-- `contacts` is a stream of numbers that only the program reads: `src/store/packed.rs` has its form.
CREATE TABLE contact_day (
  day_ns INTEGER NOT NULL,
  identity_id INTEGER NOT NULL,
  contacts BLOB NOT NULL,
  PRIMARY KEY (day_ns, identity_id)
) STRICT, WITHOUT ROWID;

CREATE VIEW contacts AS
WITH run_count AS (
  SELECT i.host_id, m.application_id, r.destination_id, COUNT(DISTINCT r.run_id) AS runs
  FROM contact_run AS r
  JOIN identity AS i ON i.id = r.identity_id
  JOIN identity_application AS m ON m.identity_id = r.identity_id
  GROUP BY i.host_id, m.application_id, r.destination_id
), contact AS (
  SELECT
    i.host_id,
    m.application_id,
    c.destination_id,
    MIN(c.name_source) AS name_source,
    CAST(TOTAL(c.attempts) AS INTEGER) AS attempts,
    CAST(TOTAL(c.attempts) FILTER (
      WHERE c.outcome IN (SELECT id FROM outcome WHERE is_failure)
    ) AS INTEGER) AS failed_attempts,
    CAST(TOTAL(c.bytes_out) AS INTEGER) AS bytes_out,
    CAST(TOTAL(c.bytes_in) AS INTEGER) AS bytes_in,
    MIN(c.first_ns) AS first_ns,
    MAX(c.last_ns) AS last_ns,
    COUNT(DISTINCT c.hour_ns) AS hours,
    COUNT(DISTINCT date(c.hour_ns / 1000000000, 'unixepoch')) AS days
  FROM contact_hour AS c
  JOIN identity AS i ON i.id = c.identity_id
  JOIN identity_application AS m ON m.identity_id = c.identity_id
  GROUP BY i.host_id, m.application_id, c.destination_id
)
SELECT
  h.name AS host,
  a.context,
  a.program,
  a.script,
  n.name,
  d.address,
  d.port,
  d.protocol,
  s.word AS name_source,
  c.attempts,
  c.failed_attempts,
  c.bytes_out,
  c.bytes_in,
  c.first_ns,
  c.last_ns,
  c.hours,
  c.days,
  ifnull(r.runs, 0) AS runs
FROM contact AS c
JOIN host AS h ON h.id = c.host_id
JOIN application AS a ON a.id = c.application_id
JOIN destination AS d ON d.id = c.destination_id
LEFT JOIN name AS n ON n.id = d.name_id
LEFT JOIN name_source AS s ON s.id = c.name_source
LEFT JOIN run_count AS r
  ON r.host_id = c.host_id
  AND r.application_id = c.application_id
  AND r.destination_id = c.destination_id;

CREATE VIEW flows AS
SELECT
  ifnull(x.given_id, o.store_id || '-' || f.id) AS flow_id,
  k.watch_period_id,
  strftime('%Y-%m-%dT%H:%M:%SZ', f.start_ns / 1000000000, 'unixepoch') AS start,
  f.start_ns,
  f.end_ns,
  h.name AS host,
  a.context,
  a.program,
  a.script,
  p.pid,
  p.ppid,
  ifnull(p.exe_path, i.exe) AS exe,
  p.cmdline,
  i.uid,
  i.user,
  r.key AS run,
  d.protocol,
  f.source_port,
  ifnull(t.address, d.address) AS address,
  d.port,
  n.name,
  s.word AS name_source,
  e.word AS outcome,
  f.errno,
  x.state,
  f.attempts,
  f.bytes_out,
  f.bytes_in,
  f.duration_ns,
  k.socket_uid,
  g.path AS socket_cgroup,
  k.network_namespace
FROM flow AS f
JOIN origin AS o ON o.id = 1
JOIN maker AS k ON k.id = f.maker_id
JOIN outcome AS e ON e.id = f.outcome
JOIN identity AS i ON i.id = k.identity_id
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = k.identity_id
JOIN application AS a ON a.id = m.application_id
JOIN destination AS d ON d.id = f.destination_id
LEFT JOIN name AS n ON n.id = d.name_id
LEFT JOIN name_source AS s ON s.id = f.name_source
LEFT JOIN address AS t ON t.id = f.address_id
LEFT JOIN flow_import AS x ON x.flow_id = f.id
LEFT JOIN process AS p ON p.id = k.process_id
LEFT JOIN run AS r ON r.id = k.run_id
LEFT JOIN cgroup AS g ON g.id = k.socket_cgroup_id;

-- Rollups are summed up before they are joined: no index leads from an identity to its hours.
CREATE VIEW applications AS
WITH sum AS (
  SELECT
    m.application_id,
    COUNT(DISTINCT c.destination_id) AS destinations,
    CAST(TOTAL(c.attempts) AS INTEGER) AS attempts,
    MIN(c.first_ns) AS first_ns,
    MAX(c.last_ns) AS last_ns
  FROM contact_hour AS c
  JOIN identity_application AS m ON m.identity_id = c.identity_id
  GROUP BY m.application_id
), identities AS (
  SELECT
    m.application_id,
    COUNT(DISTINCT i.host_id) AS hosts,
    COUNT(*) AS identities
  FROM identity_application AS m
  JOIN identity AS i ON i.id = m.identity_id
  GROUP BY m.application_id
)
SELECT
  a.context,
  a.program,
  a.script,
  i.hosts,
  i.identities,
  ifnull(s.destinations, 0) AS destinations,
  ifnull(s.attempts, 0) AS attempts,
  s.first_ns,
  s.last_ns
FROM application AS a
JOIN identities AS i ON i.application_id = a.id
LEFT JOIN sum AS s ON s.application_id = a.id;
