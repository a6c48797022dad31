"""Billing as it is beside access: its inbox, its workers, its routes, the sandbox to pay by.

Nothing of billing is played. `Money` reads what a story looks at in billing's database, also where
the service itself runs in other processes.
"""

import itertools
from typing import Any, Final

from farebox.billing.books import service as books
from farebox.billing.copies.service import find_consumer
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.service import list_invoices
from farebox.billing.orders.model import Order
from farebox.billing.orders.service import list_orders
from farebox.billing.payments.model import Payment
from farebox.billing.payments.service import list_payments
from farebox.events.model import Event, Position
from farebox.events.reader import Reader
from farebox.events.service import events_after
from farebox.events.transports.in_process import DatabaseLog
from farebox.storage import Database
from farebox.wiring.loops import billing_due, billing_inbox
from tests.support.flows import Billing
from tests.support.payments import Till
from tests.support.services import run

LOG: Final = 1_000
_cards: Final = itertools.count(1)
API: Final = "wayang-core-api"
NODE: Final = "premium-node-x"
PRO: Final = {
    "code": "pro",
    "name": "Pro",
    "quotas": [{"product": API, "limit": 10_000, "unit": "month", "overage": True}],
}
ITEM: Final = {
    "code": NODE,
    "kind": "node",
    "title": {"en": "Premium Node X"},
    "offers": [{"code": "forever", "kind": "purchase", "capacity": 2}],
}
MONTHLY: Final = {"unit": "month", "count": 1}
PRICES: Final[tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...]] = (
    ("plan", "pro", {"charge": {"model": "flat", "amount": "99.00"}}, {"recurring": MONTHLY}),
    ("plan", "basic", {"charge": {"model": "flat", "amount": "9.00"}}, {"recurring": MONTHLY}),
    ("item", NODE, {"charge": {"model": "flat", "amount": "49.99"}}, {}),
    (
        "product",
        API,
        {"charge": {"model": "per_unit", "unit": "0.001"}},
        {"recurring": MONTHLY, "timing": "arrears"},
    ),
)
"""What is sold, in dollars: the words of source 002."""


def open_catalogue(post: Any) -> None:
    """Make the products, plans and items of source 002 by access's routes; `post` calls them."""
    post("/v1/products", {"code": API, "name": "Core API", "type": "api", "unit": "request"})
    post("/v1/plans", PRO)
    post("/v1/plans", {**PRO, "code": "basic", "name": "Basic"})
    post("/v1/items", ITEM)
    post(f"/v1/items/{NODE}/publish")


def open_shop(post: Any, put: Any) -> None:
    """Say who sells, and at what prices, by billing's routes; it knows the catalogue by then."""
    put("/v1/seller", {"name": "Wayang", "country": "DE"})
    for of, code, terms, more in PRICES:
        post("/v1/prices", {"of": of, "code": code, "currency": "USD", "terms": terms, **more})


def show_card(post: Any, consumer: str, script: str = "sandbox_ok") -> None:
    """Let a consumer pay by a card that plays a script, from now on."""
    token = f"{script}:{next(_cards)}"
    body = {"gateway": "sandbox", "token": token, "standard": True}
    post(f"/v1/customers/{consumer}/payment-methods", body)


class Money:
    """What a story looks at in billing's database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def knows(self, consumer: str) -> bool:
        """Tell whether billing has heard of a consumer."""
        return run(self.database, find_consumer, consumer) is not None

    def invoices(self, customer: str) -> list[Invoice]:
        """Return somebody's invoices, oldest first."""
        return list(run(self.database, list_invoices, customer=customer).items)[::-1]

    def bills(self, customer: str) -> list[tuple[int, str]]:
        """Return total and state of somebody's invoices, oldest first."""
        return [(each.total, each.state) for each in self.invoices(customer)]

    def orders(self, customer: str) -> list[Order]:
        """Return somebody's orders, oldest first."""
        return list(run(self.database, list_orders, customer=customer).items)[::-1]

    def payments(self, customer: str) -> list[Payment]:
        """Return somebody's payments, oldest first."""
        return list(run(self.database, list_payments, customer=customer).items)[::-1]

    def paid(self, customer: str) -> list[tuple[int, str]]:
        """Return amount and state of somebody's payments, oldest first."""
        return [(each.amount, each.state) for each in self.payments(customer)]

    def trial(self) -> dict[str, int]:
        """Return the trial balance in dollars, which sums to nothing.

        What was deferred is earned day by day, so the two stand together as `sold`.
        """
        found = run(self.database, books.balances, "USD")
        assert sum(found.values()) == 0
        found["sold"] = found.pop("revenue", 0) + found.pop("deferred", 0)
        return {name: amount for name, amount in found.items() if amount}

    def told(self, *types: str, customer: str | None = None) -> list[Event]:
        """Return what billing told, of these types, of one customer if one is named."""
        return [
            event
            for event in run(self.database, events_after, Position(), LOG).events
            if event.type in types
            and customer in {None, event.data.get("consumerId"), event.data.get("customerId")}
        ]


class _Paying:
    """The worker of payments, which waits here until its calls are recorded."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def step(self) -> int:
        return self._till.work()


class RealBilling(Billing):
    """The service with the money, as it is; each step of its workers when it is told to work."""

    def __init__(self, database: Database, access: Database) -> None:
        self.database, self.served, self._access = database, database, access
        self.money = Money(database)
        self.till = Till(database)
        log = DatabaseLog(access, name="access", reader="billing")
        self.inbox = billing_inbox(database)
        self.workers = (
            Reader(log, self.inbox), self.inbox, *billing_due(database), _Paying(self.till),
        )  # fmt: skip

    def heard(self, *types: str) -> list[Event]:
        """Return what access has told, of these types, in its order."""
        feed = run(self._access, events_after, Position(), LOG)
        return [event for event in feed.events if event.type in types]

    def work(self) -> None:
        """Let billing alone do all there is to do, while access hears nothing."""
        while sum(worker.step() for worker in self.workers):
            pass

    def close(self) -> None:
        self.till.close()
