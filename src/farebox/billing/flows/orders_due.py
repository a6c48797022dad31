"""Orders that fall due: ended when their time is over, paid when a wallet was filled for them.

Each in a transaction of its own. This is what guarantees that every order has its closing event,
and that no place stays pinned for an order that never came.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from farebox.billing.flows.buy import expire_order
from farebox.billing.flows.take_purchase import let_go
from farebox.billing.orders.service import due_orders, lock_order
from farebox.billing.orders.service_paying import orders_to_pay, pay_order
from farebox.billing.orders.service_waiting import drop_waiting, due_waiting
from farebox.storage import Database, Tx

AT_ONCE: Final = 100
LATER_US: Final = 300_000_000
"""How long an order waits on whose payment is not decided when its time is over."""


class DueOrders:
    """Ends and pays what is due. Any number may work on one database."""

    name: Final = "orders"

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Do up to a hundred of each; returns how many were dealt with. Repeating is safe.

        One that fails keeps none of the others waiting; the first failure is raised at the end.
        """
        with self._database.read() as tx:
            over = due_orders(tx, AT_ONCE)
            ready = orders_to_pay(tx, AT_ONCE)
            waiting = due_waiting(tx, AT_ONCE)
        works: list[Callable[[Tx], object]] = [
            *(partial(_expire, one) for one in over),
            *(partial(_pay, one) for one in ready),
            *(partial(_let_go, facts) for facts in waiting),
        ]
        return self._database.run_each(works)


def _expire(order: str, tx: Tx) -> None:
    expire_order(tx, order, later_us=LATER_US)


def _pay(order: str, tx: Tx) -> None:
    pay_order(tx, lock_order(tx, order))


def _let_go(facts: dict[str, Any], tx: Tx) -> None:
    if drop_waiting(tx, facts["purchaseId"]):
        let_go(tx, facts, "order.expired", "order_unknown")
