-- The key with which a rental was played last: one device at a time.
ALTER TABLE rental ADD COLUMN device TEXT;
