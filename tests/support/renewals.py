"""A stage for subscriptions at billing: what access tells, a till, and a clock to move."""

import itertools
from typing import Any, Final

from farebox.billing.books import service as books
from farebox.billing.copies import service as copies
from farebox.billing.customers import store as customers
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows.begin_subscription import begin_subscription
from farebox.billing.flows.change_subscription import change_subscription
from farebox.billing.flows.issue_invoices import pay_invoice
from farebox.billing.flows.rate_usage import UsageDue, aggregate_usage
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.billing.invoices.model import Invoice, Place, Seller
from farebox.billing.invoices.service import list_invoices, read_invoice
from farebox.billing.invoices.service_settings import set_seller
from farebox.billing.payments.model import Payment
from farebox.billing.payments.service import payments_of
from farebox.billing.payments.service_methods import make_standard, methods_of, remove_method
from farebox.billing.pricing.service_prices import change_price, prices_of
from farebox.billing.schedules import service as schedules
from farebox.billing.schedules.model import PaymentTerms, Schedule
from farebox.events.model import SPEC_VERSION, Event, Position, source_of
from farebox.events.service import events_after
from farebox.kernel.clock import ManualClock, parse_time, show_time
from farebox.kernel.periods import period_start
from farebox.storage import Database
from tests.support.payments import Till
from tests.support.prices import flat, sell, terms
from tests.support.services import ADA, run
from tests.support.subscribers import when

_numbers: Final = itertools.count(1)
SELLER: Final = Seller(name="Farebox Films", place=Place(country="DE"))
TO_ACCESS: Final = ("payment.succeeded", "payment.failed", "subscription.")


def told(type_: str, subject: str, data: dict[str, Any], at: int = 0) -> Event:
    """Return an event as access would tell it."""
    number = next(_numbers)
    return Event(
        specversion=SPEC_VERSION, id=f"evt_{number}", source=source_of("access"), type=type_,
        subject=subject, time=show_time(at), datacontenttype="application/json",
        subjectversion=number, data=data,
    )  # fmt: skip


class Renewals:
    """Billing with a seller, plans `basic` at 10.00 and `pro` at 20.00 USD a month, and Ada."""

    def __init__(
        self,
        billing: Database,
        clock: ManualClock,
        at: str = "2027-01-31",
        *,
        customer: str | None = None,
    ) -> None:
        self.billing = billing
        self.clock = clock
        self.at(at)
        self.till = Till(billing)
        run(billing, set_seller, ADA, SELLER)
        self.sell("basic", "10")
        self.sell("pro", "20")
        self.who = customer or self.consumer("con_1")

    def at(self, moment: str) -> None:
        """Move the clock to a moment: `2027-01-31` or `2027-01-31T12:00`, UTC."""
        self.clock.set(when(moment))

    # -- what access tells -------------------------------------------------------------------------

    def consumer(self, consumer: str) -> str:
        data: dict[str, Any] = {
            "consumerId": consumer, "name": "Ada", "state": "active", "owner": None,
            "metadata": {},
        }  # fmt: skip
        event = told("consumer.updated", consumer, data)
        run(self.billing, copies.keep_consumer, event)
        return consumer

    def sell(self, plan: str, amount: str, **named: Any) -> Any:
        """Give a plan a price a month (`every`), and return it."""
        named = {"every": ("month", 1), **named}
        return sell(self.billing, "plan", plan, flat(amount), **named)

    def reprice(self, plan: str, amount: str) -> None:
        """Let new subscribers of a plan pay another price."""
        [price] = run(self.billing, prices_of, "plan", plan)
        run(self.billing, change_price, ADA, price.id, terms(flat(amount), every=("month", 1)))

    def card(self, script: str = "sandbox_ok") -> str:
        """Let a customer pay by a card that plays a script, from now on."""
        known = {each.token: each.id for each in run(self.billing, methods_of, self.who).items}
        made = known.get(script) or self.till.method(script, self.who)
        run(self.billing, make_standard, ADA, made)
        return made

    def created(self, plan: str = "basic", **named: Any) -> Event:
        """Return the event of a new subscription."""
        data: dict[str, Any] = {
            "subscriptionId": f"sub_{next(_numbers)}", "holderKind": "consumer",
            "consumerId": self.who, "groupId": None, "planId": plan, "planVersion": 1,
            "state": "pending_payment", "periodUnit": "month", "periodCount": 1, "trialDays": 0,
        }  # fmt: skip
        data |= named
        return told("subscription.created", data["subscriptionId"], data)

    def subscribe(self, plan: str = "basic", **named: Any) -> str:
        """Let access tell of a new subscription, and all of it be done; returns its id."""
        event = self.created(plan, **named)
        run(self.billing, begin_subscription, event)
        self.work()
        return event.subject

    def late(self, script: str = "sandbox_decline") -> str:
        """Return a subscription whose second month could not be paid."""
        self.card()
        one = self.subscribe()
        self.card(script)
        self.live("2027-02-28")
        return one

    def keep(self, subscription: str, state: str) -> None:
        """Let access tell in which state a subscription is."""
        data = {
            "subscriptionId": subscription, "holderKind": "consumer", "consumerId": self.who,
            "groupId": None, "planId": "basic", "planVersion": 1, "state": state,
            "periodUnit": "month", "periodCount": 1, "startedAt": None, "trialEndsAt": None,
            "cancelAt": None, "endedAt": None,
        }  # fmt: skip
        run(
            self.billing, copies.keep_subscription, told("subscription.updated", subscription, data)
        )

    def wish(
        self, subscription: str, change: str, at: str = "now", plan: str | None = None
    ) -> None:
        """Let access pass on a wish, and all of it be done."""
        data = {"subscriptionId": subscription, "change": change, "at": at, "plan": plan}
        run(
            self.billing,
            change_subscription,
            told("subscription.change_requested", subscription, data),
        )
        self.work()

    def used(self, product: str, quantity: int, *, period: str = "2027-03", **named: Any) -> Event:
        """Let access tell what a consumer used in a month, finally unless `interim`."""
        first = parse_time(f"{period}-01T00:00:00Z")
        ends = period_start("month", 1, first, "UTC", 1)
        consumer = named.pop("consumer", self.who)
        extra: dict[str, Any] = {
            name: named.pop(name) for name in ("ownerId", "interim") if name in named
        }
        total: dict[str, Any] = {
            "productCode": product, "count": 1, "total": quantity, "sum": quantity,
            "maximum": quantity, "late": {"count": 0, "sum": 0}, "aggregations": [], **named,
        }  # fmt: skip
        data: dict[str, Any] = {
            "consumerId": consumer, "ownerId": None, "period": period, "from": show_time(first),
            "to": show_time(ends), "interim": False, "totals": [total], **extra,
        }  # fmt: skip
        event = told("usage.aggregated", f"{consumer}:{period}", data)
        run(self.billing, aggregate_usage, event)
        return event

    def meter(self, product: str, charge: str, **named: Any) -> Any:
        """Give the use of a product a price a month."""
        named = {"every": ("month", 1), "timing": "arrears", **named}
        return sell(self.billing, "product", product, charge, **named)

    # -- what is done ------------------------------------------------------------------------------

    def work(self) -> None:
        """Let the workers do all that is due now."""
        workers = (DueSchedules(self.billing), UsageDue(self.billing))
        while sum(worker.step() for worker in workers) + self.till.work():
            pass

    def live(self, *moments: str) -> None:
        """Let time come to each moment, and the workers work there."""
        for moment in moments:
            self.at(moment)
            self.work()

    def terms(self, plan: str = "*", **named: Any) -> None:
        run(self.billing, schedules.set_terms, ADA, plan, PaymentTerms(**named))

    def pay(self, subscription: str) -> None:
        """Let the customer pay what waits, by their standard method."""
        waiting = self.schedule(subscription).invoice
        assert waiting is not None
        run(self.billing, pay_invoice, waiting, key=f"key_{next(_numbers)}")
        self.work()

    def forget_cards(self) -> None:
        for each in run(self.billing, methods_of, self.who).items:
            run(self.billing, remove_method, ADA, each.id)

    def zone(self, zone: str) -> None:
        """Let the customer live in a zone."""
        run(self.billing, ensure_customer, "consumer", self.who)
        here = customers.customer.update().where(customers.customer.c.id == self.who)
        self.billing.run(lambda tx: tx.run(here.values(zone=zone)))

    # -- what came of it ---------------------------------------------------------------------------

    def schedule(self, subscription: str) -> Schedule:
        return run(self.billing, schedules.read_schedule, subscription)

    def state(self, subscription: str) -> str:
        return self.schedule(subscription).state

    def invoices(self, subscription: str, most: int = 100) -> list[Invoice]:
        """Return the invoices of a subscription with their lines, oldest first."""
        found = run(self.billing, list_invoices, subscription=subscription, limit=most).items
        return [run(self.billing, read_invoice, each.id) for each in reversed(found)]

    def bills(self, subscription: str, most: int = 100) -> list[tuple[str, str, int, str]]:
        """Return period, total and state of each invoice."""
        return [
            (
                show_time(each.period_start or 0)[:10], show_time(each.period_end or 0)[:10],
                each.total, each.state,
            )
            for each in self.invoices(subscription, most)
        ]  # fmt: skip

    def payments(self, subscription: str) -> list[Payment]:
        return [
            payment
            for each in self.invoices(subscription)
            for payment in run(self.billing, payments_of, "invoice", each.id)
        ]

    def told(self, subscription: str) -> list[Event]:
        """Return what access was told of a subscription."""
        feed = run(self.billing, events_after, Position(), 1_000)
        return [
            event
            for event in feed.events
            if event.subject == subscription and event.type.startswith(TO_ACCESS)
        ]

    def said(self, subscription: str) -> list[str]:
        return [event.type for event in self.told(subscription)]

    def trial_balance(self) -> dict[str, int]:
        return run(self.billing, books.balances, "USD")
