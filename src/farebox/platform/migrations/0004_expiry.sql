-- Up to when a log's entries may be removed, by setting. Without a row, or after it, none may.
CREATE TABLE expiry (
  log TEXT NOT NULL,
  until BIGINT NOT NULL,
  CONSTRAINT expiry_pk PRIMARY KEY (log)
) STRICT, WITHOUT ROWID;
EXPIRING audit;
