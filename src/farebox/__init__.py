"""Farebox sells access: it decides who may use what, and keeps the ledger behind the answer."""
