-- Each asset gets the sink of reported use: asset * 16 + 7.
INSERT INTO account (
  id, kind, asset, bucket, name, floor, priority, class, starts_at, expires_at, schedule, period,
  state, debits_pending, debits_posted, credits_posted, waiting, grants, version, entries, last_at,
  head, next_event_at, frozen
) SELECT number * 16 + 7, 3, number, NULL, 'reported', NULL, 0, 0, 0, 4611686018427387904, NULL,
  NULL, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4611686018427387904, 0 FROM asset;
