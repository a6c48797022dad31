-- What a product brings and is sold with. `search` is its text as queries see it; a product of
-- before has none until the next start fills it in.
ALTER TABLE product ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN entitlements TEXT NOT NULL DEFAULT '[]';
ALTER TABLE product ADD COLUMN add_ons TEXT NOT NULL DEFAULT '[]';
ALTER TABLE product ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE product ADD COLUMN search TEXT;

-- A product's type was a free word. What is none of the types is a service.
UPDATE product SET type = lower(replace(replace(type, '-', '_'), ' ', '_'));
UPDATE product SET type = 'service'
  WHERE type NOT IN ('api', 'subscription', 'one_off', 'add_on', 'service', 'item');
-- A CHECK comes to a table that exists with a column only, so this one guards the type as well.
ALTER TABLE product ADD COLUMN billable BIGINT NOT NULL DEFAULT 1 CONSTRAINT product_terms_ck CHECK (billable IN (0, 1) AND type IN ('api', 'subscription', 'one_off', 'add_on', 'service', 'item'));

CREATE TABLE feature (
  code TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  kind TEXT NOT NULL,
  choices TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT feature_pk PRIMARY KEY (code),
  CONSTRAINT feature_kind_ck CHECK (kind IN ('switch', 'number', 'choice')),
  CONSTRAINT feature_state_ck CHECK (state IN ('active', 'archived'))
) STRICT;

-- `version` is the newest: what new subscribers get.
CREATE TABLE plan (
  code TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT plan_pk PRIMARY KEY (code),
  CONSTRAINT plan_state_ck CHECK (state IN ('active', 'archived'))
) STRICT;

-- The terms of a version as JSON: they are read whole and never change.
CREATE TABLE plan_version (
  plan TEXT NOT NULL,
  version BIGINT NOT NULL,
  terms TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT plan_version_pk PRIMARY KEY (plan, version),
  CONSTRAINT plan_version_plan_fk FOREIGN KEY (plan) REFERENCES plan (code),
  CONSTRAINT plan_version_ck CHECK (version >= 1)
) STRICT;
APPEND_ONLY plan_version;
