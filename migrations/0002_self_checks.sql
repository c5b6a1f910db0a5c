-- Which question: was each kind of flow really seen on this host, on this kernel, by the hooks that
-- ran?
--
-- An observer's word that its hooks are on is not proof that they see. Canary flows are; what came of
-- them is kept beside what was observed. A check is some twelve rows for each start of an observer.

CREATE TABLE self_check (
  id INTEGER PRIMARY KEY,
  watch_period_id INTEGER NOT NULL REFERENCES watch_period (id),
  checked_ns INTEGER NOT NULL,
  kernel TEXT,
  backend TEXT NOT NULL,
  obstacle TEXT,
  UNIQUE (watch_period_id, checked_ns)
) STRICT;

CREATE TABLE self_check_kind (
  self_check_id INTEGER NOT NULL REFERENCES self_check (id),
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  verdict TEXT NOT NULL,
  blind_spot TEXT,
  detail TEXT,
  PRIMARY KEY (self_check_id, position)
) STRICT, WITHOUT ROWID;

CREATE VIEW self_checks AS
SELECT
  c.watch_period_id,
  h.name AS host,
  strftime('%Y-%m-%dT%H:%M:%SZ', c.checked_ns / 1000000000, 'unixepoch') AS checked,
  c.checked_ns,
  c.kernel,
  c.backend,
  c.obstacle,
  COUNT(k.kind) AS kinds,
  COUNT(k.kind) FILTER (WHERE k.verdict = 'seen') AS seen,
  COUNT(k.kind) FILTER (WHERE k.verdict = 'in_part') AS in_part,
  COUNT(k.kind) FILTER (WHERE k.verdict = 'blind') AS blind,
  COUNT(k.kind) FILTER (WHERE k.verdict = 'missed') AS missed,
  COUNT(k.kind) FILTER (WHERE k.verdict = 'not_made') AS not_made
FROM self_check AS c
JOIN watch_period AS w ON w.id = c.watch_period_id
JOIN host AS h ON h.id = w.host_id
LEFT JOIN self_check_kind AS k ON k.self_check_id = c.id
GROUP BY c.id;

CREATE VIEW self_check_kinds AS
SELECT
  c.watch_period_id,
  c.checked_ns,
  k.kind,
  k.verdict,
  k.blind_spot,
  k.detail
FROM self_check_kind AS k
JOIN self_check AS c ON c.id = k.self_check_id;
