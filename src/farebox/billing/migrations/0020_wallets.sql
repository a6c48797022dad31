-- Who pays: a consumer or a group of access, under the same id. `address` is JSON.
CREATE TABLE customer (
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  address TEXT,
  country TEXT,
  region TEXT,
  tax_number TEXT,
  tax_country TEXT,
  tax_checked_at BIGINT,
  exempt_because TEXT,
  currency TEXT,
  zone TEXT NOT NULL,
  locale TEXT NOT NULL,
  invoice_email TEXT,
  due_days BIGINT,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT customer_pk PRIMARY KEY (id),
  CONSTRAINT customer_kind_ck CHECK (kind IN ('consumer', 'group')),
  CONSTRAINT customer_tax_ck CHECK ((tax_number IS NULL) = (tax_country IS NULL) AND (tax_number IS NULL) = (tax_checked_at IS NULL)),
  CONSTRAINT customer_due_ck CHECK (due_days >= 0)
) STRICT;
CREATE INDEX customer_email_ix ON customer (email) WHERE email IS NOT NULL;

-- What was found when a tax number was looked at: the proof of tax that was not charged.
CREATE TABLE tax_evidence (
  seq IDENTITY,
  customer TEXT NOT NULL,
  number TEXT NOT NULL,
  country TEXT NOT NULL,
  source TEXT NOT NULL,
  reference TEXT,
  valid BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  CONSTRAINT tax_evidence_source_ck CHECK (source IN ('digits', 'register')),
  CONSTRAINT tax_evidence_valid_ck CHECK (valid IN (0, 1))
) STRICT;
CREATE INDEX tax_evidence_customer_ix ON tax_evidence (customer, seq);
APPEND_ONLY tax_evidence;

-- A customer's money in a currency: the ledger's bucket has the balance. `low_level` is at what
-- balance the customer is told once (`low_told`) until it is above again.
CREATE TABLE wallet (
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  low_level BIGINT,
  low_told BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT wallet_pk PRIMARY KEY (customer, currency),
  CONSTRAINT wallet_bucket_uq UNIQUE (bucket),
  CONSTRAINT wallet_customer_fk FOREIGN KEY (customer) REFERENCES customer (id),
  CONSTRAINT wallet_low_ck CHECK (low_level >= 0 AND low_told IN (0, 1))
) STRICT;

-- How much a customer may ask for at once; a currency without a row has no limit but an amount's.
CREATE TABLE top_up_limit (
  currency TEXT NOT NULL,
  least BIGINT NOT NULL,
  most BIGINT NOT NULL,
  CONSTRAINT top_up_limit_pk PRIMARY KEY (currency),
  CONSTRAINT top_up_limit_ck CHECK (least >= 1 AND most >= least)
) STRICT;

-- When a balance falls to `level`, `amount` is asked for, at most `most` in a period. `due_at` says
-- that it has fallen; `stopped_because` that it asks for nothing until somebody has looked.
CREATE TABLE automatic_top_up (
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  level BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  most BIGINT NOT NULL,
  unit TEXT NOT NULL,
  unit_count BIGINT NOT NULL,
  method TEXT,
  anchor_at BIGINT NOT NULL,
  due_at BIGINT,
  stopped_because TEXT,
  CONSTRAINT automatic_top_up_pk PRIMARY KEY (customer, currency),
  CONSTRAINT automatic_top_up_wallet_fk FOREIGN KEY (customer, currency) REFERENCES wallet (customer, currency),
  CONSTRAINT automatic_top_up_ck CHECK (level >= 0 AND amount >= 1 AND most >= amount AND unit_count >= 1)
) STRICT;
CREATE INDEX automatic_top_up_due_ix ON automatic_top_up (due_at) WHERE due_at IS NOT NULL;

-- Money that was asked for to fill a wallet. Automatically, one at a time.
CREATE TABLE top_up (
  id TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  amount BIGINT NOT NULL,
  automatic BIGINT NOT NULL,
  payment TEXT,
  state TEXT NOT NULL,
  operation BIGINT,
  failure TEXT,
  created_at BIGINT NOT NULL,
  settled_at BIGINT,
  CONSTRAINT top_up_pk PRIMARY KEY (id),
  CONSTRAINT top_up_wallet_fk FOREIGN KEY (customer, currency) REFERENCES wallet (customer, currency),
  CONSTRAINT top_up_state_ck CHECK (state IN ('open', 'filled', 'failed') AND (state = 'open') = (settled_at IS NULL) AND (state = 'filled') = (operation IS NOT NULL)),
  CONSTRAINT top_up_amount_ck CHECK (amount >= 1 AND automatic IN (0, 1))
) STRICT;
CREATE INDEX top_up_wallet_ix ON top_up (customer, currency, id);
CREATE UNIQUE INDEX top_up_payment_uq ON top_up (payment) WHERE payment IS NOT NULL;
CREATE UNIQUE INDEX top_up_automatic_uq ON top_up (customer, currency) WHERE state = 'open' AND automatic = 1;
