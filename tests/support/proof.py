"""Proving a database after a fault: verify, and the invariants counted from the tables alone."""

from typing import Any

import sqlalchemy as sa

from farebox.ledger.verify import verify
from farebox.storage import Database

_SUMS = """
    SELECT b.id, b.credits_posted - coalesce(g.credited, 0) AS credited,
           b.debits_posted - coalesce(g.debited, 0) AS debited,
           b.debits_pending - coalesce(g.pending, 0) AS pending,
           b.debits_pending - coalesce(h.held, 0) AS held
    FROM account b
    LEFT JOIN (SELECT bucket, sum(credits_posted) AS credited, sum(debits_posted) AS debited,
                      sum(debits_pending) AS pending FROM account WHERE kind = 2 GROUP BY bucket) g
        ON g.bucket = b.id
    LEFT JOIN (SELECT p.bucket, sum(p.amount) AS held FROM hold_part p
               JOIN hold h ON h.id = p.hold WHERE h.state = 1 GROUP BY p.bucket) h
        ON h.bucket = b.id
    WHERE b.kind = 1
"""
_BELOW = """
    SELECT id FROM account WHERE credits_posted - debits_posted - debits_pending < floor
"""
_UNEVEN = """
    SELECT h.id FROM hold h
    LEFT JOIN (SELECT hold, sum(CASE WHEN kind IN (4, 5, 6) THEN amount ELSE 0 END) AS ended,
                      sum(CASE WHEN kind = 4 THEN amount ELSE 0 END) AS captured
               FROM transfer WHERE hold IS NOT NULL GROUP BY hold) t ON t.hold = h.id
    WHERE h.cap IS NULL AND (
        (h.state = 1 AND coalesce(t.ended, 0) <> 0)
        OR (h.state <> 1 AND coalesce(t.ended, 0) <> h.amount)
        OR (h.state <> 1 AND coalesce(t.captured, 0) <> h.captured))
"""


def rows(database: Database, sql: str, **parameters: Any) -> list[Any]:
    """Read rows as they lie in the tables."""
    with database.read() as tx:
        return list(tx.run(sa.text(sql), parameters).all())


def faults(database: Database) -> list[Any]:
    """Return everything that is wrong with a ledger: by verify, and by sums over its tables."""
    found: list[Any] = [fault for report in list(verify(database))[-1:] for fault in report.faults]
    found += [row for row in rows(database, _SUMS) if any(row[1:])]
    found += [("below its floor", row.id) for row in rows(database, _BELOW)]
    found += [("a hold that leaks", row.id) for row in rows(database, _UNEVEN)]
    return found


def drawn(database: Database, bucket: int) -> list[Any]:
    """Return a bucket's uses as the journal has them, in its order."""
    return rows(
        database,
        "SELECT seq, operation, amount, actor FROM transfer "
        "WHERE bucket = :bucket AND kind = 2 ORDER BY seq",
        bucket=bucket,
    )
