"""The audit log: who changed what, why, before, after. Append-only."""

from typing import Any

from farebox.platform.model import Actor, AuditEntry, Page
from farebox.storage import Tx


def record(
    tx: Tx, actor: Actor, action: str, subject: str, *, before: Any = None, after: Any = None
) -> None:
    """Write one change. `before` and `after` are values of ours, kept as JSON."""
    raise NotImplementedError


def list_audit(
    tx: Tx,
    *,
    subject: str | None = None,
    actor: str | None = None,
    before_seq: int | None = None,
    limit: int = 100,
) -> Page[AuditEntry]:
    """Return changes newest first; the cursor is the `seq` to go on below."""
    raise NotImplementedError
