-- What owners sell, how it is found, places in carts, purchases on their way, rentals.
-- `number` orders items by age and stands for them in the index of words.
CREATE TABLE item (
  number BIGINT NOT NULL,
  id TEXT NOT NULL,
  code TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  attributes TEXT NOT NULL,
  offers TEXT NOT NULL,
  capacity BIGINT,
  available_from BIGINT,
  available_until BIGINT,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  CONSTRAINT item_pk PRIMARY KEY (number),
  CONSTRAINT item_id_uq UNIQUE (id),
  CONSTRAINT item_code_uq UNIQUE (code),
  CONSTRAINT item_state_ck CHECK (state IN ('draft', 'published', 'archived')),
  CONSTRAINT item_capacity_ck CHECK (capacity >= 0)
) STRICT;
CREATE INDEX item_owner_ix ON item (owner, number);
CREATE INDEX item_state_ix ON item (state, number);

-- Every word that a published item has ever had. `number` is a digest of the word, so that an
-- item's terms are written without looking words up. Words are bytes: no collation has a say.
CREATE TABLE item_word (
  number BIGINT NOT NULL,
  word BYTES NOT NULL,
  backwards BYTES NOT NULL,
  stem TEXT NOT NULL,
  CONSTRAINT item_word_pk PRIMARY KEY (number)
) STRICT;
CREATE INDEX item_word_word_ix ON item_word (word);
CREATE INDEX item_word_backwards_ix ON item_word (backwards);
CREATE INDEX item_word_stem_ix ON item_word (stem);

CREATE TABLE item_term (
  word BIGINT NOT NULL,
  item BIGINT NOT NULL,
  weight BIGINT NOT NULL,
  CONSTRAINT item_term_pk PRIMARY KEY (word, item),
  CONSTRAINT item_term_item_fk FOREIGN KEY (item) REFERENCES item (number)
) STRICT, WITHOUT ROWID;
-- The best items of a word, without reading the others.
CREATE INDEX item_term_best_ix ON item_term (word, weight, item);
CREATE INDEX item_term_item_ix ON item_term (item);

CREATE TABLE item_attribute (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  item BIGINT NOT NULL,
  CONSTRAINT item_attribute_pk PRIMARY KEY (name, value, item),
  CONSTRAINT item_attribute_item_fk FOREIGN KEY (item) REFERENCES item (number)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_attribute_item_ix ON item_attribute (item);

-- The ledger bucket that counts places: of one offer, or of the item where `offer` is empty.
CREATE TABLE item_capacity (
  item BIGINT NOT NULL,
  offer TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  capacity BIGINT NOT NULL,
  CONSTRAINT item_capacity_pk PRIMARY KEY (item, offer),
  CONSTRAINT item_capacity_item_fk FOREIGN KEY (item) REFERENCES item (number),
  CONSTRAINT item_capacity_ck CHECK (capacity >= 0)
) STRICT, WITHOUT ROWID;

-- A place in somebody's cart. `hold` is the ledger's; `taking` the operation that sold it.
CREATE TABLE item_place (
  id TEXT NOT NULL,
  item TEXT NOT NULL,
  offer TEXT NOT NULL,
  consumer TEXT NOT NULL,
  hold BIGINT,
  taken_at BIGINT NOT NULL,
  expires_at BIGINT,
  renewals BIGINT NOT NULL,
  taking BIGINT,
  ended_at BIGINT,
  ended_by TEXT,
  CONSTRAINT item_place_pk PRIMARY KEY (id),
  CONSTRAINT item_place_item_fk FOREIGN KEY (item) REFERENCES item (code),
  CONSTRAINT item_place_end_ck CHECK ((ended_at IS NULL) = (ended_by IS NULL))
) STRICT;
-- One open place for a consumer and an offer: a second one would be held for nobody.
CREATE UNIQUE INDEX item_place_open_uq ON item_place (consumer, item, offer) WHERE ended_at IS NULL;
CREATE INDEX item_place_consumer_ix ON item_place (consumer, id);

CREATE TABLE item_purchase (
  id TEXT NOT NULL,
  consumer TEXT NOT NULL,
  item TEXT NOT NULL,
  offer TEXT NOT NULL,
  period_hours BIGINT,
  starts_at BIGINT,
  order_id TEXT,
  place TEXT,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  event TEXT,
  entitlement TEXT,
  rental TEXT,
  CONSTRAINT item_purchase_pk PRIMARY KEY (id),
  CONSTRAINT item_purchase_state_ck CHECK (
    state IN ('initiated', 'released', 'fulfilled', 'failed', 'refunded')
  )
) STRICT;
CREATE UNIQUE INDEX item_purchase_open_uq ON item_purchase (consumer, item, offer)
  WHERE state = 'initiated';
CREATE UNIQUE INDEX item_purchase_order_uq ON item_purchase (order_id, item, offer);
CREATE INDEX item_purchase_consumer_ix ON item_purchase (consumer, id);

-- When what was rented may be played. How it stands is computed from these, never stored.
CREATE TABLE rental (
  id TEXT NOT NULL,
  consumer TEXT NOT NULL,
  item TEXT NOT NULL,
  offer TEXT NOT NULL,
  order_id TEXT,
  entitlement TEXT NOT NULL,
  starts_at BIGINT NOT NULL,
  period_hours BIGINT NOT NULL,
  finish_within_hours BIGINT,
  window_end BIGINT,
  first_played_at BIGINT,
  moved BIGINT NOT NULL,
  extended BIGINT NOT NULL,
  revoked_at BIGINT,
  revoked_why TEXT,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT rental_pk PRIMARY KEY (id),
  CONSTRAINT rental_entitlement_uq UNIQUE (entitlement),
  CONSTRAINT rental_consumer_fk FOREIGN KEY (consumer) REFERENCES consumer (id),
  CONSTRAINT rental_period_ck CHECK (period_hours > 0)
) STRICT;
CREATE INDEX rental_consumer_ix ON rental (consumer, id);
CREATE INDEX rental_item_ix ON rental (item, id);

-- What is due to be told of a rental; the key is what lets it be told once for each version.
CREATE TABLE rental_reminder (
  rental TEXT NOT NULL,
  kind TEXT NOT NULL,
  version BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  done_at BIGINT,
  told BIGINT NOT NULL,
  CONSTRAINT rental_reminder_pk PRIMARY KEY (rental, kind, version),
  CONSTRAINT rental_reminder_rental_fk FOREIGN KEY (rental) REFERENCES rental (id)
) STRICT;
CREATE INDEX rental_reminder_due_ix ON rental_reminder (due_at) WHERE done_at IS NULL;
