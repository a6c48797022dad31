"""Payments: what is to be paid, by which gateway, and what came of it."""
