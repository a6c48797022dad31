"""Use cases that cross contexts. They open transactions, one file per flow."""
