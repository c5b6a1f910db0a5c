-- Which flows begin in a way that hides the server that is meant: behind a proxy, in an encrypted
-- ClientHello, or in a protocol that goes over to TLS later?
-- Cost: a dozen bytes for each such flow in detail, and nothing for others. What was recorded before
-- does not say.

INSERT INTO name_source (id, word) VALUES
  (6, 'outer_server_name');

CREATE TABLE opening (
  id INTEGER PRIMARY KEY,
  word TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO opening (id, word) VALUES
  (1, 'encrypted_client_hello'),
  (2, 'proxy'),
  (3, 'may_start_tls');

-- Goes with its flow, as flow_import does.
CREATE TABLE flow_opening (
  flow_id INTEGER PRIMARY KEY,
  opening INTEGER NOT NULL REFERENCES opening (id)
) STRICT;
