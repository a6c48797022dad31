"""Redeem an access key once."""

from farebox.access.decisions.model import Redemption
from farebox.platform.model import Actor, Once
from farebox.storage import Database


def redeem(
    database: Database, actor: Actor, token: str, *, issuer: str, once: Once | None = None
) -> Redemption:
    """Redeem an access key; the second time is refused (`already_redeemed`), but a repeat under the same key is answered again."""
    raise NotImplementedError
