"""Decides and counts: consumers, products, buckets, decisions. Holds no money amounts."""
