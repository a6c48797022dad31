-- Prices. `price` says what is priced and what is sold; a version holds the terms. A version that
-- is in use is never changed.
CREATE TABLE price (
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  offer TEXT,
  period_hours BIGINT,
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT price_pk PRIMARY KEY (id),
  CONSTRAINT price_kind_ck CHECK (kind IN ('product', 'plan', 'item')),
  CONSTRAINT price_state_ck CHECK (state IN ('active', 'archived')),
  CONSTRAINT price_version_ck CHECK (version >= 1),
  CONSTRAINT price_offer_ck CHECK (kind = 'item' OR offer IS NULL),
  CONSTRAINT price_period_ck CHECK (period_hours IS NULL OR (offer IS NOT NULL AND period_hours >= 1))
) STRICT;
CREATE INDEX price_code_ix ON price (code, kind, id);

CREATE TABLE price_version (
  price TEXT NOT NULL,
  version BIGINT NOT NULL,
  terms TEXT NOT NULL,
  unit TEXT,
  units BIGINT,
  timing TEXT NOT NULL,
  tax_behaviour TEXT NOT NULL,
  tax_category TEXT,
  providers TEXT NOT NULL,
  metadata TEXT NOT NULL,
  used BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT price_version_pk PRIMARY KEY (price, version),
  CONSTRAINT price_version_price_fk FOREIGN KEY (price) REFERENCES price (id),
  CONSTRAINT price_version_unit_ck CHECK (unit IN ('day', 'week', 'month', 'year')),
  CONSTRAINT price_version_units_ck CHECK ((unit IS NULL) = (units IS NULL) AND (units IS NULL OR units >= 1)),
  CONSTRAINT price_version_timing_ck CHECK (timing IN ('advance', 'arrears')),
  CONSTRAINT price_version_tax_ck CHECK (tax_behaviour IN ('exclusive', 'inclusive')),
  CONSTRAINT price_version_used_ck CHECK (used IN (0, 1))
) STRICT;

-- What payment providers call our prices: each of their names is one price.
CREATE TABLE price_reference (
  provider TEXT NOT NULL,
  reference TEXT NOT NULL,
  price TEXT NOT NULL,
  CONSTRAINT price_reference_pk PRIMARY KEY (provider, reference),
  CONSTRAINT price_reference_price_fk FOREIGN KEY (price) REFERENCES price (id)
) STRICT;
CREATE INDEX price_reference_price_ix ON price_reference (price);

-- Coupons; lists are JSON, percentages decimal strings.
CREATE TABLE coupon (
  code TEXT NOT NULL,
  percent TEXT,
  amount BIGINT,
  currency TEXT,
  periods BIGINT,
  products TEXT NOT NULL,
  plans TEXT NOT NULL,
  items TEXT NOT NULL,
  valid_from BIGINT,
  valid_until BIGINT,
  most_uses BIGINT,
  most_uses_each BIGINT,
  uses BIGINT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT coupon_pk PRIMARY KEY (code),
  CONSTRAINT coupon_off_ck CHECK ((percent IS NULL) <> (amount IS NULL)),
  CONSTRAINT coupon_amount_ck CHECK ((amount IS NULL) = (currency IS NULL) AND (amount IS NULL OR amount >= 1)),
  CONSTRAINT coupon_uses_ck CHECK (uses >= 0 AND (most_uses IS NULL OR uses <= most_uses)),
  CONSTRAINT coupon_state_ck CHECK (state IN ('active', 'archived'))
) STRICT;

-- `claim` is what a customer redeemed the coupon for: the same again is the same redemption.
CREATE TABLE coupon_redemption (
  id TEXT NOT NULL,
  coupon TEXT NOT NULL,
  customer TEXT NOT NULL,
  subscription TEXT,
  claim TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT coupon_redemption_pk PRIMARY KEY (id),
  CONSTRAINT coupon_redemption_claim_uq UNIQUE (customer, coupon, claim),
  CONSTRAINT coupon_redemption_coupon_fk FOREIGN KEY (coupon) REFERENCES coupon (code)
) STRICT;
CREATE INDEX coupon_redemption_coupon_ix ON coupon_redemption (coupon, id);

-- In which bills a redeemed coupon was used: each counts once.
CREATE TABLE coupon_use (
  redemption TEXT NOT NULL,
  bill TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT coupon_use_pk PRIMARY KEY (redemption, bill),
  CONSTRAINT coupon_use_redemption_fk FOREIGN KEY (redemption) REFERENCES coupon_redemption (id)
) STRICT;

CREATE TABLE tax_rate (
  id TEXT NOT NULL,
  code TEXT NOT NULL,
  percent TEXT NOT NULL,
  country TEXT NOT NULL,
  region TEXT,
  category TEXT,
  valid_from BIGINT NOT NULL,
  valid_until BIGINT,
  created_at BIGINT NOT NULL,
  CONSTRAINT tax_rate_pk PRIMARY KEY (id),
  CONSTRAINT tax_rate_valid_ck CHECK (valid_until IS NULL OR valid_until >= valid_from)
) STRICT;
CREATE INDEX tax_rate_country_ix ON tax_rate (country);
CREATE INDEX tax_rate_code_ix ON tax_rate (code, id);

-- One row, once it is set. It is also what those wait for who change tax rates.
CREATE TABLE tax_settings (
  name TEXT NOT NULL,
  country TEXT,
  level TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT tax_settings_pk PRIMARY KEY (name),
  CONSTRAINT tax_settings_name_ck CHECK (name = 'tax'),
  CONSTRAINT tax_settings_level_ck CHECK (level IN ('line', 'rate', 'total'))
) STRICT;

-- One unit of `base` is `rate` units of `quote` from a day (ISO 8601) on.
CREATE TABLE exchange_rate (
  base TEXT NOT NULL,
  quote TEXT NOT NULL,
  day TEXT NOT NULL,
  source TEXT NOT NULL,
  rate TEXT NOT NULL,
  CONSTRAINT exchange_rate_pk PRIMARY KEY (base, quote, day, source)
) STRICT;
CREATE INDEX exchange_rate_day_ix ON exchange_rate (day);
