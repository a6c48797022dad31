"""Databases and transactions on SQLite and PostgreSQL. Knows no business word."""

from farebox.storage.database import LOG_MB, Database, Problem, Tx, problem_of
from farebox.storage.migrations import MigrationRefused, migrate, pending
from farebox.storage.opening import open_database, url_of_file
from farebox.storage.tables import table

__all__ = [
    "LOG_MB",
    "Database",
    "MigrationRefused",
    "Problem",
    "Tx",
    "migrate",
    "open_database",
    "pending",
    "problem_of",
    "table",
    "url_of_file",
]
