-- Question: which file was it that ran, whose package is it, and is it still what was put there?
-- Cost: a row for each version of each file that ran, about 350 bytes; one for each identity and file;
-- two numbers in each process image. What was recorded before has none.
--
-- A file that was written to, moved or taken over by another version of its package is another row, so
-- that what was true at the time stays.

CREATE TABLE file (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  host_id INTEGER NOT NULL REFERENCES host (id),
  path TEXT NOT NULL,
  resolved_path TEXT,
  device INTEGER,
  inode INTEGER,
  size INTEGER,
  changed_ns INTEGER,
  sha256 TEXT,
  no_sha256 TEXT,
  mode INTEGER,
  owner_uid INTEGER,
  owner_gid INTEGER,
  capabilities TEXT,
  place TEXT,
  writable_by_all TEXT,
  ownership TEXT NOT NULL,
  package_manager TEXT,
  package TEXT,
  package_version TEXT,
  package_architecture TEXT,
  package_check TEXT
) STRICT;

CREATE TABLE identity_file (
  identity_id INTEGER NOT NULL REFERENCES identity (id),
  role TEXT NOT NULL,
  file_id INTEGER NOT NULL REFERENCES file (id),
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  PRIMARY KEY (identity_id, role, file_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE process ADD COLUMN exe_file_id INTEGER REFERENCES file (id);
ALTER TABLE process ADD COLUMN script_file_id INTEGER REFERENCES file (id);

CREATE VIEW files AS
SELECT
  h.name AS host,
  a.context,
  a.program,
  a.script,
  u.role,
  f.path,
  f.sha256,
  f.no_sha256,
  f.ownership,
  f.package_manager,
  f.package,
  f.package_version,
  f.package_architecture,
  f.package_check,
  f.mode,
  f.owner_uid,
  f.capabilities,
  f.place,
  f.writable_by_all,
  MIN(u.first_ns) AS first_ns,
  MAX(u.last_ns) AS last_ns
FROM identity_file AS u
JOIN file AS f ON f.id = u.file_id
JOIN identity AS i ON i.id = u.identity_id
JOIN host AS h ON h.id = i.host_id
JOIN identity_application AS m ON m.identity_id = u.identity_id
JOIN application AS a ON a.id = m.application_id
GROUP BY m.application_id, u.role, f.id;
