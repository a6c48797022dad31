-- Who signs in with an address and a password of their own, where no identity provider does.
CREATE TABLE local_account (
  email TEXT NOT NULL,
  consumer TEXT NOT NULL,
  password TEXT NOT NULL,
  failures BIGINT NOT NULL,
  closed_until BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT local_account_pk PRIMARY KEY (email),
  CONSTRAINT local_account_consumer_uq UNIQUE (consumer),
  CONSTRAINT local_account_consumer_fk FOREIGN KEY (consumer) REFERENCES consumer (id),
  CONSTRAINT local_account_failures_ck CHECK (failures >= 0)
) STRICT, WITHOUT ROWID;
