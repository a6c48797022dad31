-- Copies of access's catalogue and consumers. Only access's events write them, by version; there
-- are no references between them, because events of different subjects come in any order.
CREATE TABLE product_copy (
  product TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  unit TEXT NOT NULL,
  scale BIGINT NOT NULL,
  state TEXT NOT NULL,
  billable BIGINT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT product_copy_pk PRIMARY KEY (product),
  CONSTRAINT product_copy_ck CHECK (state IN ('active', 'archived') AND billable IN (0, 1))
) STRICT;

CREATE TABLE feature_copy (
  feature TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT feature_copy_pk PRIMARY KEY (feature),
  CONSTRAINT feature_copy_ck CHECK (state IN ('active', 'archived'))
) STRICT;

-- `version` is the newest.
CREATE TABLE plan_copy (
  plan TEXT NOT NULL,
  version BIGINT NOT NULL,
  state TEXT NOT NULL,
  CONSTRAINT plan_copy_pk PRIMARY KEY (plan),
  CONSTRAINT plan_copy_ck CHECK (state IN ('active', 'archived'))
) STRICT;

CREATE TABLE plan_version_copy (
  plan TEXT NOT NULL,
  version BIGINT NOT NULL,
  name TEXT NOT NULL,
  trial_days BIGINT NOT NULL,
  quotas TEXT NOT NULL,
  features TEXT NOT NULL,
  CONSTRAINT plan_version_copy_pk PRIMARY KEY (plan, version),
  CONSTRAINT plan_version_copy_ck CHECK (version >= 1)
) STRICT;

CREATE TABLE item_copy (
  item_id TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  offers TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT item_copy_pk PRIMARY KEY (item_id)
) STRICT;

CREATE TABLE consumer_copy (
  consumer_id TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  owner TEXT,
  metadata TEXT NOT NULL,
  CONSTRAINT consumer_copy_pk PRIMARY KEY (consumer_id)
) STRICT;

CREATE TABLE group_copy (
  group_id TEXT NOT NULL,
  name TEXT NOT NULL,
  CONSTRAINT group_copy_pk PRIMARY KEY (group_id)
) STRICT;

-- Times are RFC 3339, as the event says them.
CREATE TABLE subscription_copy (
  subscription_id TEXT NOT NULL,
  holder_kind TEXT NOT NULL,
  consumer_id TEXT,
  group_id TEXT,
  plan_id TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  state TEXT NOT NULL,
  period_unit TEXT NOT NULL,
  period_count BIGINT NOT NULL,
  started_at TEXT,
  trial_ends_at TEXT,
  cancel_at TEXT,
  ended_at TEXT,
  CONSTRAINT subscription_copy_pk PRIMARY KEY (subscription_id),
  CONSTRAINT subscription_copy_ck CHECK ((consumer_id IS NULL) <> (group_id IS NULL))
) STRICT;
CREATE INDEX subscription_copy_consumer_ix ON subscription_copy (consumer_id);
CREATE INDEX subscription_copy_group_ix ON subscription_copy (group_id);
