"""The double-entry ledger: buckets of grants, uses, holds, and the journal that proves them."""
