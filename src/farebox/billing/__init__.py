"""Owns everything that has a price, and the money behind it. Makes no access decisions."""
