-- Question: who talked to what, when, how often, and what could have been missed?
-- Cost: one row of about 100 bytes a recorded flow, which `prune` drops again by age and size.
-- Everything else grows with new behaviour, not with traffic, and is updated in place.
--
-- Rollups are keyed by what was seen (raw identity, raw name) and never by what it was taken for:
-- `identity_application` and `name_pattern` can be computed again when their rules change.
-- They also carry the store that they come from, so that importing a second dump of that store
-- raises its share to the new sums instead of adding them once more.
-- `flow` has no secondary index: it is written all the time and read in order.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Number 1 is this store.
CREATE TABLE origin (
  id INTEGER PRIMARY KEY,
  store_id TEXT NOT NULL UNIQUE,
  complete_to INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE name_source (
  id INTEGER PRIMARY KEY,
  word TEXT NOT NULL UNIQUE
) STRICT;

-- Best first: a rollup keeps the smallest.
INSERT INTO name_source (id, word) VALUES
  (1, 'server_name'),
  (2, 'dns_answer'),
  (3, 'host_dns_answer'),
  (4, 'inferred'),
  (5, 'imported');

CREATE TABLE host (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE watch_period (
  id INTEGER PRIMARY KEY,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  kind TEXT NOT NULL,
  host_id INTEGER NOT NULL REFERENCES host (id),
  boot_id TEXT,
  program_version TEXT NOT NULL,
  backend TEXT,
  backend_failures TEXT NOT NULL,
  blind_spots TEXT NOT NULL,
  settings TEXT NOT NULL,
  started_ns INTEGER NOT NULL,
  covered_until_ns INTEGER NOT NULL,
  ended_ns INTEGER
) STRICT;

CREATE TABLE imported_file (
  watch_period_id INTEGER PRIMARY KEY REFERENCES watch_period (id),
  file TEXT NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;

CREATE TABLE loss (
  watch_period_id INTEGER NOT NULL REFERENCES watch_period (id),
  cause TEXT NOT NULL,
  since_ns INTEGER NOT NULL,
  until_ns INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER,
  PRIMARY KEY (watch_period_id, cause, since_ns, until_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE application (
  id INTEGER PRIMARY KEY,
  context TEXT NOT NULL,
  program TEXT NOT NULL,
  script TEXT
) STRICT;

CREATE UNIQUE INDEX application_key
  ON application (program, context, ifnull(script, ''), script IS NULL);

-- `digest` covers all other columns: they are too many and too often null for a unique index.
CREATE TABLE identity (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  host_id INTEGER NOT NULL REFERENCES host (id),
  exe TEXT,
  is_deleted INTEGER NOT NULL,
  is_memfd INTEGER NOT NULL,
  is_foreign INTEGER NOT NULL,
  interpreter_argv TEXT,
  interpreter_directory TEXT,
  cgroup_path TEXT,
  uid INTEGER,
  user TEXT,
  slice_user TEXT,
  stated_context TEXT,
  stated_script TEXT
) STRICT;

CREATE TABLE identity_application (
  identity_id INTEGER PRIMARY KEY REFERENCES identity (id),
  application_id INTEGER NOT NULL REFERENCES application (id)
) STRICT;

-- `digest` covers host, boot and the kernel's key; where there is no key, everything that is known.
CREATE TABLE process (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  host_id INTEGER NOT NULL REFERENCES host (id),
  boot_id TEXT,
  key_pid INTEGER,
  key_started_boot_ns INTEGER,
  key_exec_id INTEGER,
  pid INTEGER,
  ppid INTEGER,
  started_ns INTEGER,
  exe_path TEXT,
  exe_device INTEGER,
  exe_inode INTEGER,
  exe_is_deleted INTEGER,
  exe_is_memfd INTEGER,
  exe_is_truncated INTEGER,
  exe_is_foreign INTEGER,
  comm TEXT,
  argv TEXT,
  cmdline TEXT,
  argv_truncated INTEGER NOT NULL,
  working_directory TEXT,
  ancestors TEXT NOT NULL,
  uid INTEGER,
  euid INTEGER,
  login_uid INTEGER,
  audit_session INTEGER,
  tty TEXT,
  cgroup_id INTEGER,
  cgroup_path TEXT,
  net_namespace INTEGER,
  mnt_namespace INTEGER,
  user_namespace INTEGER,
  pid_namespace INTEGER
) STRICT;

CREATE TABLE cgroup (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE name (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE name_pattern (
  name_id INTEGER PRIMARY KEY REFERENCES name (id),
  pattern TEXT NOT NULL
) STRICT;

CREATE TABLE destination (
  id INTEGER PRIMARY KEY,
  name_id INTEGER REFERENCES name (id),
  address TEXT,
  port INTEGER,
  protocol INTEGER
) STRICT;

CREATE UNIQUE INDEX destination_key
  ON destination (ifnull(name_id, 0), ifnull(address, ''), ifnull(port, -1), ifnull(protocol, -1));

CREATE TABLE name_address (
  host_id INTEGER NOT NULL REFERENCES host (id),
  name_id INTEGER NOT NULL REFERENCES name (id),
  address TEXT NOT NULL,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (host_id, name_id, address, origin_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  host_id INTEGER NOT NULL REFERENCES host (id),
  key TEXT NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  UNIQUE (host_id, key)
) STRICT;

-- AUTOINCREMENT: a flow's id is part of its name in dumps and must never be used twice.
-- `process_id` is no declared reference: to drop a process SQLite would read all flows.
CREATE TABLE flow (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  given_id TEXT,
  watch_period_id INTEGER NOT NULL REFERENCES watch_period (id),
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  process_id INTEGER,
  run_id INTEGER REFERENCES run (id),
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  address TEXT,
  name_source INTEGER REFERENCES name_source (id),
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  socket_uid INTEGER,
  socket_cgroup_id INTEGER REFERENCES cgroup (id),
  network_namespace INTEGER,
  source_port INTEGER,
  outcome TEXT NOT NULL,
  errno INTEGER,
  state TEXT,
  attempts INTEGER NOT NULL,
  bytes_out INTEGER,
  bytes_in INTEGER,
  duration_ns INTEGER
) STRICT;

-- Stays when the flow's detail is dropped: the id must be known for ever.
CREATE TABLE imported_flow (
  flow_id TEXT PRIMARY KEY,
  flow INTEGER NOT NULL,
  origin_id INTEGER NOT NULL REFERENCES origin (id)
) STRICT, WITHOUT ROWID;

-- The hour leads the key: windows are ranges, and what is written together lies together.
CREATE TABLE contact_hour (
  hour_ns INTEGER NOT NULL,
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  outcome TEXT NOT NULL,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  name_source INTEGER REFERENCES name_source (id),
  attempts INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  PRIMARY KEY (hour_ns, identity_id, destination_id, outcome, origin_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact_run (
  run_id INTEGER NOT NULL REFERENCES run (id),
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  outcome TEXT NOT NULL,
  origin_id INTEGER NOT NULL REFERENCES origin (id),
  name_source INTEGER REFERENCES name_source (id),
  attempts INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  PRIMARY KEY (run_id, identity_id, destination_id, outcome, origin_id)
) STRICT, WITHOUT ROWID;

-- The views are the interface; tables may change behind them.
-- Sums go through TOTAL: SUM fails on overflow, which a hostile import could provoke for ever.

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
      WHERE c.outcome IN ('refused', 'unreachable', 'timed_out', 'denied', 'failed')
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
  ifnull(f.given_id, o.store_id || '-' || f.id) AS flow_id,
  f.watch_period_id,
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
  ifnull(f.address, d.address) AS address,
  d.port,
  n.name,
  s.word AS name_source,
  f.outcome,
  f.errno,
  f.state,
  f.attempts,
  f.bytes_out,
  f.bytes_in,
  f.duration_ns,
  f.socket_uid,
  g.path AS socket_cgroup,
  f.network_namespace
FROM flow AS f
JOIN origin AS o ON o.id = 1
JOIN identity AS i ON i.id = f.identity_id
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = f.identity_id
JOIN application AS a ON a.id = m.application_id
JOIN destination AS d ON d.id = f.destination_id
LEFT JOIN name AS n ON n.id = d.name_id
LEFT JOIN name_source AS s ON s.id = f.name_source
LEFT JOIN process AS p ON p.id = f.process_id
LEFT JOIN run AS r ON r.id = f.run_id
LEFT JOIN cgroup AS g ON g.id = f.socket_cgroup_id;

CREATE VIEW watch_periods AS
SELECT
  w.id AS watch_period_id,
  w.kind,
  h.name AS host,
  w.boot_id,
  w.program_version,
  w.backend,
  w.backend_failures,
  w.blind_spots,
  w.settings,
  i.file,
  i.sha256,
  w.started_ns,
  w.covered_until_ns,
  w.ended_ns
FROM watch_period AS w
JOIN host AS h ON h.id = w.host_id
LEFT JOIN imported_file AS i ON i.watch_period_id = w.id;

CREATE VIEW losses AS
SELECT
  l.watch_period_id,
  h.name AS host,
  l.cause,
  l.since_ns,
  l.until_ns,
  l.count,
  l.bytes
FROM loss AS l
JOIN watch_period AS w ON w.id = l.watch_period_id
JOIN host AS h ON h.id = w.host_id;

-- Watch periods may overlap once dumps were merged: each is cut where an earlier one still ran, so
-- that no second counts twice. Imports watched nothing.
CREATE VIEW coverage_by_day AS
WITH RECURSIVE period AS (
  SELECT
    host_id,
    started_ns,
    covered_until_ns,
    MAX(covered_until_ns) OVER (
      PARTITION BY host_id
      ORDER BY started_ns, id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS covered_before_ns
  FROM watch_period
  WHERE kind = 'observe'
), piece (host_id, since_ns, until_ns) AS (
  SELECT host_id, max(started_ns, ifnull(covered_before_ns, started_ns)), covered_until_ns
  FROM period
  WHERE covered_until_ns > max(started_ns, ifnull(covered_before_ns, started_ns))
  UNION ALL
  SELECT host_id, (since_ns / 86400000000000 + 1) * 86400000000000, until_ns
  FROM piece
  WHERE (since_ns / 86400000000000 + 1) * 86400000000000 < until_ns
), part AS (
  SELECT
    host_id,
    date(since_ns / 1000000000, 'unixepoch') AS day,
    min(until_ns, (since_ns / 86400000000000 + 1) * 86400000000000) - since_ns AS covered_ns,
    0 AS losses
  FROM piece
  UNION ALL
  SELECT w.host_id, date(l.since_ns / 1000000000, 'unixepoch'), 0, l.count
  FROM loss AS l
  JOIN watch_period AS w ON w.id = l.watch_period_id
  WHERE w.kind = 'observe'
)
SELECT
  h.name AS host,
  p.day,
  CAST(TOTAL(p.covered_ns) / 1000000000 AS INTEGER) AS covered_seconds,
  CAST(TOTAL(p.losses) AS INTEGER) AS losses
FROM part AS p
JOIN host AS h ON h.id = p.host_id
GROUP BY p.host_id, p.day;

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
