"""What falls due on subscriptions: each step is done in the transaction that finds it due.

    due rows -> lock one -> is it due still? -> the step -> when the next one is due

So two workers at once bill once, and one that dies leaves the row as it was.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from farebox.billing.flows.begin_subscription import end_trial, start
from farebox.billing.flows.bill_arrears import bill_used, shut_since, with_planned
from farebox.billing.flows.bill_subscription import (
    bill_stretch,
    open_payment,
    settle_charges,
    wait_for,
)
from farebox.billing.flows.change_plan import change_failed
from farebox.billing.flows.dunning import call_late, give_up, paid_up, try_again
from farebox.billing.payments.service import payments_of
from farebox.billing.schedules.model import Schedule, Step
from farebox.billing.schedules.rules import (
    LOOK_AGAIN_US,
    ended,
    next_due,
    period_of,
    with_period_billed,
)
from farebox.billing.schedules.service import due_schedules, lock_schedule, write_schedule
from farebox.events.rests import Rests
from farebox.storage import Database, Tx

AT_ONCE: Final = 100


class DueSchedules:
    """Does what is due on subscriptions, each step in a transaction of its own."""

    name: Final = "schedules"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Do the next step of up to a hundred of the longest due; returns how many there were.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        with self._database.read() as tx:
            due = due_schedules(tx, AT_ONCE + len(self._rests))
        works = {each: partial(do_due, subscription=each) for each in due}
        return self._rests.each_in(self._database, works)


def do_due(tx: Tx, subscription: str) -> Step | None:
    """Do the next step of a subscription if it is due, and return which it was."""
    before = lock_schedule(tx, subscription)
    due = next_due(before)
    if due is None or due[0] > tx.now_us:
        return None
    write_schedule(tx, before, STEPS[due[1]](tx, before))
    return due[1]


def bill(tx: Tx, one: Schedule) -> Schedule:
    """Bill the next period: in advance the one that begins, in arrears the one that has ended.

    It waits while a payment decides which plan it is on.
    """
    if one.change_invoice is not None:
        if _decides(tx, one.change_invoice):
            return msgspec.structs.replace(one, retry_at=tx.now_us + LOOK_AGAIN_US)
        one = change_failed(tx, one, "not_paid")
        if one.invoice is not None:
            return one
    if one.advance:
        one = with_planned(tx, one)
    return _bill_in_advance(tx, one) if one.advance else _bill_in_arrears(tx, one)


def _bill_in_advance(tx: Tx, one: Schedule) -> Schedule:
    period = period_of(one, one.next_index)
    invoice = bill_stretch(tx, one, period, period.start_us, period.end_us)
    billed = with_period_billed(one)
    if invoice is None or invoice.state == "paid":
        return paid_up(tx, billed, invoice)
    return wait_for(tx, billed, invoice)


def _bill_in_arrears(tx: Tx, one: Schedule) -> Schedule:
    period = period_of(one, one.next_index)
    if tx.now_us < period.end_us:
        return one
    billed, invoice = bill_used(tx, one, period.end_us)
    if invoice is None or invoice.state == "paid":
        return paid_up(tx, billed, invoice)
    return wait_for(tx, billed, invoice)


def begin_paying(tx: Tx, one: Schedule) -> Schedule:
    """Bill the first period after a trial, on the plan that was planned meanwhile."""
    return end_trial(tx, with_planned(tx, one))


def end(tx: Tx, one: Schedule) -> Schedule:
    """End a subscription at the instant that was planned; what was used in arrears is billed."""
    assert one.cancel_at is not None, "an end that is due was planned"
    return close(tx, one, one.cancel_at)


def close(tx: Tx, one: Schedule, at: int) -> Schedule:
    """Return a schedule that has ended at an instant, its last use in arrears billed.

    Use ended where access was shut for a late payment. The last invoice is tried once; then it is
    past due like any other.
    """
    if one.change_invoice is not None:
        one = change_failed(tx, one, "canceled")
    after = ended(one, at)
    if one.advance or one.state == "trialing":
        return after
    shut_at = shut_since(tx, one)
    _, last = bill_used(tx, one, at if shut_at is None else min(at, shut_at))
    if last is None or last.state == "paid":
        if last is not None:
            settle_charges(tx, last)
        return after
    open_payment(tx, one, last, key=f"{last.id}:0")
    return msgspec.structs.replace(after, invoice=last.id)


def _decides(tx: Tx, invoice: str) -> bool:
    """Tell whether a payment may still bring the money of itself."""
    states = {each.state for each in payments_of(tx, "invoice", invoice)}
    return bool(states & {"processing", "unknown"})


STEPS: Final[Mapping[Step, Callable[[Tx, Schedule], Schedule]]] = {
    "price": start,
    "end_trial": begin_paying,
    "bill": bill,
    "cancel": end,
    "retry": try_again,
    "late": call_late,
    "give_up": give_up,
}
