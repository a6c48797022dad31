-- What is remembered under keys is appended, and found by a narrow index: kept in the order of its
-- digests, which are random, nearly every row dirtied a page of its own of a table ten times as
-- large as the index.
CREATE TABLE remembered (
  digest BYTES NOT NULL,
  fingerprint BYTES NOT NULL,
  operation BIGINT NOT NULL,
  outcome BYTES NOT NULL,
  denied BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT operation_digest_pk PRIMARY KEY (digest)
) STRICT;
INSERT INTO remembered (digest, fingerprint, operation, outcome, denied, at)
  SELECT digest, fingerprint, operation, outcome, denied, at FROM operation ORDER BY operation;
DROP TABLE operation;
ALTER TABLE remembered RENAME TO operation;
CREATE INDEX operation_denied_ix ON operation (at) WHERE denied = 1;
