-- The ledger. Ids are 63-bit integers, time is microseconds UTC, amounts are smallest units.
CREATE TABLE asset (
  number BIGINT NOT NULL,
  code TEXT NOT NULL,
  scale BIGINT NOT NULL,
  CONSTRAINT asset_pk PRIMARY KEY (number),
  CONSTRAINT asset_code_uq UNIQUE (code),
  CONSTRAINT asset_scale_ck CHECK (scale BETWEEN 0 AND 18)
) STRICT;

-- One table for buckets (1), grants (2) and sinks (3). The floor is the second, independent guard
-- against overselling: it is tested by the database on every change of a balance.
CREATE TABLE account (
  id BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  bucket BIGINT,
  name TEXT,
  floor BIGINT,
  priority BIGINT NOT NULL,
  class BIGINT NOT NULL,
  starts_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  schedule BIGINT,
  period BIGINT,
  state BIGINT NOT NULL,
  debits_pending BIGINT NOT NULL,
  debits_posted BIGINT NOT NULL,
  credits_posted BIGINT NOT NULL,
  waiting BIGINT NOT NULL,
  grants BIGINT NOT NULL,
  version BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  head BIGINT NOT NULL,
  next_event_at BIGINT NOT NULL,
  frozen BIGINT NOT NULL,
  CONSTRAINT account_pk PRIMARY KEY (id),
  CONSTRAINT account_kind_ck CHECK (kind IN (1, 2, 3)),
  CONSTRAINT account_floor_ck CHECK (floor IS NULL OR credits_posted - debits_posted - debits_pending >= floor),
  CONSTRAINT account_counters_ck CHECK (debits_pending >= 0 AND debits_posted >= 0 AND credits_posted >= 0 AND waiting >= 0),
  CONSTRAINT account_bounds_ck CHECK (debits_posted <= 4611686018427387904 AND credits_posted <= 4611686018427387904)
) STRICT;
CREATE INDEX account_burn_ix ON account (bucket, priority, expires_at, class, id) WHERE state = 1 AND kind = 2;
CREATE INDEX account_expiry_ix ON account (bucket, expires_at) WHERE state = 1 AND kind = 2;
CREATE INDEX account_start_ix ON account (bucket, starts_at) WHERE state = 2 AND kind = 2;
CREATE INDEX account_bucket_ix ON account (bucket, id) WHERE kind = 2;
CREATE UNIQUE INDEX account_period_uq ON account (schedule, period) WHERE schedule IS NOT NULL;
CREATE UNIQUE INDEX account_sink_uq ON account (asset, name) WHERE kind = 3;

-- A recurring grant: the deciding transaction makes each period's grant when it is due.
CREATE TABLE schedule (
  id BIGINT NOT NULL,
  bucket BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  unit TEXT NOT NULL,
  unit_count BIGINT NOT NULL,
  anchor_at BIGINT NOT NULL,
  zone TEXT NOT NULL,
  priority BIGINT NOT NULL,
  class BIGINT NOT NULL,
  rollover BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  CONSTRAINT schedule_pk PRIMARY KEY (id),
  CONSTRAINT schedule_bucket_fk FOREIGN KEY (bucket) REFERENCES account (id),
  CONSTRAINT schedule_amount_ck CHECK (amount > 0 AND unit_count > 0 AND rollover >= 0)
) STRICT;
CREATE INDEX schedule_bucket_ix ON schedule (bucket);

-- The journal. `entry` counts a bucket's rows without a gap, `previous` is the operation before.
CREATE TABLE transfer (
  seq IDENTITY,
  txid TXID,
  operation BIGINT NOT NULL,
  line BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  bucket BIGINT NOT NULL,
  entry BIGINT NOT NULL,
  previous BIGINT NOT NULL,
  debit BIGINT NOT NULL,
  credit BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  hold BIGINT,
  reverses BIGINT,
  at BIGINT NOT NULL,
  effective_at BIGINT,
  available_after BIGINT NOT NULL,
  actor TEXT,
  product TEXT,
  meta TEXT,
  CONSTRAINT transfer_amount_ck CHECK (amount >= 0),
  CONSTRAINT transfer_sides_ck CHECK (debit <> credit OR amount = 0)
) STRICT;
CREATE UNIQUE INDEX transfer_operation_uq ON transfer (operation, line);
CREATE INDEX transfer_reverses_ix ON transfer (reverses) WHERE reverses IS NOT NULL;
APPEND_ONLY transfer;
ORDERED_LOG transfer;

-- Every 128th entry of a bucket leaves a mark: history and as-of balances start from one.
CREATE TABLE mark (
  bucket BIGINT NOT NULL,
  entry BIGINT NOT NULL,
  at BIGINT NOT NULL,
  operation BIGINT NOT NULL,
  CONSTRAINT mark_pk PRIMARY KEY (bucket, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX mark_at_ix ON mark (bucket, at);

-- What a key remembers. The digest covers caller and key.
CREATE TABLE operation (
  digest BYTES NOT NULL,
  fingerprint BYTES NOT NULL,
  operation BIGINT NOT NULL,
  outcome BYTES NOT NULL,
  denied BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT operation_pk PRIMARY KEY (digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_denied_ix ON operation (at) WHERE denied = 1;

CREATE TABLE hold (
  id BIGINT NOT NULL,
  bucket BIGINT NOT NULL,
  cap BIGINT,
  sink BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  captured BIGINT NOT NULL,
  state BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  on_expiry TEXT NOT NULL,
  over_capture TEXT NOT NULL,
  actor TEXT,
  product TEXT,
  at BIGINT NOT NULL,
  CONSTRAINT hold_pk PRIMARY KEY (id),
  CONSTRAINT hold_amount_ck CHECK (amount >= 0 AND captured >= 0 AND captured <= amount),
  CONSTRAINT hold_state_ck CHECK (state IN (1, 2, 3, 4))
) STRICT;
CREATE INDEX hold_due_ix ON hold (bucket, expires_at) WHERE state = 1;
CREATE INDEX hold_cap_ix ON hold (cap, expires_at) WHERE state = 1 AND cap IS NOT NULL;

CREATE TABLE hold_part (
  hold BIGINT NOT NULL,
  line BIGINT NOT NULL,
  bucket BIGINT NOT NULL,
  account BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  CONSTRAINT hold_part_pk PRIMARY KEY (hold, line),
  CONSTRAINT hold_part_amount_ck CHECK (amount > 0)
) STRICT, WITHOUT ROWID;

-- Subjects (a consumer) whose state a command has seen: another revision means look again.
CREATE TABLE revision (
  subject TEXT NOT NULL,
  revision BIGINT NOT NULL,
  CONSTRAINT revision_pk PRIMARY KEY (subject)
) STRICT, WITHOUT ROWID;

-- Balances of sinks up to a position of the journal.
CREATE TABLE sink_snapshot (
  account BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  debits_posted BIGINT NOT NULL,
  credits_posted BIGINT NOT NULL,
  CONSTRAINT sink_snapshot_pk PRIMARY KEY (account)
) STRICT;
CREATE TABLE sink_position (
  id BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  CONSTRAINT sink_position_pk PRIMARY KEY (id)
) STRICT;
