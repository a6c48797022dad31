"""The audit log: who changed what, why, before, after. Append-only, until it expires."""

from itertools import takewhile
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.refusals import ValueRefused
from farebox.platform import store
from farebox.platform.model import SYSTEM, Actor, AuditEntry, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

AT_ONCE: Final = 1_000
_encode = msgspec.json.Encoder().encode


def record(
    tx: Tx,
    actor: Actor,
    action: str,
    subject: str,
    *,
    before: Any = None,  # noqa: ANN401 - any value of ours that msgspec writes
    after: Any = None,  # noqa: ANN401 - as above
) -> None:
    """Write one change. `before` and `after` are values of ours, kept as JSON; None is nothing."""
    row = {
        "at": tx.now_us,
        "actor_kind": actor.kind,
        "actor": actor.id,
        "action": action,
        "subject": subject,
        "reason": actor.reason,
        "before": None if before is None else _encode(before).decode(),
        "after": None if after is None else _encode(after).decode(),
    }
    tx.run(store.audit.insert(), row)


def list_audit(
    tx: Tx,
    *,
    subject: str | None = None,
    actor: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[AuditEntry]:
    """Return changes newest first; `before` is the cursor of the page that came before."""
    statement = sa.select(store.audit).order_by(store.audit.c.seq.desc())
    if subject is not None:
        statement = statement.where(store.audit.c.subject == subject)
    if actor is not None:
        statement = statement.where(store.audit.c.actor == actor)
    if before is not None:
        if not before.isascii() or not before.isdigit() or len(before) > 18:  # noqa: PLR2004 - fits a BIGINT
            raise ValueRefused("this cursor is not of this list")
        statement = statement.where(store.audit.c.seq < int(before))
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.audit_entry_of(row) for row in rows], limit, lambda row: str(row.seq))


def expire_audit(tx: Tx, before_us: int) -> int:
    """Remove up to a thousand of the oldest entries from before an instant; returns how many.

    That they were removed is an entry itself.
    """
    oldest = sa.select(store.audit.c.seq, store.audit.c.at).order_by(store.audit.c.seq)
    rows = tx.run(oldest.limit(AT_ONCE)).all()
    # In order, so that what is left has no holes.
    gone = list(takewhile(lambda row: row.at < before_us, rows))
    if not gone:
        return 0
    tx.upsert(store.expiry, {"log": "audit", "until": before_us}, key=("log",))
    tx.run(store.audit.delete().where(store.audit.c.seq <= gone[-1].seq))
    record(tx, SYSTEM, "audit.expired", "audit", after={"entries": len(gone), "until": before_us})
    return len(gone)
