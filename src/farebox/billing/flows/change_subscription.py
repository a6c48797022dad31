"""A wish about a subscription that access passes on: cancel, resume, pause, another plan.

What is granted is told back and holds from then on; what is not is declined. A preview does what
the wish would do, in a transaction that is taken back: it is the same code, to the last unit.
"""

from typing import Literal

import msgspec

from farebox.billing.copies.service import find_plan
from farebox.billing.customers.service import read_customer
from farebox.billing.flows.bill_arrears import bill_used
from farebox.billing.flows.bill_subscription import (
    collect,
    decline,
    price_of_plan,
    shown,
    stop_payments,
    take_back,
    tell,
    tell_planned,
)
from farebox.billing.flows.change_plan import (
    Changed,
    change_failed,
    change_now,
    confirmed,
    give_back,
)
from farebox.billing.flows.looking import undone
from farebox.billing.flows.renew_subscription import close
from farebox.billing.invoices.service import read_invoice
from farebox.billing.pricing.model_prices import PriceUnknown
from farebox.billing.schedules.model import Schedule, ScheduleChangeRefused
from farebox.billing.schedules.rules import (
    anchored,
    billed_until,
    owes_next,
    period_end,
    period_of,
    without_change,
)
from farebox.billing.schedules.service import lock_schedule, terms_for, write_schedule
from farebox.events.model import Event
from farebox.storage import Database, Tx

Change = Literal["cancel", "resume", "pause", "plan"]
When = Literal["now", "period_end"]


class ChangeRequested(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What access tells of a wish."""

    subscription_id: str
    change: Change
    at: When = "now"
    plan: str | None = None


def change_subscription(tx: Tx, event: Event) -> None:
    """Grant or decline a wish about a subscription; one that has ended is left alone."""
    wish = msgspec.convert(event.data, ChangeRequested)
    change_as_wished(tx, wish)


def change_as_wished(tx: Tx, wish: ChangeRequested) -> Changed:
    """Do what is wished for, write it, and return what it led to."""
    before = lock_schedule(tx, wish.subscription_id)
    if before.state == "canceled":
        return Changed(schedule=before)
    changed = _wished(tx, before, wish)
    after = write_schedule(tx, before, changed.schedule)
    return msgspec.structs.replace(changed, schedule=after)


def _wished(tx: Tx, one: Schedule, wish: ChangeRequested) -> Changed:
    match wish.change:
        case "cancel":
            return cancel(tx, one, wish.at)
        case "pause":
            return Changed(schedule=pause(tx, one))
        case "resume":
            return resume(tx, one)
        case "plan":
            return change_plan(tx, one, wish.plan, wish.at)


def preview_change(database: Database, wish: ChangeRequested) -> Changed:
    """Return what a wish would lead to; nothing of it stays.

    Refuses `subscription_unknown`, and (`schedule_change_refused`) a wish that would be declined.
    """

    def work(tx: Tx) -> Changed:
        before = lock_schedule(tx, wish.subscription_id)
        changed = change_as_wished(tx, wish)
        if msgspec.structs.replace(changed.schedule, version=before.version) == before:
            raise ScheduleChangeRefused
        return changed

    return undone(database, work)


# -- cancel ----------------------------------------------------------------------------------------


def cancel(tx: Tx, one: Schedule, at: When) -> Changed:
    """End a subscription now, with credit for what is not used, or with its period."""
    ends_at = period_end(one, tx.now_us)
    if at == "now" or one.state in {"unpriced", "pending_payment"} or ends_at <= tx.now_us:
        return _cancel_now(tx, one)
    tell(tx, one, "subscription.canceled", effectiveAt=shown(ends_at), reason="requested")
    return Changed(schedule=msgspec.structs.replace(one, cancel_at=ends_at))


def _cancel_now(tx: Tx, one: Schedule) -> Changed:
    if one.change_invoice is not None:
        one = change_failed(tx, one, "canceled")
    invoice = None if one.invoice is None else read_invoice(tx, one.invoice)
    if invoice is not None:
        stop_payments(tx, invoice)
    if invoice is not None and one.state == "pending_payment":
        take_back(tx, invoice)
    on_cancel = terms_for(tx, one.plan).on_cancel
    note = None
    if one.advance and on_cancel != "none":
        note = give_back(tx, one, reason="canceled", ends=True, refund=on_cancel == "refund")
    tell(tx, one, "subscription.canceled", effectiveAt=shown(tx.now_us), reason="requested")
    after = close(tx, one, tx.now_us)
    last = None if after.invoice is None else read_invoice(tx, after.invoice)
    return Changed(schedule=after, invoice=last, note=note)


# -- pause and resume ------------------------------------------------------------------------------


def pause(tx: Tx, one: Schedule) -> Schedule:
    """Bill no further period until the subscription is resumed; what is paid is used up."""
    if one.state != "active":
        decline(tx, one, "pause", one.state)
        return one
    if one.invoice is not None or one.change_invoice is not None:
        decline(tx, one, "pause", "payment_under_way")
        return one
    paused = without_change(msgspec.structs.replace(one, state="paused", paused_at=tx.now_us))
    tell(tx, paused, "subscription.changed", change="pause")
    return paused


def resume(tx: Tx, one: Schedule) -> Changed:
    """Leave a pause, or take back an end that is planned.

    Until the end of what is paid nothing is owed; after it periods count from the resumption.
    """
    if one.state != "paused" and one.cancel_at is None:
        decline(tx, one, "resume", one.state)
        return Changed(schedule=one)
    after = msgspec.structs.replace(one, cancel_at=None)
    tell(tx, after, "subscription.changed", change="resume")
    if one.state != "paused":
        return Changed(schedule=after)
    after = msgspec.structs.replace(after, state="active", paused_at=None)
    if after.advance:
        until = billed_until(after)
        over = until is not None and until <= tx.now_us
        return Changed(schedule=anchored(after, tx.now_us) if over else after)
    return _resume_in_arrears(tx, after)


def _resume_in_arrears(tx: Tx, one: Schedule) -> Changed:
    """Bill the period in which the pause began, if it is over; those of the pause are not."""
    period = period_of(one, one.next_index)
    if period.end_us > tx.now_us:
        return Changed(schedule=one)
    billed, invoice = bill_used(tx, one, period.end_us)
    after = anchored(billed, tx.now_us)
    return Changed(schedule=collect(tx, after, invoice), invoice=invoice)


# -- another plan ----------------------------------------------------------------------------------


def change_plan(tx: Tx, one: Schedule, plan: str | None, at: When) -> Changed:
    """Change the plan now, for its share of the period, or with the next period.

    The plan that the subscription has takes back one that is planned.
    """
    known = None if plan is None else find_plan(tx, plan)
    if known is None or plan is None:
        return _declined(tx, one, "plan_unknown")
    if (plan, known.version) == (one.plan, one.plan_version) and one.change_invoice is None:
        return Changed(schedule=confirmed(tx, one))
    if one.change_invoice is not None or one.invoice is not None or owes_next(one, tx.now_us):
        return _declined(tx, one, "payment_under_way")
    if one.state not in {"trialing", "active"} or one.price is None:
        return _declined(tx, one, one.state)
    customer = read_customer(tx, one.customer)
    try:
        price = price_of_plan(
            tx, customer, plan=plan, unit=one.unit, count=one.count, currency=one.currency
        )
    except PriceUnknown:
        return _declined(tx, one, "price_unknown")
    if at == "period_end":
        planned = msgspec.structs.replace(
            without_change(one), pending_plan=plan, pending_version=known.version
        )
        tell_planned(tx, planned)
        return Changed(schedule=planned)
    if one.state == "active" and (price.timing == "advance") is not one.advance:
        # A period is paid before it or after it, not both.
        return _declined(tx, one, "timing_differs")
    return change_now(tx, one, price, plan=plan, version=known.version)


def _declined(tx: Tx, one: Schedule, reason: str) -> Changed:
    decline(tx, one, "plan", reason)
    return Changed(schedule=one)
