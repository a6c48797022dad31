-- By how much a test clock was moved. A database is begun with a test clock or without, for ever;
-- one that was in use before was begun without, and the CHECK keeps anybody from moving it.
CREATE TABLE test_clock (
  id BIGINT NOT NULL,
  movable BIGINT NOT NULL,
  offset_us BIGINT NOT NULL,
  CONSTRAINT test_clock_pk PRIMARY KEY (id),
  CONSTRAINT test_clock_one_ck CHECK (id = 1),
  CONSTRAINT test_clock_forward_ck CHECK (offset_us >= 0),
  CONSTRAINT test_clock_movable_ck CHECK (movable = 1 OR (movable = 0 AND offset_us = 0))
) STRICT;
INSERT INTO test_clock (id, movable, offset_us)
SELECT 1, 0, 0 WHERE EXISTS (SELECT 1 FROM operator);
