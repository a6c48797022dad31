"""A subscription begins: its price is agreed, its trial starts or its first period is billed.

Source 002, flow 1. A plan without a price, and a deployment that has not said yet who sells, do not
hold up anybody's events: the schedule waits as `unpriced` and is looked at again each hour.
"""

from typing import Final, Literal

import msgspec

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows.bill_subscription import (
    bill_stretch,
    price_of_plan,
    shown,
    tell,
    wait_for,
    with_price,
)
from farebox.billing.flows.dunning import paid_up
from farebox.billing.invoices.model import SellerMissing
from farebox.billing.invoices.service_settings import read_seller
from farebox.billing.pricing.model_prices import Price, PriceUnknown
from farebox.billing.schedules.model import HolderKind, Schedule
from farebox.billing.schedules.rules import (
    LOOK_AGAIN_US,
    anchored,
    period_of,
    trial_end,
    with_period_billed,
)
from farebox.billing.schedules.service import (
    had_trial,
    insert_schedule,
    lock_schedule,
    write_schedule,
)
from farebox.events.model import Event
from farebox.kernel.periods import Unit
from farebox.storage import Tx

NO_CURRENCY: Final = "XXX"
"""ISO 4217's word for no currency: that of a schedule before its price is known."""


class SubscriptionCreated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What access tells of a new subscription, as far as billing needs it."""

    subscription_id: str
    holder_kind: HolderKind
    plan_id: str
    plan_version: int
    period_unit: Unit
    period_count: int
    consumer_id: str | None = None
    group_id: str | None = None
    trial_days: int = 0


def begin_subscription(tx: Tx, event: Event) -> None:
    """Make the schedule of a new subscription, and its first invoice or its trial."""
    told = msgspec.convert(event.data, SubscriptionCreated)
    holder = told.consumer_id or told.group_id
    assert holder is not None, "access names the holder"
    made = Schedule(
        subscription=told.subscription_id,
        holder_kind=told.holder_kind,
        customer=holder,
        plan=told.plan_id,
        plan_version=told.plan_version,
        unit=told.period_unit,
        count=told.period_count,
        currency=NO_CURRENCY,
        zone="UTC",
        state="unpriced",
        created_at=tx.now_us,
        trial_days=told.trial_days,
    )
    if insert_schedule(tx, made):
        before = lock_schedule(tx, made.subscription)
        write_schedule(tx, before, start(tx, before))


def start(tx: Tx, one: Schedule) -> Schedule:
    """Return a schedule with its price and its trial or first period; or it waits for a price."""
    try:
        customer = ensure_customer(tx, one.holder_kind, one.customer)
        read_seller(tx)
        price = price_of_plan(tx, customer, plan=one.plan, unit=one.unit, count=one.count)
    except (CustomerUnknown, PriceUnknown, SellerMissing):
        return msgspec.structs.replace(one, retry_at=tx.now_us + LOOK_AGAIN_US)
    zoned = msgspec.structs.replace(one, zone=customer.zone, retry_at=None)
    return _started(tx, zoned, price)


def _started(tx: Tx, one: Schedule, price: Price) -> Schedule:
    priced = with_price(tx, one, price, plan=one.plan, version=one.plan_version)
    if one.trial_days and not had_trial(tx, one.customer, one.plan, besides=one.subscription):
        ends_at = trial_end(tx.now_us, one.trial_days, one.zone)
        trial = msgspec.structs.replace(
            anchored(priced, ends_at), state="trialing", trial_ends_at=ends_at
        )
        tell(tx, trial, "subscription.trial_started", trialEndsAt=shown(ends_at))
        return trial
    return first_period(tx, anchored(priced, tx.now_us), state="pending_payment")


def end_trial(tx: Tx, one: Schedule) -> Schedule:
    """Bill the first period after a trial."""
    return first_period(tx, one, state="active")


def first_period(tx: Tx, one: Schedule, *, state: Literal["pending_payment", "active"]) -> Schedule:
    """Bill the first period since the anchor; one in arrears owes nothing yet, and goes on."""
    one = msgspec.structs.replace(one, state=state)
    if not one.advance:
        return paid_up(tx, one, None)
    period = period_of(one, 0)
    invoice = bill_stretch(tx, one, period, period.start_us, period.end_us)
    billed = with_period_billed(one)
    if invoice is None or invoice.state == "paid":
        return paid_up(tx, billed, invoice)
    return wait_for(tx, billed, invoice)
