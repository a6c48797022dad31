"""Writing down what has fallen due on subscriptions.

It decides nothing: what is due counts from its own instant in every answer. Written down, others
hear of it (`subscription.updated`, `access.suspended`), and the ledger's books are closed.
"""

from functools import partial

from farebox.access.flows.subscription_changes import settle_subscription
from farebox.access.subscriptions.service import due_subscriptions
from farebox.events.rests import Rests
from farebox.platform.model import SYSTEM
from farebox.storage import Database

AT_ONCE = 100


class DueSubscriptions:
    """Settles what is due, a subscription in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Do up to a hundred of the longest due; returns how many there were. Repeating is safe.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        with self._database.read() as tx:
            due = due_subscriptions(tx, AT_ONCE + len(self._rests))
        works = {
            each: partial(settle_subscription, actor=SYSTEM, subscription_id=each) for each in due
        }
        return self._rests.each_in(self._database, works)
