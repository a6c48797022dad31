-- Carts and orders. `wish`, `title`, `book` and `taxes` are JSON. A cart becomes one order, and is
-- open again when that ends unpaid.
CREATE TABLE cart (
  id TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  coupons TEXT NOT NULL,
  order_id TEXT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT cart_pk PRIMARY KEY (id),
  CONSTRAINT cart_order_uq UNIQUE (order_id)
) STRICT;
-- One open cart for each customer.
CREATE UNIQUE INDEX cart_open_uq ON cart (customer) WHERE order_id IS NULL;
CREATE INDEX cart_customer_ix ON cart (customer, id);

-- `price`, `price_version` and `fee` are guaranteed until then.
CREATE TABLE cart_line (
  id TEXT NOT NULL,
  cart TEXT NOT NULL,
  wish TEXT NOT NULL,
  price TEXT NOT NULL,
  price_version BIGINT NOT NULL,
  fee BIGINT NOT NULL,
  guaranteed_until BIGINT NOT NULL,
  renewals BIGINT NOT NULL,
  added_at BIGINT NOT NULL,
  CONSTRAINT cart_line_pk PRIMARY KEY (id),
  CONSTRAINT cart_line_cart_fk FOREIGN KEY (cart) REFERENCES cart (id),
  CONSTRAINT cart_line_ck CHECK (fee >= 0 AND renewals BETWEEN 0 AND 10)
) STRICT;
CREATE INDEX cart_line_cart_ix ON cart_line (cart, id);

-- `ended_by` is the type of the one event that closed the order, `due_at` when it ends by itself.
-- A total never changes: `charged` is it once paid, with what longer rentals cost since.
CREATE TABLE sales_order (
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  pay_by TEXT NOT NULL,
  buy_at_once BIGINT NOT NULL,
  fees BIGINT NOT NULL,
  discount BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  total BIGINT NOT NULL,
  charged BIGINT NOT NULL,
  refunded BIGINT NOT NULL,
  cart TEXT,
  method TEXT,
  gateway TEXT,
  payment TEXT,
  coupons TEXT NOT NULL,
  due_at BIGINT,
  ended_by TEXT,
  reason TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  CONSTRAINT sales_order_pk PRIMARY KEY (id),
  CONSTRAINT sales_order_key_uq UNIQUE (customer, key),
  CONSTRAINT sales_order_state_ck CHECK (
    state IN ('awaiting_funds', 'created', 'paid', 'fulfilled', 'failed', 'canceled', 'expired')
  ),
  CONSTRAINT sales_order_open_ck CHECK (
    (state IN ('created', 'awaiting_funds')) = (ended_by IS NULL)
    AND (ended_by IS NULL) = (due_at IS NOT NULL)
  ),
  CONSTRAINT sales_order_pay_ck CHECK (pay_by IN ('wallet', 'gateway') AND buy_at_once IN (0, 1)),
  CONSTRAINT sales_order_money_ck CHECK (
    total >= 0 AND refunded >= 0 AND refunded <= charged AND discount >= 0 AND tax >= 0
  )
) STRICT;
CREATE INDEX sales_order_customer_ix ON sales_order (customer, id);
CREATE INDEX sales_order_due_ix ON sales_order (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX sales_order_waiting_ix ON sales_order (customer, currency) WHERE state = 'awaiting_funds';

-- What was bought, as it was then. The last four columns follow what access tells.
CREATE TABLE order_line (
  id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  wish TEXT NOT NULL,
  item TEXT,
  title TEXT NOT NULL,
  price TEXT NOT NULL,
  price_version BIGINT NOT NULL,
  book TEXT NOT NULL,
  fee BIGINT NOT NULL,
  discount BIGINT NOT NULL,
  net BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  taxes TEXT NOT NULL,
  gross BIGINT NOT NULL,
  owner TEXT,
  commission_percent TEXT,
  policy TEXT NOT NULL,
  policy_version BIGINT NOT NULL,
  state TEXT NOT NULL,
  purchase TEXT,
  rental TEXT,
  starts_at BIGINT,
  period_hours BIGINT,
  played_at BIGINT,
  CONSTRAINT order_line_pk PRIMARY KEY (id),
  CONSTRAINT order_line_order_fk FOREIGN KEY (order_id) REFERENCES sales_order (id),
  CONSTRAINT order_line_purchase_uq UNIQUE (purchase),
  CONSTRAINT order_line_rental_uq UNIQUE (rental),
  CONSTRAINT order_line_state_ck CHECK (state IN ('open', 'pinned', 'granted', 'failed', 'returned')),
  CONSTRAINT order_line_money_ck CHECK (net >= 0 AND tax >= 0 AND gross = net + tax)
) STRICT;
CREATE UNIQUE INDEX order_line_number_uq ON order_line (order_id, number);

-- Money that was taken for a line: once when it was bought, and for each longer rental since.
-- The database itself refuses to give back more than was taken.
CREATE TABLE order_charge (
  id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  line TEXT NOT NULL,
  gross BIGINT NOT NULL,
  taxes TEXT NOT NULL,
  commission BIGINT NOT NULL,
  owner TEXT,
  operation BIGINT,
  payment TEXT,
  refunded BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT order_charge_pk PRIMARY KEY (id),
  CONSTRAINT order_charge_line_fk FOREIGN KEY (line) REFERENCES order_line (id),
  CONSTRAINT order_charge_ck CHECK (refunded >= 0 AND refunded <= gross AND commission >= 0)
) STRICT;
CREATE INDEX order_charge_order_ix ON order_charge (order_id, id);

CREATE TABLE order_refund (
  id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  amount BIGINT NOT NULL,
  note TEXT,
  at BIGINT NOT NULL,
  CONSTRAINT order_refund_pk PRIMARY KEY (id),
  CONSTRAINT order_refund_order_fk FOREIGN KEY (order_id) REFERENCES sales_order (id),
  CONSTRAINT order_refund_kind_ck CHECK (
    kind IN ('return', 'allowance', 'undone', 'shortened', 'change_undone')
  ),
  CONSTRAINT order_refund_amount_ck CHECK (amount >= 0)
) STRICT;
CREATE INDEX order_refund_order_ix ON order_refund (order_id, id);
APPEND_ONLY order_refund;

CREATE TABLE order_refund_part (
  refund TEXT NOT NULL,
  charge TEXT NOT NULL,
  line TEXT NOT NULL,
  gross BIGINT NOT NULL,
  taxes TEXT NOT NULL,
  commission BIGINT NOT NULL,
  CONSTRAINT order_refund_part_pk PRIMARY KEY (refund, charge),
  CONSTRAINT order_refund_part_refund_fk FOREIGN KEY (refund) REFERENCES order_refund (id),
  CONSTRAINT order_refund_part_charge_fk FOREIGN KEY (charge) REFERENCES order_charge (id),
  CONSTRAINT order_refund_part_ck CHECK (gross >= 1)
) STRICT;
APPEND_ONLY order_refund_part;

-- A policy is never changed: there is a next version. `rules` is JSON.
CREATE TABLE refund_policy (
  code TEXT NOT NULL,
  version BIGINT NOT NULL,
  rules TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT refund_policy_pk PRIMARY KEY (code, version),
  CONSTRAINT refund_policy_ck CHECK (version >= 1)
) STRICT;
APPEND_ONLY refund_policy;

-- Our part of owners' sales, in versions; the owner `*` stands for all that have none of their own.
CREATE TABLE commission_terms (
  owner TEXT NOT NULL,
  version BIGINT NOT NULL,
  percent TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT commission_terms_pk PRIMARY KEY (owner, version),
  CONSTRAINT commission_terms_ck CHECK (version >= 1)
) STRICT;
APPEND_ONLY commission_terms;

-- Purchases that access has pinned for an order that is not here (yet). Without it they are let go.
CREATE TABLE waiting_purchase (
  id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  facts TEXT NOT NULL,
  due_at BIGINT NOT NULL,
  CONSTRAINT waiting_purchase_pk PRIMARY KEY (id)
) STRICT;
CREATE INDEX waiting_purchase_order_ix ON waiting_purchase (order_id, id);
CREATE INDEX waiting_purchase_due_ix ON waiting_purchase (due_at);

-- Another period of a rental: what was asked, and the money that moved for it. One at a time.
CREATE TABLE rental_change (
  id TEXT NOT NULL,
  line TEXT NOT NULL,
  rental TEXT NOT NULL,
  from_hours BIGINT NOT NULL,
  to_hours BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  at BIGINT NOT NULL,
  ended_at BIGINT,
  CONSTRAINT rental_change_pk PRIMARY KEY (id),
  CONSTRAINT rental_change_line_fk FOREIGN KEY (line) REFERENCES order_line (id),
  CONSTRAINT rental_change_state_ck CHECK (state IN ('paid', 'done', 'undone', 'refused'))
) STRICT;
CREATE INDEX rental_change_line_ix ON rental_change (line, id);
CREATE UNIQUE INDEX rental_change_paid_uq ON rental_change (line) WHERE state = 'paid';

-- Credits that are bought by themselves when a customer's bucket is low, at most `most` in a period.
-- Whose the bucket is, access says when it is low: what somebody else has set here does nothing.
CREATE TABLE automatic_purchase (
  bucket TEXT NOT NULL,
  customer TEXT NOT NULL,
  product TEXT NOT NULL,
  quantity BIGINT NOT NULL,
  currency TEXT NOT NULL,
  most BIGINT NOT NULL,
  unit TEXT NOT NULL,
  unit_count BIGINT NOT NULL,
  anchor_at BIGINT NOT NULL,
  CONSTRAINT automatic_purchase_pk PRIMARY KEY (bucket, customer),
  CONSTRAINT automatic_purchase_ck CHECK (quantity >= 1 AND most >= 1 AND unit_count >= 1)
) STRICT;

-- The orders that were made so: what counts towards the limit.
CREATE TABLE automatic_purchase_order (
  order_id TEXT NOT NULL,
  bucket TEXT NOT NULL,
  customer TEXT NOT NULL,
  amount BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT automatic_purchase_order_pk PRIMARY KEY (order_id),
  CONSTRAINT automatic_purchase_order_fk FOREIGN KEY (order_id) REFERENCES sales_order (id)
) STRICT;
CREATE INDEX automatic_purchase_order_ix ON automatic_purchase_order (bucket, customer, at);
