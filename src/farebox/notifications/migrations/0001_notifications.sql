-- Letters to people, by whichever channel. Time is microseconds UTC.

-- Since when this service has heard: what happened before is told to nobody.
CREATE TABLE letters_since (
  id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT letters_since_pk PRIMARY KEY (id),
  CONSTRAINT letters_since_ck CHECK (id = 1)
) STRICT;

-- How somebody is reached: what access tells of a consumer and billing of a customer. A language
-- or a zone that nobody has named is null; `_at` is when the last one was named.
CREATE TABLE recipient_card (
  origin TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  owner TEXT,
  email TEXT,
  phone TEXT,
  locale TEXT,
  locale_at BIGINT NOT NULL,
  zone TEXT,
  zone_at BIGINT NOT NULL,
  CONSTRAINT recipient_card_pk PRIMARY KEY (origin, id),
  CONSTRAINT recipient_card_origin_ck CHECK (origin IN ('consumer', 'customer'))
) STRICT, WITHOUT ROWID;

-- What items and products are called, by language (JSON), and how a product is counted.
CREATE TABLE title_copy (
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  title TEXT NOT NULL,
  unit TEXT,
  scale BIGINT NOT NULL,
  CONSTRAINT title_copy_pk PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE rental_copy (
  rental TEXT NOT NULL,
  order_id TEXT,
  consumer TEXT NOT NULL,
  item TEXT NOT NULL,
  offer TEXT NOT NULL,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  period_hours BIGINT NOT NULL,
  version BIGINT NOT NULL,
  revoked BIGINT NOT NULL,
  CONSTRAINT rental_copy_pk PRIMARY KEY (rental)
) STRICT;
CREATE INDEX rental_copy_order_ix ON rental_copy (order_id);

-- A rental's other period that billing has charged and access has given; told when both are known.
CREATE TABLE rental_change_part (
  rental TEXT NOT NULL,
  period_hours BIGINT NOT NULL,
  paid TEXT,
  done TEXT,
  CONSTRAINT rental_change_part_pk PRIMARY KEY (rental, period_hours)
) STRICT, WITHOUT ROWID;

-- What somebody has chosen. `letters` is the channel by kind of letter (JSON); quiet hours are
-- minutes of the day in their zone.
CREATE TABLE preference (
  recipient TEXT NOT NULL,
  channel TEXT,
  letters TEXT NOT NULL,
  quiet_from BIGINT,
  quiet_until BIGINT,
  locale TEXT,
  zone TEXT,
  phone TEXT,
  changed_at BIGINT NOT NULL,
  CONSTRAINT preference_pk PRIMARY KEY (recipient),
  CONSTRAINT preference_quiet_ck CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
) STRICT;

-- One row for what somebody is to be told of an event; `once` keeps a repeat from being another.
-- `locale` and `zone` are of the letter; the zone is null until it is known to whom it goes, and
-- until then the locale is that of a document which comes with it. `due_at` is when it is tried
-- next, or taken for lost while `claim` names a try that is under way.
CREATE TABLE letter (
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  recipient TEXT NOT NULL,
  once TEXT NOT NULL,
  event TEXT NOT NULL,
  facts TEXT NOT NULL,
  locale TEXT,
  zone TEXT,
  state TEXT NOT NULL,
  reason TEXT,
  due_at BIGINT,
  claim TEXT,
  until_at BIGINT,
  round BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  CONSTRAINT letter_pk PRIMARY KEY (id),
  CONSTRAINT letter_once_uq UNIQUE (kind, recipient, once),
  CONSTRAINT letter_state_ck CHECK (
    state IN ('waiting', 'sent', 'failed', 'no_channel', 'switched_off', 'withdrawn')
  ),
  CONSTRAINT letter_due_ck CHECK ((state = 'waiting') = (due_at IS NOT NULL))
) STRICT;
CREATE INDEX letter_due_ix ON letter (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX letter_recipient_ix ON letter (recipient, id);

-- How far a letter has come on one channel.
CREATE TABLE delivery (
  letter TEXT NOT NULL,
  channel TEXT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  CONSTRAINT delivery_pk PRIMARY KEY (letter, channel),
  CONSTRAINT delivery_letter_fk FOREIGN KEY (letter) REFERENCES letter (id),
  CONSTRAINT delivery_state_ck CHECK (state IN ('waiting', 'sent', 'failed'))
) STRICT, WITHOUT ROWID;

-- Every try, written before it is made: one without an outcome was cut short, or is under way.
CREATE TABLE delivery_attempt (
  id TEXT NOT NULL,
  letter TEXT NOT NULL,
  channel TEXT NOT NULL,
  number BIGINT NOT NULL,
  address TEXT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT,
  error TEXT,
  CONSTRAINT delivery_attempt_pk PRIMARY KEY (id),
  CONSTRAINT delivery_attempt_letter_fk FOREIGN KEY (letter) REFERENCES letter (id),
  CONSTRAINT delivery_attempt_outcome_ck CHECK (outcome IN ('sent', 'failed'))
) STRICT;
CREATE UNIQUE INDEX delivery_attempt_letter_uq ON delivery_attempt (letter, number);

-- The inbox inside the shop: a copy of every letter, whatever becomes of the others.
CREATE TABLE notice (
  id TEXT NOT NULL,
  letter TEXT NOT NULL,
  recipient TEXT NOT NULL,
  kind TEXT NOT NULL,
  locale TEXT NOT NULL,
  title TEXT NOT NULL,
  text TEXT NOT NULL,
  at BIGINT NOT NULL,
  read_at BIGINT,
  CONSTRAINT notice_pk PRIMARY KEY (id),
  CONSTRAINT notice_letter_uq UNIQUE (letter),
  CONSTRAINT notice_letter_fk FOREIGN KEY (letter) REFERENCES letter (id)
) STRICT;
CREATE INDEX notice_recipient_ix ON notice (recipient, id);
