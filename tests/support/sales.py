"""Billing with a catalogue, prices and customers, as orders need them; access played by events."""

import itertools
from decimal import Decimal
from typing import Any, Final

from farebox.billing.books import service as books
from farebox.billing.books.model import About
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows.handlers import COPIES, HANDLERS
from farebox.billing.orders.model import Wish
from farebox.billing.pricing.model_charges import Flat, PerUnit
from farebox.billing.pricing.model_prices import Price, Priced, PriceTerms
from farebox.billing.pricing.model_rating import ChargeTerms
from farebox.billing.pricing.service_prices import change_price, create_price
from farebox.billing.wallets import service as wallets
from farebox.events.inbox import Inbox
from farebox.events.model import Event, Position, source_of
from farebox.events.service import events_after
from farebox.kernel.clock import ManualClock, show_time
from farebox.kernel.ids import record_id
from farebox.storage import Database
from tests.support.services import ADA, now, run

MINUTE: Final = 60_000_000
HOUR: Final = 60 * MINUTE
ACCESS: Final = source_of("access")
ANNA: Final = "con_anna"
BORIS: Final = "con_boris"
_LARGEST: Final = 1_000


class Sales:
    """Short ways to sell: Mauser (12, 24, 48 hours online, in a hall, for good), credits, courses.

    Amounts are kopecks; the seller is `opr_s1`.
    """

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.inbox = Inbox(database, HANDLERS, copies=COPIES)
        self._versions: dict[str, Any] = {}
        self.begins_at = now(database) + 30 * 24 * HOUR
        for name in (ANNA, BORIS):
            self.tell_consumer(name)
        self.tell_item("mauser")
        self.tell_item("seagull")
        self.tell("product.created", "product:films", **_product("films"))
        self.prices = {
            hours: self.price("item", "mauser", rub, offer="online", period_hours=hours)
            for hours, rub in ((12, "240"), (24, "360"), (48, "480"))
        }
        self.price("item", "mauser", "1500", offer="hall")
        self.price("item", "mauser", "990", offer="keep")
        self.price("item", "seagull", "500", offer="online", period_hours=24)
        self.credits = self.price("product", "films", "2.50")

    def tell_consumer(self, name: str) -> None:
        self.tell(
            "consumer.updated", name, consumerId=name, name=name, state="active", owner=None,
            metadata={},
        )  # fmt: skip

    def tell_item(self, code: str, *, state: str = "published", owner: str = "opr_s1") -> None:
        offers: list[dict[str, Any]] = [
            {"code": "online", "kind": "online_rental", "periods": [12, 24, 48], "starts_at": None},
            {
                "code": "hall", "kind": "theatre_ticket", "periods": [],
                "starts_at": show_time(self.begins_at),
            },
            {"code": "keep", "kind": "purchase", "periods": [], "starts_at": None},
        ]  # fmt: skip
        self.tell(
            "item.updated", f"item:{code}", itemId=code, id=f"itm_{code}", owner=owner,
            kind="premiere", title={"ru": code, "en": code}, offers=offers, state=state,
            version=self.next_of(f"item_version:{code}"),
        )  # fmt: skip

    def price(self, of: Any, code: str, amount: str, **more: Any) -> Price:
        return run(
            self.database, create_price, ADA, priced=Priced(of=of, code=code, **more),
            currency="RUB", terms=PriceTerms(terms=flat(amount, each=of == "product")),
        )  # fmt: skip

    def reprice(self, price: Price, amount: str) -> Price:
        terms = PriceTerms(terms=flat(amount, each=price.of == "product"))
        return run(self.database, change_price, ADA, price.id, terms)

    def fill(self, customer: str, amount: int, currency: str = "RUB") -> None:
        run(self.database, ensure_customer, "consumer", customer)
        run(
            self.database, wallets.fill, customer, currency, amount, source_account="cash:sandbox",
            about=About(kind="top_up", customer=customer), key=record_id("top"),
        )  # fmt: skip

    def balance(self, customer: str) -> int:
        return run(self.database, wallets.balance_of, customer, "RUB").available

    def trial(self, currency: str = "RUB") -> dict[str, int]:
        """Return the trial balance, which sums to nothing."""
        found = run(self.database, books.balances, currency)
        assert sum(found.values()) == 0
        return {name: amount for name, amount in found.items() if amount}

    # -- access, played by its events -----------------------------------------------------------

    def next_of(self, subject: str) -> int:
        return int(next(self._versions.setdefault(subject, itertools.count(1))))

    def event(self, type_: str, subject: str, **data: Any) -> Event:
        """Return an event of access, the next one of its subject."""
        return Event(
            specversion="1.0", id=record_id("evt"), source=ACCESS, type=type_, subject=subject,
            time=show_time(now(self.database)), datacontenttype="application/json",
            subjectversion=self.next_of(subject), data=data,
        )  # fmt: skip

    def tell(self, type_: str, subject: str, **data: Any) -> Event:
        """Let billing hear something of access, and act on it."""
        return self.hear(self.event(type_, subject, **data))

    def hear(self, event: Event) -> Event:
        """Let billing hear an event, and act on it."""
        assert self.inbox.take([event]) == ()
        while self.inbox.step():
            pass
        return event

    def told(self, *types: str) -> list[Event]:
        """Return what billing told, of these types."""
        feed = run(self.database, events_after, Position(), _LARGEST)
        return [event for event in feed.events if event.type in types]

    def closings(self, order: str) -> list[str]:
        """Return the closing events of an order."""
        types = ("order.completed", "order.canceled", "order.expired", "payment.failed")
        return [event.type for event in self.told(*types) if event.data.get("orderId") == order]


def online(hours: int = 24, item: str = "mauser", **more: Any) -> Wish:
    """Return the wish to rent an item."""
    return Wish(kind="item", code=item, offer="online", period_hours=hours, **more)


def credits_(quantity: int, bucket: str = "bkt_0000000000000001") -> Wish:
    """Return the wish for credits."""
    return Wish(kind="credits", code="films", quantity=quantity, bucket=bucket)


def flat(amount: str, *, each: bool = False) -> ChargeTerms:
    """Return terms: so much, or so much a unit."""
    price = Decimal(amount)
    return ChargeTerms(charge=PerUnit(unit=price) if each else Flat(amount=price))


def _product(code: str) -> dict[str, Any]:
    return {
        "product": code, "name": code, "type": "metered", "unit": "film", "scale": 0,
        "state": "active", "billable": True, "version": 1,
    }  # fmt: skip
