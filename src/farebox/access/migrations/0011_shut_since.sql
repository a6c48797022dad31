-- Since when a payment that did not come has kept a subscription shut.
ALTER TABLE subscription ADD COLUMN shut_at BIGINT;
