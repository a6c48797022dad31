-- When the next place of an item that is sold out may be free: the first hold of it that ends.
CREATE INDEX item_place_free_ix ON item_place (item, expires_at) WHERE ended_at IS NULL;
