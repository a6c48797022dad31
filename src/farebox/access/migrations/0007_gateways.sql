-- What the calls that other people's gateways ask about use. '*' is every host, or every method.
CREATE TABLE edge_route (
  id TEXT NOT NULL,
  host TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  mode TEXT NOT NULL,
  product TEXT,
  feature TEXT,
  quantity BIGINT NOT NULL,
  empty_status BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT edge_route_pk PRIMARY KEY (id),
  CONSTRAINT edge_route_place_uq UNIQUE (host, method, path),
  CONSTRAINT edge_route_product_fk FOREIGN KEY (product) REFERENCES product (code),
  CONSTRAINT edge_route_feature_fk FOREIGN KEY (feature) REFERENCES feature (code),
  CONSTRAINT edge_route_quantity_ck CHECK (quantity > 0)
) STRICT, WITHOUT ROWID;
