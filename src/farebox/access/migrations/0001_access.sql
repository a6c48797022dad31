-- Consumers, products, buckets and what decisions need. Time is microseconds UTC.
CREATE TABLE consumer (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  issuer TEXT,
  subject TEXT,
  owner TEXT,
  metadata TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT consumer_pk PRIMARY KEY (id),
  CONSTRAINT consumer_identity_uq UNIQUE (issuer, subject),
  CONSTRAINT consumer_owner_fk FOREIGN KEY (owner) REFERENCES consumer (id),
  CONSTRAINT consumer_state_ck CHECK (state IN ('active', 'suspended')),
  CONSTRAINT consumer_identity_ck CHECK ((issuer IS NULL) = (subject IS NULL))
) STRICT;
CREATE INDEX consumer_owner_ix ON consumer (owner, id) WHERE owner IS NOT NULL;

CREATE TABLE consumer_group (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  priority BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT consumer_group_pk PRIMARY KEY (id)
) STRICT;

CREATE TABLE group_member (
  consumer TEXT NOT NULL,
  consumer_group TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  CONSTRAINT group_member_pk PRIMARY KEY (consumer, consumer_group),
  CONSTRAINT group_member_consumer_fk FOREIGN KEY (consumer) REFERENCES consumer (id),
  CONSTRAINT group_member_group_fk FOREIGN KEY (consumer_group) REFERENCES consumer_group (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_group_ix ON group_member (consumer_group, consumer);

CREATE TABLE product (
  code TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  unit TEXT NOT NULL,
  scale BIGINT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT product_pk PRIMARY KEY (code),
  CONSTRAINT product_state_ck CHECK (state IN ('active', 'archived'))
) STRICT;

-- Whose a ledger bucket is. The id is the ledger's; the balance is there and nowhere else.
CREATE TABLE bucket_record (
  id BIGINT NOT NULL,
  product TEXT NOT NULL,
  holder_kind TEXT NOT NULL,
  holder TEXT NOT NULL,
  priority BIGINT NOT NULL,
  label TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT bucket_record_pk PRIMARY KEY (id),
  CONSTRAINT bucket_record_product_fk FOREIGN KEY (product) REFERENCES product (code),
  CONSTRAINT bucket_record_holder_ck CHECK (holder_kind IN ('consumer', 'group'))
) STRICT;
CREATE INDEX bucket_record_holder_ix ON bucket_record (holder, id);

-- A member's cap is a ledger bucket of its own; `given` is what was granted on it, less what was
-- taken back.
CREATE TABLE member_cap (
  bucket BIGINT NOT NULL,
  consumer TEXT NOT NULL,
  cap_bucket BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  given BIGINT NOT NULL,
  CONSTRAINT member_cap_pk PRIMARY KEY (bucket, consumer),
  CONSTRAINT member_cap_bucket_fk FOREIGN KEY (bucket) REFERENCES bucket_record (id),
  CONSTRAINT member_cap_consumer_fk FOREIGN KEY (consumer) REFERENCES consumer (id),
  CONSTRAINT member_cap_amount_ck CHECK (amount >= 0 AND given >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_cap_consumer_ix ON member_cap (consumer, bucket);

CREATE TABLE service_plan (
  id TEXT NOT NULL,
  product TEXT NOT NULL,
  consumer_group TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  bucket_limit BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT service_plan_pk PRIMARY KEY (id),
  CONSTRAINT service_plan_bucket_fk FOREIGN KEY (bucket) REFERENCES bucket_record (id)
) STRICT;
CREATE INDEX service_plan_group_ix ON service_plan (consumer_group, id);

-- Access keys that were redeemed; the primary key is what lets it succeed once.
CREATE TABLE redemption (
  operation BIGINT NOT NULL,
  at BIGINT NOT NULL,
  redeemed_by TEXT NOT NULL,
  CONSTRAINT redemption_pk PRIMARY KEY (operation)
) STRICT;
