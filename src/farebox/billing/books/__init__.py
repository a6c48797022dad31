"""The books: billing's money in double entry, kept by the ledger."""
