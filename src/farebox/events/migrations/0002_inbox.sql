-- What others told this service, stored before anything is done with it: once by (source, id).
-- `waiting` and `dead` events are open; the rest is over. `copies_only` rows were sent again to
-- rebuild copies, and no process is run by them.
CREATE TABLE inbox (
  seq IDENTITY,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  subject_version BIGINT NOT NULL,
  time TEXT NOT NULL,
  payload TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  copies_only BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  ended_at BIGINT,
  error TEXT,
  CONSTRAINT inbox_id_uq UNIQUE (source, id),
  CONSTRAINT inbox_state_ck CHECK (state IN ('waiting', 'dead', 'applied', 'passed', 'stale', 'discarded')),
  CONSTRAINT inbox_copies_only_ck CHECK (copies_only IN (0, 1)),
  CONSTRAINT inbox_tries_ck CHECK (tries >= 0)
) STRICT;
CREATE INDEX inbox_open_ix ON inbox (source, subject, subject_version, seq) WHERE state IN ('waiting', 'dead');
CREATE INDEX inbox_dead_ix ON inbox (seq) WHERE state = 'dead';
CREATE INDEX inbox_ended_ix ON inbox (ended_at) WHERE ended_at IS NOT NULL;

-- A subject's place in the inbox: its row lock keeps its events in order. `version` is the last
-- that is over, `seen` the highest that came in its turn, `due_at` when its first open event may be
-- tried (NULL: there is none, or it is a dead letter).
CREATE TABLE inbox_subject (
  source TEXT NOT NULL,
  subject TEXT NOT NULL,
  version BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  due_at BIGINT,
  dead BIGINT NOT NULL,
  CONSTRAINT inbox_subject_pk PRIMARY KEY (source, subject),
  CONSTRAINT inbox_subject_dead_ck CHECK (dead = 0 OR (dead = 1 AND due_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_subject_due_ix ON inbox_subject (due_at) WHERE due_at IS NOT NULL;

-- The last version of a subject that a copy (projection) holds.
CREATE TABLE copy_version (
  copy TEXT NOT NULL,
  source TEXT NOT NULL,
  subject TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT copy_version_pk PRIMARY KEY (copy, source, subject)
) STRICT, WITHOUT ROWID;

-- How far somebody has come in a log. `sender`: one of ours, in our own log. `reader`: this service
-- in another's log. `replay`: the same, for a second time, up to `until`. `follower`: another
-- service in our log, as it told us. `floor`: what was removed of our log.
CREATE TABLE log_position (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  txid BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  until_txid BIGINT,
  until_seq BIGINT,
  at BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  error TEXT,
  CONSTRAINT log_position_pk PRIMARY KEY (kind, name),
  CONSTRAINT log_position_kind_ck CHECK (kind IN ('sender', 'reader', 'replay', 'follower', 'floor'))
) STRICT, WITHOUT ROWID;

-- Who does a work that one process at a time may do, and until when.
CREATE TABLE lease (
  name TEXT NOT NULL,
  holder TEXT NOT NULL,
  until BIGINT NOT NULL,
  CONSTRAINT lease_pk PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
