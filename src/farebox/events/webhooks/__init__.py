"""Outgoing webhooks: who gets which events, what was sent and what came of it."""
