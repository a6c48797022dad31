-- What brought a bucket (a subscription, an entitlement), and whether it counts overage.
ALTER TABLE bucket_record ADD COLUMN origin TEXT;
ALTER TABLE bucket_record ADD COLUMN overage BIGINT NOT NULL DEFAULT 0
  CONSTRAINT bucket_record_overage_ck CHECK (overage IN (0, 1));

-- `state` is what was written last; what it is at an instant follows from the times beside it.
-- `due_at` is the earliest of these, `heard_at` the time of billing's newest word.
CREATE TABLE subscription (
  id TEXT NOT NULL,
  holder_kind TEXT NOT NULL,
  holder TEXT NOT NULL,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  period_unit TEXT NOT NULL,
  period_count BIGINT NOT NULL,
  anchor_at BIGINT,
  trial_ends_at BIGINT,
  grace_ends_at BIGINT,
  cancel_at BIGINT,
  pending_plan TEXT,
  pending_version BIGINT,
  pending_at BIGINT,
  paused_at BIGINT,
  ended_at BIGINT,
  requested TEXT,
  version BIGINT NOT NULL,
  heard_at BIGINT NOT NULL,
  due_at BIGINT,
  CONSTRAINT subscription_pk PRIMARY KEY (id),
  CONSTRAINT subscription_plan_fk FOREIGN KEY (plan, plan_version) REFERENCES plan_version (plan, version),
  CONSTRAINT subscription_pending_fk FOREIGN KEY (pending_plan, pending_version) REFERENCES plan_version (plan, version),
  CONSTRAINT subscription_holder_ck CHECK (holder_kind IN ('consumer', 'group')),
  CONSTRAINT subscription_state_ck CHECK (state IN ('pending_payment', 'trialing', 'active', 'past_due', 'suspended', 'paused', 'canceled', 'expired')),
  CONSTRAINT subscription_period_ck CHECK (period_count > 0),
  CONSTRAINT subscription_next_ck CHECK ((pending_plan IS NULL) = (pending_at IS NULL) AND (pending_plan IS NULL) = (pending_version IS NULL))
) STRICT;
CREATE INDEX subscription_holder_ix ON subscription (holder, id);
CREATE INDEX subscription_plan_ix ON subscription (plan, id);
CREATE INDEX subscription_due_ix ON subscription (due_at) WHERE due_at IS NOT NULL;

-- A quota of a subscription: the bucket that is granted anew each period, and the one that counts
-- what goes above it. It may be drawn from `starts_at` until `ends_at`.
CREATE TABLE subscription_quota (
  bucket BIGINT NOT NULL,
  overage_bucket BIGINT,
  subscription TEXT NOT NULL,
  holder TEXT NOT NULL,
  product TEXT NOT NULL,
  quota_limit BIGINT NOT NULL,
  unit TEXT NOT NULL,
  unit_count BIGINT NOT NULL,
  anchor_at BIGINT NOT NULL,
  zone TEXT NOT NULL,
  hard BIGINT NOT NULL,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT,
  closed BIGINT NOT NULL,
  CONSTRAINT subscription_quota_pk PRIMARY KEY (bucket),
  CONSTRAINT subscription_quota_bucket_fk FOREIGN KEY (bucket) REFERENCES bucket_record (id),
  CONSTRAINT subscription_quota_overage_fk FOREIGN KEY (overage_bucket) REFERENCES bucket_record (id),
  CONSTRAINT subscription_quota_subscription_fk FOREIGN KEY (subscription) REFERENCES subscription (id),
  CONSTRAINT subscription_quota_ck CHECK (hard IN (0, 1) AND closed IN (0, 1))
) STRICT;
CREATE INDEX subscription_quota_holder_ix ON subscription_quota (holder, product);
CREATE INDEX subscription_quota_subscription_ix ON subscription_quota (subscription, bucket);

-- The right to use something. It holds from `starts_at` until `expires_at` unless it was revoked,
-- and one from a plan while the subscription gives access.
CREATE TABLE entitlement (
  id TEXT NOT NULL,
  holder_kind TEXT NOT NULL,
  holder TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  source_kind TEXT NOT NULL,
  source TEXT NOT NULL,
  roles TEXT NOT NULL,
  value TEXT,
  use_limit BIGINT,
  period TEXT,
  bucket BIGINT,
  granted_at BIGINT NOT NULL,
  starts_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT entitlement_pk PRIMARY KEY (id),
  CONSTRAINT entitlement_holder_ck CHECK (holder_kind IN ('consumer', 'group')),
  CONSTRAINT entitlement_kind_ck CHECK (kind IN ('product', 'feature', 'item')),
  CONSTRAINT entitlement_source_ck CHECK (source_kind IN ('plan', 'subscription', 'purchase', 'add_on', 'item', 'operator')),
  CONSTRAINT entitlement_limit_ck CHECK (use_limit IS NULL OR use_limit >= 0),
  CONSTRAINT entitlement_span_ck CHECK (expires_at IS NULL OR expires_at > starts_at)
) STRICT;
CREATE INDEX entitlement_holder_ix ON entitlement (holder, key, id);
CREATE INDEX entitlement_source_ix ON entitlement (source_kind, source, id);

-- What was done with each event of a billing system: the primary key is what lets it happen once.
CREATE TABLE processed_event (
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  fingerprint BYTES NOT NULL,
  subject TEXT NOT NULL,
  occurred_at BIGINT NOT NULL,
  processed_at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  CONSTRAINT processed_event_pk PRIMARY KEY (source, event_id),
  CONSTRAINT processed_event_outcome_ck CHECK (outcome IN ('applied', 'skipped', 'stale'))
) STRICT;

-- A subscription that another billing system keeps: what it last said.
CREATE TABLE external_subscription (
  source TEXT NOT NULL,
  subscription TEXT NOT NULL,
  consumer TEXT NOT NULL,
  product TEXT NOT NULL,
  add_ons TEXT NOT NULL,
  state TEXT NOT NULL,
  period_ends_at BIGINT,
  applied_at BIGINT NOT NULL,
  CONSTRAINT external_subscription_pk PRIMARY KEY (source, subscription),
  CONSTRAINT external_subscription_consumer_fk FOREIGN KEY (consumer) REFERENCES consumer (id),
  CONSTRAINT external_subscription_state_ck CHECK (state IN ('active', 'paused', 'canceled', 'expired'))
) STRICT;
CREATE INDEX external_subscription_consumer_ix ON external_subscription (consumer, product);
-- Other systems name a user by what the identity provider calls them.
CREATE INDEX consumer_subject_ix ON consumer (subject) WHERE subject IS NOT NULL;
