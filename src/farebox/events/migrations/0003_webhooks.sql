-- Where events are pushed to. An empty list of types is every type.
CREATE TABLE webhook_endpoint (
  id TEXT NOT NULL,
  url TEXT NOT NULL,
  description TEXT NOT NULL,
  types TEXT NOT NULL,
  state TEXT NOT NULL,
  disabled_because TEXT,
  failing_since BIGINT,
  created_at BIGINT NOT NULL,
  CONSTRAINT webhook_endpoint_pk PRIMARY KEY (id),
  CONSTRAINT webhook_endpoint_state_ck CHECK (state IN ('active', 'disabled')),
  CONSTRAINT webhook_endpoint_because_ck CHECK ((state = 'disabled') = (disabled_because IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What an endpoint's messages are signed with; during a rotation two are in force.
CREATE TABLE webhook_secret (
  endpoint TEXT NOT NULL,
  number BIGINT NOT NULL,
  value BYTES NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  CONSTRAINT webhook_secret_pk PRIMARY KEY (endpoint, number)
) STRICT, WITHOUT ROWID;

-- The body of a message, the same to every endpoint and in every attempt.
CREATE TABLE webhook_message (
  event TEXT NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT webhook_message_pk PRIMARY KEY (event)
) STRICT, WITHOUT ROWID;

-- A message on its way to an endpoint. While an attempt is under way `due_at` is when it is taken
-- for lost; `tries` counts since the delivery was begun or re-sent, `attempts` from the beginning.
CREATE TABLE webhook_delivery (
  id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  due_at BIGINT,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  CONSTRAINT webhook_delivery_pk PRIMARY KEY (id),
  CONSTRAINT webhook_delivery_event_uq UNIQUE (event, endpoint),
  CONSTRAINT webhook_delivery_state_ck CHECK (state IN ('waiting', 'delivered', 'failed')),
  CONSTRAINT webhook_delivery_due_ck CHECK ((state = 'waiting') = (due_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_delivery_due_ix ON webhook_delivery (endpoint, due_at);
CREATE INDEX webhook_delivery_log_ix ON webhook_delivery (endpoint, id);

-- Each attempt and what came of it.
CREATE TABLE webhook_attempt (
  seq IDENTITY,
  delivery TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  event TEXT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  status BIGINT,
  duration_ms BIGINT NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX webhook_attempt_log_ix ON webhook_attempt (endpoint, seq);
CREATE INDEX webhook_attempt_delivery_ix ON webhook_attempt (delivery, seq);
