"""What a schedule owes next and when, and what a failed payment leads to.

`next_due` is the only table of what falls due. A step is done in the transaction that finds it due,
under the row's lock, and moves the schedule on, so whoever comes second finds nothing to do.

Periods are counted from the anchor, never from the period before: `period_start(anchor, index)` is
31 January, 28 February, 31 March. A period is billed exactly once because `next_index` only grows.

Worked example: paid in advance, monthly, anchor 31 January. The period of index 1 begins on 28
February and is billed then; it fails and is tried again on 2, 7, 14 and 21 March. On 14 March it is
paid: the next bill is of index 2, on 31 March.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from farebox.billing.schedules.model import (
    DAY_US,
    HOUR_US,
    PaymentTerms,
    Schedule,
    State,
    Step,
    TermsRefused,
)
from farebox.kernel.periods import Period, Unit, period_at, period_start

AHEAD_US: Final = HOUR_US
"""So long before a trial ends its first invoice is written, so that access has no gap."""
LOOK_AGAIN_US: Final = HOUR_US
"""So often a plan without a price, or a payment without an outcome, is looked at again."""
MOST_RETRIES: Final = 20
MOST_DAYS: Final = 365
_COLLECTED: Final[frozenset[State]] = frozenset({"active", "past_due"})


def check_terms(terms: PaymentTerms) -> None:
    """Refuse (`payment_terms_invalid`) terms of payment that are out of bounds."""
    if len(terms.retry_days) > MOST_RETRIES:
        raise TermsRefused(f"a payment is tried again at most {MOST_RETRIES} times")
    if any(not 1 <= days <= MOST_DAYS for days in terms.retry_days):
        raise TermsRefused(f"a payment is tried again after 1 to {MOST_DAYS} days")
    for days in (terms.due_days, terms.grace_days or 0):
        if not 0 <= days <= MOST_DAYS:
            raise TermsRefused(f"days are 0 to {MOST_DAYS}")
    if not 1 <= terms.first_days <= MOST_DAYS:
        raise TermsRefused(f"the first payment has 1 to {MOST_DAYS} days")


# -- periods ---------------------------------------------------------------------------------------


def period_of(one: Schedule, index: int) -> Period:
    """Return a period of a schedule by its index."""
    assert one.anchor_at is not None, "periods count from an anchor"

    def start(at: int) -> int:
        return period_start(one.unit, one.count, one.anchor_at or 0, one.zone, at)

    return Period(index, start(index), start(index + 1))


def billed_until(one: Schedule) -> int | None:
    """Return until when a subscription is billed; None before its first period."""
    return None if one.anchor_at is None else period_of(one, one.next_index).start_us


def with_period_billed(one: Schedule) -> Schedule:
    """Return a schedule whose next period is billed.

    A day that a zone has left out (Samoa, 30 December 2011) is no period: it is passed over.
    """
    index = one.next_index + 1
    while (period := period_of(one, index)).start_us >= period.end_us:
        index += 1
    return msgspec.structs.replace(one, next_index=index)


def running_period(one: Schedule, at: int) -> Period | None:
    """Return the period that an instant lies in; None before the first."""
    if one.anchor_at is None:
        return None
    return period_at(one.unit, one.count, one.anchor_at, one.zone, at)


def period_end(one: Schedule, at: int) -> int:
    """Return when what runs now ends: the trial, or the period that is paid or used."""
    if one.state == "trialing" and one.trial_ends_at is not None:
        return one.trial_ends_at
    if one.advance and (until := billed_until(one)) is not None:
        return max(until, at)
    running = running_period(one, at)
    return at if running is None else running.end_us


def trial_end(started_us: int, days: int, zone: str) -> int:
    """Return when a trial of so many days of a customer's calendar ends."""
    return period_start("day", 1, started_us, zone, days)


# -- what falls due --------------------------------------------------------------------------------


def bills_at(one: Schedule) -> int | None:
    """Return when the next period is billed: at its start in advance, at its end in arrears."""
    if one.anchor_at is None:
        return None
    period = period_of(one, one.next_index)
    return period.start_us if one.advance else period.end_us


def owes_next(one: Schedule, now: int) -> bool:
    """Tell whether a period paid in advance has begun that nobody has billed yet."""
    due_at = bills_at(one) if one.advance and one.state in _COLLECTED else None
    return due_at is not None and due_at <= now


def next_due(one: Schedule) -> tuple[int, Step] | None:
    """Return when a schedule next has something to do, and what. At one instant an end is first.

    While an invoice waits for its payment no further period is billed.
    """
    steps = [(at, rank, step) for rank, (at, step) in enumerate(_steps(one)) if at is not None]
    if not steps:
        return None
    at, _, step = min(steps)
    return at, step


def _steps(one: Schedule) -> Sequence[tuple[int | None, Step]]:
    match one.state:
        case "unpriced":
            return ((one.cancel_at, "cancel"), (one.retry_at, "price"))
        case "trialing":
            # Who leaves with the trial is not billed ahead of its end.
            goes_on = one.trial_ends_at is not None and one.cancel_at is None
            ends = (one.trial_ends_at or 0) - AHEAD_US if goes_on else None
            return ((one.cancel_at, "cancel"), (ends, "end_trial"))
        case "paused" | "suspended":
            return ((one.cancel_at, "cancel"),)
        case "canceled":
            return ()
    return (
        (one.cancel_at, "cancel"),
        (one.give_up_at, "give_up"),
        (None if one.invoice is None else one.retry_at, "retry"),
        (one.late_at, "late"),
        (_next_bill_at(one), "bill"),
    )


def _next_bill_at(one: Schedule) -> int | None:
    """Return when the next period is billed, or looked at again where its plan is not known."""
    due_at = bills_at(one) if one.invoice is None and one.state in _COLLECTED else None
    return None if due_at is None else max(due_at, one.retry_at or due_at)


# -- what a payment leads to -----------------------------------------------------------------------


def with_invoice(one: Schedule, invoice: str, terms: PaymentTerms, now: int) -> Schedule:
    """Return a schedule that waits for the payment of an invoice."""
    first = one.state == "pending_payment"
    return msgspec.structs.replace(
        one,
        invoice=invoice,
        failures=0,
        retry_at=None,
        grace_ends_at=None,
        late_at=None if first else now + max(terms.due_days, 1) * DAY_US,
        give_up_at=now + terms.first_days * DAY_US if first else None,
    )


def after_failure(one: Schedule, terms: PaymentTerms, now: int, *, final: bool = False) -> Schedule:
    """Return a schedule after a payment that failed for good: when it is tried again, or given up.

    A first payment is not tried again by itself: whoever subscribes does that. `final` says that
    trying the same means again is in vain (a card that is blocked): it waits for another one until
    the tries would have been used up.
    """
    failures = one.failures + 1
    if one.state == "pending_payment":
        return msgspec.structs.replace(one, failures=failures)
    if one.state == "suspended":
        return msgspec.structs.replace(one, failures=failures, retry_at=None)
    tries = terms.retry_days
    grace = None if terms.grace_days is None else now + terms.grace_days * DAY_US
    over = failures > len(tries)
    rest = sum(tries[failures - 1 :])
    return msgspec.structs.replace(
        one,
        state="past_due",
        failures=failures,
        late_at=None,
        retry_at=None if over or final else now + tries[failures - 1] * DAY_US,
        give_up_at=now if over else now + rest * DAY_US if final else None,
        grace_ends_at=grace if one.state == "active" else one.grace_ends_at,
    )


def after_payment(one: Schedule, now: int) -> Schedule:
    """Return a schedule whose open invoice was paid."""
    return msgspec.structs.replace(
        one,
        state="active" if one.state in {"pending_payment", "past_due", "suspended"} else one.state,
        invoice=None,
        failures=0,
        retry_at=None,
        late_at=None,
        grace_ends_at=None,
        give_up_at=None,
        last_paid_at=now,
    )


def skipped_to(one: Schedule, now: int) -> Schedule:
    """Return a schedule whose periods count anew from now, if one that is not billed has begun.

    For whoever had no access while an invoice was late: what they could not use is not billed.
    """
    until = billed_until(one)
    if until is None or until > now:
        return one
    return anchored(one, now)


def anchored(one: Schedule, at: int) -> Schedule:
    """Return a schedule whose periods count from an instant, none of them billed."""
    return msgspec.structs.replace(one, anchor_at=at, next_index=0)


def without_change(one: Schedule) -> Schedule:
    """Return a schedule without a plan that is wished for; a price that is planned stays."""
    return msgspec.structs.replace(
        one,
        # An invoice is still tried again; a period that waited for the plan is billed at once.
        retry_at=one.retry_at if one.invoice is not None or one.state == "unpriced" else None,
        pending_plan=None,
        pending_version=None,
        change_invoice=None,
    )


def ended(one: Schedule, at: int) -> Schedule:
    """Return a schedule that owes nothing more."""
    return msgspec.structs.replace(
        one,
        state="canceled",
        ended_at=at,
        cancel_at=None,
        pending_plan=None,
        pending_version=None,
        pending_price=None,
        pending_price_version=None,
        change_invoice=None,
        invoice=None,
        retry_at=None,
        late_at=None,
        grace_ends_at=None,
        give_up_at=None,
    )


# -- what usage a plan includes --------------------------------------------------------------------


def included(
    quotas: Sequence[dict[str, object]], product: str, *, unit: Unit, count: int
) -> int | None:
    """Return how much of a product a plan's price includes in a period; None is all of it.

    A quota without overage denies at its limit, or lets uses go on from buckets that are paid for
    already, so its plan's price is all there is. One with overage includes its limit, where its
    period is the one that is billed.
    """
    found = [each for each in quotas if each.get("product") == product]
    if any(not each.get("overage", False) for each in found):
        return None
    return sum(
        int(str(each["limit"]))
        for each in found
        if (each.get("unit"), each.get("count", 1)) == (unit, count)
    )
