-- Since when a subscription in arrears is on its plan: what was used before it is billed.
ALTER TABLE subscription_schedule ADD COLUMN changed_at BIGINT;
