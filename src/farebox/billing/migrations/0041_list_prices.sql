-- What a line costs without its promotion, and which promotion that was (JSON, or null); of a cart's
-- line also what the offer's other periods cost when its price was guaranteed (JSON).
ALTER TABLE cart_line ADD COLUMN list_fee BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cart_line ADD COLUMN promotion TEXT NOT NULL DEFAULT 'null';
ALTER TABLE cart_line ADD COLUMN book TEXT NOT NULL DEFAULT '{}';
UPDATE cart_line SET list_fee = fee;
ALTER TABLE order_line ADD COLUMN list_fee BIGINT NOT NULL DEFAULT 0;
ALTER TABLE order_line ADD COLUMN promotion TEXT NOT NULL DEFAULT 'null';
UPDATE order_line SET list_fee = fee;
