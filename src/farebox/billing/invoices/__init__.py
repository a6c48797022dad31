"""Invoices and credit notes: documents that say for ever what was owed, and what became of it."""
