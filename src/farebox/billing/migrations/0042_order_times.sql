-- How long an order waits for a payment through a gateway, where somebody has said it.
CREATE TABLE order_time (
  gateway TEXT NOT NULL,
  minutes BIGINT NOT NULL,
  CONSTRAINT order_time_pk PRIMARY KEY (gateway),
  CONSTRAINT order_time_ck CHECK (minutes BETWEEN 1 AND 129600)
) STRICT;
