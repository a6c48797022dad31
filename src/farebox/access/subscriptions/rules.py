"""What a subscription may become, what it gives, and which period an instant lies in.

`TRANSITIONS` is the only table of its kind: docs/subscriptions.md shows the diagram that
`tools/diagrams.py` draws from it. A state at an instant is never looked up, it is computed: what
is due (a planned cancellation, the end of a trial or of a grace, a planned change of plan) counts
from its own instant on, whether or not a worker has written it down.

Worked example: a trial that ends on the 15th under a plan with 3 days of grace is `trialing` until
the 15th, `past_due` until the 18th and `suspended` from then on, in every answer, although the
row says `trialing` until somebody writes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from farebox.access.catalog.model import Plan, Quota
from farebox.access.subscriptions.model import (
    Change,
    ChangeRefused,
    Fact,
    QuotaTerms,
    State,
    Step,
    Subscription,
    SubscriptionOver,
)
from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import Period, Unit, period_at
from farebox.ledger.model import FOREVER

DAY_US: Final = 86_400 * SECOND_US
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

OPENS: Final[Mapping[State, bool]] = {
    "pending_payment": False,
    "trialing": True,
    "active": True,
    "past_due": True,
    "suspended": False,
    "paused": True,
    "canceled": False,
    "expired": False,
}

# A fact that a state has no line for leaves everything as it is: see `after_fact`.
TRANSITIONS: Final[Mapping[tuple[State, Fact], State]] = {
    ("pending_payment", "paid"): "active",
    ("pending_payment", "trial_started"): "trialing",
    ("pending_payment", "canceled"): "canceled",
    ("trialing", "paid"): "active",
    ("trialing", "renewed"): "active",
    ("trialing", "trial_ended"): "expired",
    ("trialing", "trial_ended_in_grace"): "past_due",
    ("trialing", "canceled"): "canceled",
    ("active", "fell_past_due"): "past_due",
    ("active", "payment_failed"): "suspended",
    ("active", "paused"): "paused",
    ("active", "canceled"): "canceled",
    ("past_due", "paid"): "active",
    ("past_due", "renewed"): "active",
    ("past_due", "payment_failed"): "suspended",
    ("past_due", "grace_ended"): "suspended",
    ("past_due", "canceled"): "canceled",
    ("suspended", "paid"): "active",
    ("suspended", "renewed"): "active",
    ("suspended", "canceled"): "canceled",
    ("paused", "resumed"): "active",
    ("paused", "canceled"): "canceled",
    ("expired", "paid"): "active",
    ("expired", "renewed"): "active",
}
ENDED: Final[frozenset[State]] = frozenset({"canceled", "expired"})

_ALLOWED: Final[Mapping[Change, frozenset[State]]] = {
    "cancel": frozenset({
        "pending_payment", "trialing", "active", "past_due", "suspended", "paused"
    }),
    "resume": frozenset({"trialing", "active", "past_due", "paused"}),
    "pause": frozenset({"active"}),
    "plan": frozenset({"trialing", "active", "past_due"}),
}  # fmt: skip


def opens(state: State) -> bool:
    """Tell whether a subscription in this state gives access."""
    return OPENS[state]


def after_fact(state: State, fact: Fact) -> State:
    """Return the state that a fact leads to; one that means nothing here changes nothing."""
    return TRANSITIONS.get((state, fact), state)


# -- what falls due ------------------------------------------------------------------------------


def next_due(one: Subscription) -> tuple[int, Fact | None] | None:
    """Return when a subscription next changes by itself and by which fact (None: its plan).

    At one instant an end comes before everything else.
    """
    if one.ended_at is not None:
        return None
    due: list[tuple[int, int, Fact | None]] = []
    if one.cancel_at is not None:
        due.append((one.cancel_at, 0, "canceled"))
    if one.state == "trialing" and one.trial_ends_at is not None:
        graced = one.grace_ends_at is not None
        due.append((one.trial_ends_at, 1, "trial_ended_in_grace" if graced else "trial_ended"))
    if one.state == "past_due" and one.grace_ends_at is not None and one.grace_ends_at < FOREVER:
        due.append((one.grace_ends_at, 2, "grace_ended"))
    if one.pending_at is not None:
        due.append((one.pending_at, 3, None))
    if not due:
        return None
    at, _, fact = min(due, key=lambda each: each[:2])
    return at, fact


def settled(one: Subscription, now: int) -> tuple[Subscription, tuple[Step, ...]]:
    """Return a subscription as it is at an instant, with everything that fell due until then."""
    steps: list[Step] = []
    while (due := next_due(one)) is not None and due[0] <= now:
        at, fact = due
        after = _with_next_plan(one) if fact is None else with_fact(one, fact, at)
        steps.append(Step(at=at, what=fact or "plan_changed", before=one, after=after))
        one = after
    return one, tuple(steps)


def with_fact(one: Subscription, fact: Fact, at: int) -> Subscription:
    """Return a subscription after a fact at an instant, its version one higher if it changed."""
    state = after_fact(one.state, fact)
    if state == one.state:
        return one
    if state in ("trialing", "active"):
        # A trial, the first payment, and what comes after a pause or an end begin periods anew.
        goes_on = one.state in ("past_due", "suspended") and one.anchor_at is not None
        begun = one.started_at if one.started_at is not None else at
        one = msgspec.structs.replace(
            one, started_at=begun, anchor_at=one.anchor_at if goes_on else at, ended_at=None,
            paused_at=None, shut_at=None,
        )  # fmt: skip
        if state == "active":
            one = msgspec.structs.replace(one, grace_ends_at=None, trial_ends_at=None)
        if fact in ("paid", "renewed") and one.cancel_at is not None and one.cancel_at <= at:
            # Who comes back after the end no longer wants the old end.
            one = msgspec.structs.replace(one, cancel_at=None)
    elif state == "paused":
        one = msgspec.structs.replace(
            one, paused_at=at, pending_plan=None, pending_version=None, pending_at=None
        )
    elif state == "suspended":
        one = msgspec.structs.replace(one, shut_at=at)
    elif state in ENDED:
        one = msgspec.structs.replace(
            one, ended_at=at, pending_plan=None, pending_version=None, pending_at=None,
            requested=None,
        )  # fmt: skip
    return msgspec.structs.replace(one, state=state, version=one.version + 1)


def with_terms(one: Subscription, **fields: object) -> Subscription:
    """Return a subscription with other terms or times, its version one higher."""
    return msgspec.structs.replace(one, **fields, version=one.version + 1)


def _with_next_plan(one: Subscription) -> Subscription:
    assert one.pending_plan is not None, "a planned change names its plan"
    assert one.pending_version is not None, "and the plan's version"
    return msgspec.structs.replace(
        one, plan=one.pending_plan, plan_version=one.pending_version, pending_plan=None,
        pending_version=None, pending_at=None, version=one.version + 1,
    )  # fmt: skip


# -- trials and failed payments --------------------------------------------------------------------


def grace_of(plan: Plan, from_us: int) -> int | None:
    """Return until when a payment may be late under a plan; None is not at all.

    `ignore` never stops access for a payment, so its grace has no end.
    """
    if plan.on_payment_failed == "ignore":
        return FOREVER
    if plan.on_payment_failed == "grace":
        return from_us + plan.grace_days * DAY_US
    return None


# -- commands --------------------------------------------------------------------------------------


def check_change(one: Subscription, change: Change) -> None:
    """Refuse a wish that the subscription's state does not allow.

    An ended one refuses everything (`subscription_over`). To resume is to leave a pause, or to
    take back a cancellation that is planned (`subscription_change_refused` otherwise).
    """
    if one.state in ENDED:
        raise SubscriptionOver
    resumable = one.state == "paused" or one.cancel_at is not None
    if one.state not in _ALLOWED[change] or (change == "resume" and not resumable):
        raise ChangeRefused(f"a subscription that is {one.state} does not take this: {change}")


# -- periods ---------------------------------------------------------------------------------------


def paid_period(one: Subscription, now: int) -> Period | None:
    """Return the paid period that an instant lies in; None before the first."""
    if one.anchor_at is None:
        return None
    return period_at(one.period_unit, one.period_count, one.anchor_at, "UTC", now)


def calendar_start(unit: Unit, zone: str, at: int) -> int:
    """Return when the calendar's present unit began in a zone: minute, hour, day, Monday ..."""
    local = (_EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone))
    start = local.replace(second=0, microsecond=0)
    if unit != "minute":
        start = start.replace(minute=0)
    if unit not in ("minute", "hour"):
        start = start.replace(hour=0, fold=0)
    if unit == "week":
        start -= timedelta(days=start.weekday())
    elif unit == "month":
        start = start.replace(day=1)
    elif unit == "year":
        start = start.replace(month=1, day=1)
    since = start.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US


def anchor_of(quota: Quota, *, since: int | None, at: int) -> int:
    """Return the instant from which the periods of a quota count that begins at `at`.

    `since` is from when the subscription's own periods count.
    """
    if quota.unit == "lifetime":
        return at
    if quota.anchor == "calendar":
        return calendar_start(quota.unit, quota.zone, at)
    return at if since is None else min(since, at)


def period_of(quota: QuotaTerms, now: int) -> Period:
    """Return the period of a quota that an instant lies in; the first one before it begins."""
    at = max(now, quota.anchor_at)
    found = period_at(quota.unit, quota.unit_count, quota.anchor_at, quota.zone, at)
    assert found is not None, "no instant lies before the anchor here"
    return found


def is_running(quota: QuotaTerms, now: int) -> bool:
    """Tell whether a quota may be drawn at an instant, as far as its own times say."""
    return quota.starts_at <= now and (quota.ends_at is None or now < quota.ends_at)


def changes_at(quotas: Sequence[QuotaTerms], now: int) -> int | None:
    """Return when the first of the quotas next begins or ends; None is never."""
    times = [time for quota in quotas for time in (quota.starts_at, quota.ends_at)]
    return min((time for time in times if time is not None and time > now), default=None)
