-- Promotions: what list prices are lowered by for a while, for everybody. Percentages are decimal
-- strings. What a promotion takes off never changes; it ends at `valid_until`.
CREATE TABLE promotion (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  offer TEXT,
  period_hours BIGINT,
  percent TEXT,
  amount BIGINT,
  currency TEXT,
  valid_from BIGINT NOT NULL,
  valid_until BIGINT,
  created_at BIGINT NOT NULL,
  CONSTRAINT promotion_pk PRIMARY KEY (id),
  CONSTRAINT promotion_kind_ck CHECK (kind IN ('product', 'plan', 'item')),
  CONSTRAINT promotion_off_ck CHECK ((percent IS NULL) <> (amount IS NULL)),
  CONSTRAINT promotion_amount_ck CHECK ((amount IS NULL) = (currency IS NULL) AND (amount IS NULL OR amount >= 1)),
  CONSTRAINT promotion_offer_ck CHECK (kind = 'item' OR offer IS NULL),
  CONSTRAINT promotion_period_ck CHECK (period_hours IS NULL OR (offer IS NOT NULL AND period_hours >= 1)),
  CONSTRAINT promotion_valid_ck CHECK (valid_until IS NULL OR valid_until >= valid_from)
) STRICT;
CREATE INDEX promotion_code_ix ON promotion (code, kind, id);
