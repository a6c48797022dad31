-- What was used elsewhere and reported, each record once under its source and event id. What was
-- decided here stands in the journal instead. A correction has a negative quantity. `counted` is
-- what a record adds to the number of uses, `remains` what a correction leaves of what it corrects,
-- `quota` how the quota stood after it, as JSON.
CREATE TABLE usage_record (
  seq IDENTITY,
  txid TXID,
  id BIGINT NOT NULL,
  source TEXT NOT NULL,
  event TEXT NOT NULL,
  fingerprint BYTES NOT NULL,
  kind TEXT NOT NULL,
  consumer TEXT NOT NULL,
  product TEXT NOT NULL,
  consumer_group TEXT NOT NULL,
  quantity BIGINT NOT NULL,
  drawn BIGINT NOT NULL,
  overage BIGINT NOT NULL,
  counted BIGINT NOT NULL,
  at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  period BIGINT NOT NULL,
  late BIGINT NOT NULL,
  operation BIGINT,
  corrects BIGINT,
  remains BIGINT,
  reporter TEXT NOT NULL,
  quota TEXT,
  metadata TEXT,
  CONSTRAINT usage_record_event_uq UNIQUE (source, event),
  CONSTRAINT usage_record_kind_ck CHECK (kind IN ('report', 'decided', 'correction')),
  CONSTRAINT usage_record_parts_ck CHECK (kind = 'decided' OR quantity = drawn + overage),
  CONSTRAINT usage_record_correction_ck CHECK ((kind = 'correction') = (corrects IS NOT NULL) AND (kind = 'correction') = (remains IS NOT NULL) AND (kind = 'correction') = (quantity < 0)),
  CONSTRAINT usage_record_late_ck CHECK (late IN (0, 1) AND counted IN (-1, 0, 1))
) STRICT;
CREATE UNIQUE INDEX usage_record_id_uq ON usage_record (id);
CREATE INDEX usage_record_consumer_ix ON usage_record (consumer, seq);
CREATE INDEX usage_record_corrects_ix ON usage_record (corrects) WHERE corrects IS NOT NULL;
APPEND_ONLY usage_record;
ORDERED_LOG usage_record;

-- Use by quarters of an hour, which begin together with the hours and days of every zone. `period`
-- is the start of the consumer's period in which it counts: for late use a later one.
CREATE TABLE usage_rollup (
  consumer TEXT NOT NULL,
  product TEXT NOT NULL,
  consumer_group TEXT NOT NULL,
  slot BIGINT NOT NULL,
  period BIGINT NOT NULL,
  late BIGINT NOT NULL,
  uses BIGINT NOT NULL,
  quantity BIGINT NOT NULL,
  maximum BIGINT NOT NULL,
  CONSTRAINT usage_rollup_pk PRIMARY KEY (consumer, product, consumer_group, slot, period, late),
  CONSTRAINT usage_rollup_late_ck CHECK (late IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_rollup_period_ix ON usage_rollup (consumer, period);
CREATE INDEX usage_rollup_product_ix ON usage_rollup (product, slot);
CREATE INDEX usage_rollup_group_ix ON usage_rollup (consumer_group, slot) WHERE consumer_group <> '';

-- How far the rollups have come in both logs. `settled_until`: all that was done before this
-- instant is in them; the marks are how the next such instant is found.
CREATE TABLE usage_position (
  id BIGINT NOT NULL,
  journal BIGINT NOT NULL,
  records BIGINT NOT NULL,
  marked_journal BIGINT NOT NULL,
  marked_records BIGINT NOT NULL,
  marked_at BIGINT NOT NULL,
  settled_until BIGINT NOT NULL,
  CONSTRAINT usage_position_pk PRIMARY KEY (id)
) STRICT;
INSERT INTO usage_position (id, journal, records, marked_journal, marked_records, marked_at, settled_until) VALUES (1, 0, 0, 0, 0, 0, 0);

-- Periods of consumers in which something was used. One is closed once, when it is told to others.
CREATE TABLE usage_period (
  consumer TEXT NOT NULL,
  starts_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  closed_at BIGINT,
  event TEXT,
  CONSTRAINT usage_period_pk PRIMARY KEY (consumer, starts_at),
  CONSTRAINT usage_period_closed_ck CHECK ((closed_at IS NULL) = (event IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_period_due_ix ON usage_period (due_at) WHERE closed_at IS NULL;

-- What is to be counted of a product beside number, sum and maximum of its uses.
CREATE TABLE usage_aggregation (
  product TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  dimension TEXT,
  split_by TEXT,
  created_at BIGINT NOT NULL,
  CONSTRAINT usage_aggregation_pk PRIMARY KEY (product, name),
  CONSTRAINT usage_aggregation_product_fk FOREIGN KEY (product) REFERENCES product (code),
  CONSTRAINT usage_aggregation_kind_ck CHECK (kind IN ('count', 'sum', 'maximum', 'unique')),
  CONSTRAINT usage_aggregation_dimension_ck CHECK ((kind = 'unique') = (dimension IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What aggregations have counted: for a maximum a row for each quantity, for a unique count one for
-- each value of the dimension, so that a correction can take back what it corrects.
CREATE TABLE usage_value (
  consumer TEXT NOT NULL,
  period BIGINT NOT NULL,
  product TEXT NOT NULL,
  name TEXT NOT NULL,
  part TEXT NOT NULL,
  value TEXT NOT NULL,
  amount BIGINT NOT NULL,
  uses BIGINT NOT NULL,
  quantity BIGINT NOT NULL,
  CONSTRAINT usage_value_pk PRIMARY KEY (consumer, period, product, name, part, value)
) STRICT, WITHOUT ROWID;

-- Where reported use is posted that no bucket covered: a bucket that may go down without a limit.
CREATE TABLE usage_overage (
  consumer TEXT NOT NULL,
  product TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  CONSTRAINT usage_overage_pk PRIMARY KEY (consumer, product)
) STRICT, WITHOUT ROWID;

-- Who was told that so many percent of a quota are used: once for each quota and period.
CREATE TABLE quota_notice (
  bucket BIGINT NOT NULL,
  period_from BIGINT NOT NULL,
  percent BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT quota_notice_pk PRIMARY KEY (bucket, period_from, percent)
) STRICT, WITHOUT ROWID;

-- Below which level somebody is told that a bucket runs low; told once until it is filled again.
CREATE TABLE bucket_low_mark (
  bucket BIGINT NOT NULL,
  level BIGINT NOT NULL,
  told BIGINT NOT NULL,
  CONSTRAINT bucket_low_mark_pk PRIMARY KEY (bucket),
  CONSTRAINT bucket_low_mark_bucket_fk FOREIGN KEY (bucket) REFERENCES bucket_record (id),
  CONSTRAINT bucket_low_mark_ck CHECK (level >= 0 AND told IN (0, 1))
) STRICT;
