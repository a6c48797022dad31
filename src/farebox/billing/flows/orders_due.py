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
from farebox.events.rests import Rests
from farebox.storage import Database, Tx

AT_ONCE: Final = 100
LATER_US: Final = 300_000_000
"""How long an order waits on whose payment is not decided when its time is over."""


class DueOrders:
    """Ends and pays what is due. Any number may work on one database."""

    name: Final = "orders"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Do up to a hundred of each; returns how many were dealt with. Repeating is safe.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        with self._database.read() as tx:
            most = AT_ONCE + len(self._rests)
            over = due_orders(tx, most)
            ready = orders_to_pay(tx, most)
            waiting = due_waiting(tx, most)
        works: dict[tuple[str, str], Callable[[Tx], object]] = {
            **{("over", one): partial(_expire, one) for one in over},
            **{("ready", one): partial(_pay, one) for one in ready},
            **{("waiting", each["purchaseId"]): partial(_let_go, each) for each in waiting},
        }
        return self._rests.each_in(self._database, works)


def _expire(order: str, tx: Tx) -> None:
    expire_order(tx, order, later_us=LATER_US)


def _pay(order: str, tx: Tx) -> None:
    pay_order(tx, lock_order(tx, order))


def _let_go(facts: dict[str, Any], tx: Tx) -> None:
    if drop_waiting(tx, facts["purchaseId"]):
        let_go(tx, facts, "order.expired", "order_unknown")
