-- Question: in how many of its runs did an application meet a destination, asked about months?
-- Cost: one packed row an identity and day, about 13 bytes for each destination that a run met, and
-- one number in each run. Only packed days are copied when a database is brought up to date: runs are
-- packed within the hour, and until then they are counted one by one.
--
-- A run is packed once it has been quiet since the day before: `packed_day_ns` is the UTC day of its
-- last contact, under which `contact_run_day` has all that `contact_run` has of it. A change to a
-- packed run takes that day from both tables in the same transaction.

ALTER TABLE run ADD COLUMN packed_day_ns INTEGER;

CREATE INDEX run_packed_day ON run (packed_day_ns);

-- Days of packed runs. The bounds are those of all contacts of these runs.
CREATE TABLE packed_run_day (
  day_ns INTEGER PRIMARY KEY,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL
) STRICT;

-- `counts` and `spans` are streams of numbers that only the program reads: `src/store/packed_runs.rs`
-- has their form. Most questions need the counts alone.
CREATE TABLE contact_run_day (
  id INTEGER PRIMARY KEY,
  day_ns INTEGER NOT NULL,
  identity_id INTEGER NOT NULL,
  counts BLOB NOT NULL,
  spans BLOB NOT NULL,
  UNIQUE (day_ns, identity_id)
) STRICT;

-- The day that is not over is summed up as well, as far as its hours are over: `contact_day` has the
-- hours of a day from its start up to and without `until_ns`.
CREATE TABLE summed_day_until (
  day_ns INTEGER PRIMARY KEY,
  until_ns INTEGER NOT NULL
) STRICT;

INSERT INTO summed_day_until (day_ns, until_ns)
SELECT day_ns, day_ns + 86400000000000
FROM summed_day;

DROP TABLE summed_day;
ALTER TABLE summed_day_until RENAME TO summed_day;

-- With numbers of its own: a search in a table WITHOUT ROWID reads the whole of each row that it
-- passes by, packed contacts included.
CREATE TABLE numbered_contact_day (
  id INTEGER PRIMARY KEY,
  day_ns INTEGER NOT NULL,
  identity_id INTEGER NOT NULL,
  contacts BLOB NOT NULL,
  UNIQUE (day_ns, identity_id)
) STRICT;

INSERT INTO numbered_contact_day (day_ns, identity_id, contacts)
SELECT day_ns, identity_id, contacts
FROM contact_day
ORDER BY day_ns, identity_id;

DROP TABLE contact_day;
ALTER TABLE numbered_contact_day RENAME TO contact_day;
