-- What subscriptions have paid and owe next. `due_at` is when a schedule next has something to do; it
-- is claimed by locking the row in the transaction that does it.
CREATE TABLE subscription_schedule (
  subscription TEXT NOT NULL,
  holder_kind TEXT NOT NULL,
  customer TEXT NOT NULL,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  unit TEXT NOT NULL,
  count BIGINT NOT NULL,
  currency TEXT NOT NULL,
  zone TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  price TEXT,
  price_version BIGINT,
  advance BIGINT NOT NULL,
  anchor_at BIGINT,
  next_index BIGINT NOT NULL,
  trial_days BIGINT NOT NULL,
  trial_ends_at BIGINT,
  cancel_at BIGINT,
  pending_plan TEXT,
  pending_version BIGINT,
  change_invoice TEXT,
  invoice TEXT,
  failures BIGINT NOT NULL,
  retry_at BIGINT,
  late_at BIGINT,
  grace_ends_at BIGINT,
  give_up_at BIGINT,
  paused_at BIGINT,
  last_paid_at BIGINT,
  ended_at BIGINT,
  version BIGINT NOT NULL,
  due_at BIGINT,
  CONSTRAINT subscription_schedule_pk PRIMARY KEY (subscription),
  CONSTRAINT subscription_schedule_state_ck CHECK (state IN (
    'unpriced', 'pending_payment', 'trialing', 'active', 'past_due', 'suspended', 'paused', 'canceled'
  )),
  CONSTRAINT subscription_schedule_ck CHECK (
    holder_kind IN ('consumer', 'group') AND count >= 1 AND next_index >= 0 AND advance IN (0, 1)
    AND (price IS NULL) = (price_version IS NULL) AND (price IS NOT NULL OR state IN ('unpriced', 'canceled'))
  )
) STRICT;
CREATE INDEX subscription_schedule_due_ix ON subscription_schedule (due_at);
CREATE INDEX subscription_schedule_customer_ix ON subscription_schedule (customer, subscription);
CREATE INDEX subscription_schedule_invoice_ix ON subscription_schedule (invoice);
CREATE INDEX subscription_schedule_change_ix ON subscription_schedule (change_invoice);

-- A stretch of time that was billed. The index lets each be billed once, whoever comes twice.
CREATE TABLE schedule_charge (
  id TEXT NOT NULL,
  subscription TEXT NOT NULL,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  period_starts_at BIGINT NOT NULL,
  period_ends_at BIGINT NOT NULL,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  price TEXT NOT NULL,
  price_version BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  net BIGINT NOT NULL,
  invoice TEXT NOT NULL,
  line TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  credited BIGINT NOT NULL,
  cut_at BIGINT,
  CONSTRAINT schedule_charge_pk PRIMARY KEY (id),
  CONSTRAINT schedule_charge_subscription_fk FOREIGN KEY (subscription) REFERENCES subscription_schedule (subscription),
  CONSTRAINT schedule_charge_state_ck CHECK (state IN ('open', 'paid', 'void')),
  CONSTRAINT schedule_charge_ck CHECK (
    starts_at < ends_at AND credited >= 0 AND credited <= amount AND net >= 0 AND net <= amount
  )
) STRICT;
CREATE UNIQUE INDEX schedule_charge_stretch_uq ON schedule_charge (subscription, starts_at)
  WHERE state IN ('open', 'paid') AND (cut_at IS NULL OR cut_at > starts_at);
CREATE INDEX schedule_charge_invoice_ix ON schedule_charge (invoice);

CREATE TABLE payment_terms (
  plan TEXT NOT NULL,
  retry_days TEXT NOT NULL,
  grace_days BIGINT,
  at_end TEXT NOT NULL,
  due_days BIGINT NOT NULL,
  first_days BIGINT NOT NULL,
  on_cancel TEXT NOT NULL,
  proration TEXT NOT NULL,
  CONSTRAINT payment_terms_pk PRIMARY KEY (plan),
  CONSTRAINT payment_terms_ck CHECK (
    at_end IN ('cancel', 'suspend') AND on_cancel IN ('credit', 'refund', 'none')
    AND proration IN ('seconds', 'days', 'days_inclusive', 'month_of_30')
  )
) STRICT;

-- What a consumer used in a period, as access told it: finally, or so far (`interim`).
CREATE TABLE usage_total (
  consumer TEXT NOT NULL,
  period TEXT NOT NULL,
  product TEXT NOT NULL,
  interim BIGINT NOT NULL,
  customer TEXT NOT NULL,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  quantity BIGINT NOT NULL,
  maximum BIGINT NOT NULL,
  aggregations TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  told_at BIGINT NOT NULL,
  due_at BIGINT,
  CONSTRAINT usage_total_pk PRIMARY KEY (consumer, period, product, interim),
  CONSTRAINT usage_total_ck CHECK (interim IN (0, 1) AND state IN ('waiting', 'billed', 'free', 'held', 'interim'))
) STRICT;
CREATE INDEX usage_total_due_ix ON usage_total (due_at);
CREATE INDEX usage_total_customer_ix ON usage_total (customer, period);

-- What was billed of a product's usage in a period so far: a later part bills the difference.
CREATE TABLE usage_bill (
  customer TEXT NOT NULL,
  period TEXT NOT NULL,
  product TEXT NOT NULL,
  currency TEXT NOT NULL,
  price TEXT NOT NULL,
  price_version BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  invoice TEXT,
  billed_at BIGINT NOT NULL,
  CONSTRAINT usage_bill_pk PRIMARY KEY (customer, period, product)
) STRICT;
