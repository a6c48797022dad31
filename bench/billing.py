"""Rating and invoicing: subscriptions with ten usage products each, over the turn of a month.

Each customer's month is told as `usage.aggregated` tells it; then the worker rates it and issues
the invoices. Two sizes, ten times apart, say whether the work of one grows with what is there.
SQLite, one process, no HTTP; payments are by hand and wait.
"""

import resource
import time
from decimal import Decimal
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from bench.model import Row, Wrong
from bench.promises import measured, promised
from bench.rounds import say
from bench.stage import Stage
from farebox.billing.copies import service as copies
from farebox.billing.flows.begin_subscription import begin_subscription
from farebox.billing.flows.rate_usage import COLLECT_US, UsageDue, aggregate_usage
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.billing.invoices.model import Place, Seller
from farebox.billing.invoices.service_settings import set_seller
from farebox.billing.pricing.model_charges import Flat, Graduated, Tier
from farebox.billing.pricing.model_prices import Of, Priced, PriceTerms, Recurring, Timing
from farebox.billing.pricing.model_rating import ChargeTerms
from farebox.billing.pricing.service_prices import create_price
from farebox.events.model import SPEC_VERSION, Event, source_of
from farebox.kernel.clock import ManualClock, parse_time, show_time
from farebox.platform.model import Actor
from farebox.storage import Database, Tx, migrate, open_database
from farebox.wiring.services import COMPONENTS

PRODUCTS: Final = 10
PLAN: Final = "pro"
CODES: Final = tuple(f"api-{number}" for number in range(PRODUCTS))
_CUSTOMERS: Final = {"full": (10_000, 100_000), "quick": (200, 2_000)}
_ACTOR: Final = Actor(kind="system", id="bench", reason="measuring")
_ACCESS: Final = source_of("access")
_BEGINS, _ENDS = parse_time("2027-01-01T00:00:00Z"), parse_time("2027-02-01T00:00:00Z")
_A_TRANSACTION: Final = 200


def billing(stage: Stage) -> list[Row]:
    """Measure invoices a second of both sizes, and the memory that the larger one took."""
    small, large = _CUSTOMERS[stage.sizes.name]
    rates, grown = {}, 0
    for count in (small, large):
        clock = ManualClock(_BEGINS)
        path = stage.folder(f"billing-{count}") / "billing.db"
        database = open_database("billing", f"sqlite:///{path}", clock)
        try:
            migrate(database, COMPONENTS["billing"])
            _furnish(database, count)
            before = _memory()
            rates[count] = _turn_of_the_month(database, clock, count)
            grown = _memory() - before
        finally:
            database.close()
    [row] = promised("billing")
    note = (
        f"{large:,} subscriptions with {PRODUCTS} usage products each, graduated prices:"
        f" an invoice of {PRODUCTS} lines each; {small:,} subscriptions: {rates[small]:,.0f}/s, so"
        f" {rates[large] / rates[small]:.2f} of that at {large // small} times the size;"
        f" the largest memory grew by {grown / 2**20:.0f} MiB"
    )
    return [measured(row, ours=rates[large], peer=rates[small], note=note)]


def _furnish(database: Database, count: int) -> None:
    """Make the catalogue with its prices, and customers who subscribe, as access tells of them."""
    database.run(_catalogue)
    for start in range(0, count, _A_TRANSACTION):
        numbers = range(start, min(start + _A_TRANSACTION, count))
        database.run(partial(_subscribers, numbers=numbers))
    schedules = DueSchedules(database)
    while schedules.step():
        pass


def _catalogue(tx: Tx) -> None:
    set_seller(tx, _ACTOR, Seller(name="Bench", place=Place(country="DE")))
    plan = {
        "plan": PLAN, "version": 1, "state": "active", "name": "Pro", "trial_days": 0,
        "quotas": [], "features": [],
    }  # fmt: skip
    copies.keep_plan(tx, _told("plan.created", PLAN, plan))
    flat = ChargeTerms(charge=Flat(amount=Decimal(0)))
    _sell(tx, "plan", PLAN, flat, "advance")
    tiers = (Tier(up_to=Decimal(100), unit=Decimal("0.10")), Tier(unit=Decimal("0.05")))
    for code in CODES:
        product = {
            "product": code, "name": code, "type": "api", "unit": "call", "scale": 0,
            "state": "active", "billable": True, "version": 1,
        }  # fmt: skip
        copies.keep_product(tx, _told("product.created", code, product))
        _sell(tx, "product", code, ChargeTerms(charge=Graduated(tiers=tiers)), "arrears")


def _sell(tx: Tx, of: Of, code: str, terms: ChargeTerms, timing: Timing) -> None:
    month = PriceTerms(terms=terms, recurring=Recurring(unit="month"), timing=timing)
    create_price(tx, _ACTOR, priced=Priced(of=of, code=code), currency="USD", terms=month)


def _subscribers(tx: Tx, numbers: range) -> None:
    for number in numbers:
        _subscriber(tx, number)


def _subscriber(tx: Tx, number: int) -> None:
    consumer = f"con_{number:08d}"
    who: dict[str, Any] = {
        "consumerId": consumer, "name": f"Customer {number}", "state": "active", "owner": None,
        "metadata": {},
    }  # fmt: skip
    copies.keep_consumer(tx, _told("consumer.updated", consumer, who))
    data = {
        "subscriptionId": f"sub_{number:08d}", "holderKind": "consumer", "consumerId": consumer,
        "groupId": None, "planId": PLAN, "planVersion": 1, "state": "pending_payment",
        "periodUnit": "month", "periodCount": 1, "trialDays": 0,
    }  # fmt: skip
    begin_subscription(tx, _told("subscription.created", data["subscriptionId"], data))


def _told(type_: str, subject: Any, data: dict[str, Any]) -> Event:  # noqa: ANN401 - an id
    return Event(
        specversion=SPEC_VERSION, id=f"{type_}-{subject}", source=_ACCESS, type=type_,
        subject=subject, time=show_time(_BEGINS), datacontenttype="application/json",
        subjectversion=1, data=data,
    )  # fmt: skip


def _turn_of_the_month(database: Database, clock: ManualClock, count: int) -> float:
    """Let every customer's month be told, rated and invoiced; returns customers a second."""
    clock.set(_ENDS + COLLECT_US)
    begun = time.perf_counter()
    for number in range(count):
        database.run(partial(aggregate_usage, event=_used(number)))
    told = time.perf_counter()
    clock.move(COLLECT_US + 1)
    worker = UsageDue(database)
    while worker.step():
        pass
    seconds = time.perf_counter() - begun
    say(f"  {count:,} customers: told in {told - begun:.1f} s, all of it in {seconds:.1f} s")
    with database.read() as tx:
        statement = "SELECT count(*) FROM usage_bill WHERE invoice IS NOT NULL"
        billed = tx.run(sa.text(statement)).scalar_one()
    if billed != count * PRODUCTS:
        raise Wrong(f"{billed:,} products were billed of {count * PRODUCTS:,}")
    return count / seconds


def _used(number: int) -> Event:
    totals = [
        {
            "productCode": code, "count": 3, "total": 150 + number % 50, "sum": 150 + number % 50,
            "maximum": 80, "late": {"count": 0, "sum": 0}, "aggregations": [],
        }
        for code in CODES
    ]  # fmt: skip
    consumer = f"con_{number:08d}"
    data = {
        "consumerId": consumer, "ownerId": None, "period": "2027-01", "from": show_time(_BEGINS),
        "to": show_time(_ENDS), "interim": False, "totals": totals,
    }  # fmt: skip
    return _told("usage.aggregated", f"{consumer}:2027-01", data)


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
