-- The version of a price that a subscription goes on with from its next period, where one is planned.
ALTER TABLE subscription_schedule ADD COLUMN pending_price TEXT;
ALTER TABLE subscription_schedule ADD COLUMN pending_price_version BIGINT;
CREATE INDEX subscription_schedule_price_ix ON subscription_schedule (price, subscription);
