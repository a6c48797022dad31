-- The outbox, kept as a log. On PostgreSQL readers go by txid, then seq, and stop below the oldest
-- running transaction, because identity sequences have holes that fill later.
CREATE TABLE outbox (
  seq IDENTITY,
  txid TXID,
  id TEXT NOT NULL,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  subject_version BIGINT NOT NULL,
  at BIGINT NOT NULL,
  payload TEXT NOT NULL,
  CONSTRAINT outbox_id_uq UNIQUE (id),
  CONSTRAINT outbox_subject_uq UNIQUE (subject, subject_version)
) STRICT;
CREATE INDEX outbox_order_ix ON outbox (txid, seq);

-- The last version given to each subject; its row lock orders writers of one subject.
CREATE TABLE subject_version (
  subject TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT subject_version_pk PRIMARY KEY (subject)
) STRICT, WITHOUT ROWID;
