"""Redeem an access key once."""

from farebox.access.decisions.model import Redemption
from farebox.access.decisions.service_access_keys import redeem_access_key
from farebox.platform.model import Actor, Once
from farebox.platform.service_posted import answer_once
from farebox.storage import Database, Tx


def redeem(
    database: Database, actor: Actor, token: str, *, issuer: str, once: Once | None = None
) -> Redemption:
    """Redeem an access key; the second time is refused (`already_redeemed`).

    A repeat under the same Idempotency-Key is the same redemption, and is answered again.
    """

    def work(tx: Tx) -> Redemption:
        return answer_once(
            tx, once, Redemption, lambda: redeem_access_key(tx, actor, token, issuer=issuer)
        )

    return database.run(work)
