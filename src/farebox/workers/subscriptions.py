"""Writing down what has fallen due on subscriptions.

It decides nothing: what is due counts from its own instant in every answer. Written down, others
hear of it (`subscription.updated`, `access.suspended`), and the ledger's books are closed.
"""

from farebox.access.flows.subscription_changes import settle_subscription
from farebox.access.subscriptions.service import due_subscriptions
from farebox.platform.model import SYSTEM
from farebox.storage import Database, Tx

AT_ONCE = 100


class DueSubscriptions:
    """Settles what is due, a subscription in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Do up to a hundred of the longest due; returns how many there were. Repeating is safe.

        One that fails keeps none of the others waiting; the first failure is raised at the end.
        """
        with self._database.read() as tx:
            due = due_subscriptions(tx, AT_ONCE)
        failures = []
        for each in due:
            try:
                self._settle(each)
            except Exception as error:  # noqa: BLE001 - it is raised when the others are done
                failures.append(error)
        if failures:
            raise failures[0]
        return len(due)

    def _settle(self, subscription: str) -> None:
        def work(tx: Tx) -> None:
            settle_subscription(tx, SYSTEM, subscription)

        self._database.run(work)
