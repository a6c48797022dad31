-- Since when access has kept a subscription shut for a payment that did not come.
ALTER TABLE subscription_copy ADD COLUMN shut_at TEXT;
