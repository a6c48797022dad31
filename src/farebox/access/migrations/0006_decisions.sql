-- Rate limits of one consumer or of one key; those of a plan are in the plan.
CREATE TABLE own_rate_limit (
  subject TEXT NOT NULL,
  place BIGINT NOT NULL,
  product TEXT,
  most BIGINT NOT NULL,
  seconds BIGINT NOT NULL,
  burst BIGINT NOT NULL,
  CONSTRAINT own_rate_limit_pk PRIMARY KEY (subject, place),
  CONSTRAINT own_rate_limit_product_fk FOREIGN KEY (product) REFERENCES product (code),
  CONSTRAINT own_rate_limit_ck CHECK (most > 0 AND seconds > 0 AND burst > 0)
) STRICT, WITHOUT ROWID;

-- The processes that decide now: each counts its share of a rate limit.
CREATE TABLE live_process (
  id TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  CONSTRAINT live_process_pk PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
