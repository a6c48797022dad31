-- What a consumer's key is good for: codes of products, features and items, or everything (empty).
ALTER TABLE credential ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
