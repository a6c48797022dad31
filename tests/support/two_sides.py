"""Access and billing over their own databases, each reading the other's log; no server."""

from typing import Any, Final

from farebox.access.flows import handlers as access
from farebox.billing.books import service as books
from farebox.billing.books.model import About
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows import buy
from farebox.billing.flows import handlers as billing
from farebox.billing.flows.orders_due import DueOrders
from farebox.billing.orders import service as orders
from farebox.billing.orders import service_carts as carts
from farebox.billing.orders.model import Order, OrderLine, Wish
from farebox.billing.orders.model_refunds import Refund
from farebox.billing.orders.rules import CLOSING as _CLOSING
from farebox.billing.orders.service import Terms
from farebox.billing.orders.service_refunds import refunds_of, return_lines
from farebox.billing.pricing.model_prices import Priced, PriceTerms
from farebox.billing.pricing.service_prices import create_price
from farebox.billing.wallets import service as wallets
from farebox.events.inbox import Inbox
from farebox.events.model import Event, Position
from farebox.events.reader import Reader
from farebox.events.service import events_after
from farebox.events.service_dead_letters import list_dead_letters
from farebox.events.transports.in_process import DatabaseLog
from farebox.kernel.clock import ManualClock
from farebox.kernel.ids import record_id
from farebox.storage import Database
from tests.support.market import Market
from tests.support.payments import Till
from tests.support.sales import flat
from tests.support.services import ADA, run

ONLINE: Final = Wish(kind="item", code="mauser", offer="online", period_hours=24)
SEAGULL: Final = Wish(kind="item", code="seagull", offer="online", period_hours=24)
CLOSING: Final = tuple(_CLOSING.values())


class TwoSides:
    """A market at access, and billing as it is: nothing is played but the gateways."""

    def __init__(self, database: Database, money: Database, clock: ManualClock) -> None:
        self.access, self.billing, self.clock = database, money, clock
        self.inboxes: Final = (
            Inbox(database, access.HANDLERS),
            Inbox(money, billing.HANDLERS, copies=billing.COPIES),
        )
        self.readers: Final = (
            Reader(DatabaseLog(money, name="billing", reader="access"), self.inboxes[0]),
            Reader(DatabaseLog(database, name="access", reader="billing"), self.inboxes[1]),
        )
        self.market = Market(database, clock)
        self.market.item("seagull", "Чайка")
        self.due = DueOrders(money)
        self.till = Till(money)
        self.settle()

    def settle(self) -> None:
        """Let both hear and do all there is, until neither has anything left."""
        workers: tuple[Any, ...] = (*self.readers, *self.inboxes, self.due)
        while sum(each.step() for each in workers) or self.till.work():
            pass

    # -- billing --------------------------------------------------------------------------------

    def sell(self, of: Any, code: str, amount: str, **more: Any) -> Any:
        """Give something a price in roubles."""
        terms = PriceTerms(terms=flat(amount, each=of == "product"))
        priced = Priced(of=of, code=code, **more)
        return run(self.billing, create_price, ADA, priced=priced, currency="RUB", terms=terms)

    def fill(self, amount: int, customer: str | None = None) -> None:
        """Put money into a wallet."""
        who = customer or self.market.bob
        run(self.billing, ensure_customer, "consumer", who)
        run(
            self.billing, wallets.fill, who, "RUB", amount, source_account="cash:sandbox",
            about=About(kind="top_up", customer=who), key=record_id("top"),
        )  # fmt: skip

    @property
    def balance(self) -> int:
        """Return what is in Bob's wallet."""
        return run(self.billing, wallets.balance_of, self.market.bob, "RUB").available

    def trial(self) -> dict[str, int]:
        """Return the trial balance, which sums to nothing and leaves nothing on its way."""
        found = run(self.billing, books.balances, "RUB")
        assert sum(found.values()) == 0
        return {name: amount for name, amount in found.items() if amount}

    def cart(self, *wishes: Wish) -> str:
        """Return the id of Bob's cart with these in it."""
        made = run(self.billing, carts.open_cart, self.market.bob, "RUB")
        for wish in wishes:
            run(self.billing, carts.put_line, made.id, wish)
        return made.id

    def complete(self, cart: str, key: str = "key_1", **more: Any) -> Order:
        """Complete a cart, and begin the purchases of its items as a shell does."""
        wait = more.pop("wait", False)
        order = run(
            self.billing, buy.complete_cart, cart, key=key, terms=Terms(**more),
            wait_for_funds=wait,
        )  # fmt: skip
        for line in self.lines(order.id):
            if line.wish.kind == "item":
                assert line.wish.offer is not None
                self.market.start(
                    offer=line.wish.offer, own_id=line.purchase, item=line.wish.code,
                    order=order.id, period_hours=line.wish.period_hours,
                    starts_at=line.wish.starts_at,
                )  # fmt: skip
        self.settle()
        return self.order(order.id)

    def order(self, order_id: str) -> Order:
        return run(self.billing, orders.read_order, order_id)

    def lines(self, order_id: str) -> tuple[OrderLine, ...]:
        return run(self.billing, orders.lines_of, order_id)

    def orders(self) -> tuple[Order, ...]:
        """Return all orders, and see that each that has ended was closed by one event.

        No event of either side has come to nothing.
        """
        for database in (self.access, self.billing):
            assert run(database, list_dead_letters) == ()
        found = run(self.billing, orders.list_orders).items
        told = [event for event in self.told(*CLOSING) if event.subject.startswith("ord_")]
        for one in found:
            closings = [event.type for event in told if event.subject == one.id]
            assert closings == ([] if one.ended_by is None else [one.ended_by])
            refunds = run(self.billing, refunds_of, one.id)
            assert one.refunded == sum(each.amount for each in refunds)
            assert one.net == one.charged - one.refunded >= 0
        return found

    def told(self, *types: str) -> list[Event]:
        """Return what billing told, of these types."""
        feed = run(self.billing, events_after, Position(), 1_000)
        return [event for event in feed.events if event.type in types]

    def give_back(self, order: str, *lines: str, **more: Any) -> Refund:
        """Return lines of an order, or all of them."""
        made = run(self.billing, return_lines, ADA, order, lines or None, **more)
        self.settle()
        return made

    def bought(self, wish: Wish = ONLINE, **more: Any) -> tuple[Order, OrderLine]:
        """Return Bob's order of one thing, and its line."""
        made = self.complete(self.cart(wish), **more)
        return made, self.lines(made.id)[0]


def cinema(database: Database, money: Database, clock: ManualClock) -> TwoSides:
    """Return two sides on which Mauser and the Seagull are sold in roubles."""
    made = TwoSides(database, money, clock)
    for hours, rub in ((12, "240"), (24, "360"), (48, "480")):
        made.sell("item", "mauser", rub, offer="online", period_hours=hours)
    made.sell("item", "mauser", "1500", offer="hall")
    made.sell("item", "seagull", "500")
    return made
