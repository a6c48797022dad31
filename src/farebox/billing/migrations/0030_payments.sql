-- Payments, refunds, chargebacks and payouts. A card number is nowhere: only a gateway's tokens are.
-- What is to be asked of a gateway is due at `due_at`; `claim` is whose turn it is until then.
CREATE TABLE payment_method (
  id TEXT NOT NULL,
  customer TEXT NOT NULL,
  gateway TEXT NOT NULL,
  token TEXT NOT NULL,
  account TEXT,
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  expires TEXT,
  standard BIGINT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT payment_method_pk PRIMARY KEY (id),
  CONSTRAINT payment_method_state_ck CHECK (state IN ('active', 'removed') AND standard IN (0, 1))
) STRICT;
CREATE INDEX payment_method_customer_ix ON payment_method (customer, id);
CREATE UNIQUE INDEX payment_method_token_uq ON payment_method (gateway, token) WHERE state = 'active';
CREATE UNIQUE INDEX payment_method_standard_uq ON payment_method (customer)
  WHERE standard = 1 AND state = 'active';

CREATE TABLE payment (
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  customer TEXT NOT NULL,
  amount BIGINT NOT NULL,
  currency TEXT NOT NULL,
  purpose TEXT NOT NULL,
  reference TEXT NOT NULL,
  gateway TEXT NOT NULL,
  method TEXT,
  state TEXT NOT NULL,
  provider_reference TEXT,
  reason TEXT,
  final BIGINT NOT NULL,
  action_url TEXT,
  refunded BIGINT NOT NULL,
  refunding BIGINT NOT NULL,
  charged_back BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  ended_at BIGINT,
  abandoning BIGINT NOT NULL,
  asked BIGINT NOT NULL,
  unreached BIGINT NOT NULL,
  looks BIGINT NOT NULL,
  first_call_at BIGINT,
  due_at BIGINT,
  claim TEXT,
  attention TEXT,
  CONSTRAINT payment_pk PRIMARY KEY (id),
  CONSTRAINT payment_key_uq UNIQUE (key),
  CONSTRAINT payment_state_ck CHECK (
    state IN ('created', 'action_required', 'processing', 'succeeded', 'failed', 'unknown')
  ),
  CONSTRAINT payment_amounts_ck CHECK (
    amount >= 1 AND refunded >= 0 AND refunding >= 0 AND refunded + refunding <= amount
    AND charged_back >= 0 AND charged_back <= amount
  )
) STRICT;
CREATE INDEX payment_due_ix ON payment (due_at);
CREATE INDEX payment_customer_ix ON payment (customer, id);
CREATE INDEX payment_reference_ix ON payment (purpose, reference, id);
CREATE INDEX payment_attention_ix ON payment (attention, id);
-- While one attempt may still take the money, there is no second one for the same thing.
CREATE UNIQUE INDEX payment_open_uq ON payment (purpose, reference)
  WHERE state IN ('created', 'action_required', 'processing', 'unknown');

CREATE TABLE refund (
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  payment TEXT NOT NULL,
  amount BIGINT NOT NULL,
  currency TEXT NOT NULL,
  gateway TEXT NOT NULL,
  state TEXT NOT NULL,
  provider_reference TEXT,
  reason TEXT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  ended_at BIGINT,
  asked BIGINT NOT NULL,
  unreached BIGINT NOT NULL,
  looks BIGINT NOT NULL,
  first_call_at BIGINT,
  due_at BIGINT,
  claim TEXT,
  attention TEXT,
  CONSTRAINT refund_pk PRIMARY KEY (id),
  CONSTRAINT refund_key_uq UNIQUE (key),
  CONSTRAINT refund_payment_fk FOREIGN KEY (payment) REFERENCES payment (id),
  CONSTRAINT refund_state_ck CHECK (
    state IN ('created', 'processing', 'succeeded', 'failed', 'unknown', 'canceled', 'returned')
  ),
  CONSTRAINT refund_amount_ck CHECK (amount >= 1)
) STRICT;
CREATE INDEX refund_due_ix ON refund (due_at);
CREATE INDEX refund_payment_ix ON refund (payment, id);
CREATE INDEX refund_attention_ix ON refund (attention, id);

CREATE TABLE chargeback (
  id TEXT NOT NULL,
  payment TEXT NOT NULL,
  gateway TEXT NOT NULL,
  provider_reference TEXT NOT NULL,
  amount BIGINT NOT NULL,
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  recovered BIGINT NOT NULL,
  opened_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT chargeback_pk PRIMARY KEY (id),
  CONSTRAINT chargeback_reference_uq UNIQUE (gateway, provider_reference),
  CONSTRAINT chargeback_payment_fk FOREIGN KEY (payment) REFERENCES payment (id),
  CONSTRAINT chargeback_state_ck CHECK (state IN ('opened', 'won', 'lost') AND amount >= 1)
) STRICT;
CREATE INDEX chargeback_payment_ix ON chargeback (payment, id);

-- What gateways told us, each once. The truth is read from the gateway; a notice says when to look.
CREATE TABLE gateway_notice (
  id TEXT NOT NULL,
  gateway TEXT NOT NULL,
  event TEXT NOT NULL,
  noun TEXT NOT NULL,
  subject TEXT NOT NULL,
  content TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  tries BIGINT NOT NULL,
  due_at BIGINT,
  claim TEXT,
  received_at BIGINT NOT NULL,
  ended_at BIGINT,
  CONSTRAINT gateway_notice_pk PRIMARY KEY (id),
  CONSTRAINT gateway_notice_event_uq UNIQUE (gateway, event),
  CONSTRAINT gateway_notice_state_ck CHECK (state IN ('waiting', 'applied', 'skipped', 'failed'))
) STRICT;
CREATE INDEX gateway_notice_due_ix ON gateway_notice (due_at);

-- Two people for each: who asked is not who approves.
CREATE TABLE payout (
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  amount BIGINT NOT NULL,
  currency TEXT NOT NULL,
  gateway TEXT NOT NULL,
  destination TEXT NOT NULL,
  state TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  approved_by TEXT,
  provider_reference TEXT,
  reason TEXT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  ended_at BIGINT,
  asked BIGINT NOT NULL,
  unreached BIGINT NOT NULL,
  looks BIGINT NOT NULL,
  first_call_at BIGINT,
  due_at BIGINT,
  claim TEXT,
  attention TEXT,
  CONSTRAINT payout_pk PRIMARY KEY (id),
  CONSTRAINT payout_state_ck CHECK (
    state IN ('requested', 'approved', 'processing', 'succeeded', 'failed', 'unknown', 'rejected')
  ),
  CONSTRAINT payout_amount_ck CHECK (amount >= 1),
  CONSTRAINT payout_two_people_ck CHECK (
    (approved_by IS NULL OR approved_by <> requested_by)
    AND (approved_by IS NOT NULL OR state IN ('requested', 'rejected'))
  )
) STRICT;
CREATE INDEX payout_due_ix ON payout (due_at);
CREATE INDEX payout_owner_ix ON payout (owner, id);

-- What is on its way out to an owner: the row that two requests at once queue up for.
CREATE TABLE payout_account (
  owner TEXT NOT NULL,
  currency TEXT NOT NULL,
  under_way BIGINT NOT NULL,
  CONSTRAINT payout_account_pk PRIMARY KEY (owner, currency),
  CONSTRAINT payout_account_ck CHECK (under_way >= 0)
) STRICT;

-- Every call of a gateway and what it met.
CREATE TABLE gateway_call (
  seq IDENTITY,
  subject TEXT NOT NULL,
  verb TEXT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT
) STRICT;
CREATE INDEX gateway_call_subject_ix ON gateway_call (subject, seq);
APPEND_ONLY gateway_call;
