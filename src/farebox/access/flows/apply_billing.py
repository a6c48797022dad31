"""What billing says of subscriptions: the only way in which their state changes.

Each event is applied once. One that is older than what was heard of the subscription before is
noted as stale and changes nothing: a payment that failed at 10:00 must not undo one that succeeded
at 10:05, whatever order they arrive in.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from farebox.access.catalog.service_plans import read_plan
from farebox.access.entitlements.model import EventRefused
from farebox.access.entitlements.service_processed import note_outcome, note_processed
from farebox.access.flows.subscription_changes import change_subscription
from farebox.access.subscriptions.model import Subscription
from farebox.access.subscriptions.rules import (
    DAY_US,
    ENDED,
    after_fact,
    grace_of,
    with_fact,
    with_terms,
)
from farebox.access.subscriptions.service import terms_of
from farebox.events.model import Event
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.storage import Tx

BILLING: Final = Actor(kind="system", id="billing")
Apply = Callable[[Tx, Subscription, Mapping[str, Any]], Subscription]


def apply_billing(tx: Tx, event: Event) -> None:
    """Apply what billing says of a subscription; an event about something else changes nothing.

    Refuses an unknown subscription (`subscription_unknown`) and what lacks its fields
    (`event_refused`), so that the event is tried again and then set aside for an operator.
    """
    subscription = event.data.get("subscriptionId")
    if subscription is None:
        return
    if not isinstance(subscription, str):
        raise EventRefused("subscriptionId is a text")
    occurred_at = parse_time(event.time)
    body = msgspec.json.encode([event.type, event.data])
    noted = note_processed(
        tx, event.source, event.id, event.type, body, subject=subscription, occurred_at=occurred_at
    )
    if noted is not None:
        return

    def work(current: Subscription) -> Subscription:
        if occurred_at < current.heard_at:
            note_outcome(tx, event.source, event.id, "stale")
            return current
        wished = APPLIED[event.type](tx, current, event.data)
        return msgspec.structs.replace(wished, heard_at=occurred_at)

    change_subscription(tx, BILLING, subscription, work)


def _paid(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    return _with_period(with_fact(one, "paid", tx.now_us), said)


def _failed(tx: Tx, one: Subscription, _: Mapping[str, Any]) -> Subscription:
    plan = terms_of(tx, one)
    if plan.on_payment_failed == "ignore":
        return one
    if plan.on_payment_failed == "suspend":
        return with_fact(one, "payment_failed", tx.now_us)
    return _past_due(tx, one, {})


def _past_due(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    late = with_fact(one, "fell_past_due", tx.now_us)
    if late.state != "past_due" or one.state == "past_due":
        # Who is late already gets no longer grace by being late again.
        return one
    until = _time(said, "graceEndsAt")
    grace = grace_of(terms_of(tx, one), tx.now_us) if until is None else until
    return msgspec.structs.replace(late, grace_ends_at=grace)


def _trial_started(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    if after_fact(one.state, "trial_started") == one.state:
        return one
    plan = terms_of(tx, one)
    ends_at = _time(said, "trialEndsAt") or tx.now_us + plan.trial_days * DAY_US
    if ends_at <= tx.now_us:
        raise EventRefused("a trial ends after it starts")
    begun = with_fact(one, "trial_started", tx.now_us)
    grace = grace_of(plan, ends_at)
    return msgspec.structs.replace(begun, trial_ends_at=ends_at, grace_ends_at=grace)


def _renewed(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    renewed = _with_period(with_fact(one, "renewed", tx.now_us), said)
    return renewed if said.get("plan") is None else _with_plan(tx, renewed, said)


def _canceled(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    if one.state in ENDED:
        return one
    at = _time(said, "effectiveAt")
    if at is None or at <= tx.now_us:
        return with_fact(one, "canceled", tx.now_us)
    return one if one.cancel_at == at else with_terms(one, cancel_at=at, requested=None)


def _changed(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    one = msgspec.structs.replace(one, requested=None)
    match said.get("change"):
        case "pause":
            return with_fact(one, "paused", tx.now_us)
        case "resume":
            kept = one if one.cancel_at is None else with_terms(one, cancel_at=None)
            return with_fact(kept, "resumed", tx.now_us)
        case "plan":
            return _with_plan(tx, one, said)
        case other:
            raise EventRefused(f"there is no change {other!r} of a subscription")


def _with_plan(tx: Tx, one: Subscription, said: Mapping[str, Any]) -> Subscription:
    """Return a subscription whose plan changes, now or at `effectiveAt`; to its own, never."""
    if one.state in ENDED:
        return one
    code, version = said.get("plan"), said.get("planVersion")
    if not isinstance(code, str) or not (version is None or type(version) is int):
        raise EventRefused("a change of plan names the plan, and its version as a number")
    plan = read_plan(tx, code, version)
    at = _time(said, "effectiveAt")
    none_planned = {"pending_plan": None, "pending_version": None, "pending_at": None}
    stays = (plan.code, plan.version) == (one.plan, one.plan_version)
    if stays and one.pending_plan is None:
        return one
    if stays:
        return with_terms(one, **none_planned)
    if at is None or at <= tx.now_us:
        return with_terms(one, **{**none_planned, "plan": plan.code, "plan_version": plan.version})
    planned = (plan.code, plan.version, at)
    if planned == (one.pending_plan, one.pending_version, one.pending_at):
        return one
    return with_terms(one, pending_plan=plan.code, pending_version=plan.version, pending_at=at)


def _with_period(one: Subscription, said: Mapping[str, Any]) -> Subscription:
    start = _time(said, "periodStart")
    if start is None or start == one.anchor_at or one.anchor_at is None:
        return one
    return with_terms(one, anchor_at=start)


def _time(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventRefused(f"{name} is a time")
    try:
        return parse_time(value)
    except ValueRefused as error:
        raise EventRefused(f"{name}: {error.detail}") from error


APPLIED: Final[Mapping[str, Apply]] = {
    "payment.succeeded": _paid,
    "payment.failed": _failed,
    "subscription.trial_started": _trial_started,
    "subscription.renewed": _renewed,
    "subscription.past_due": _past_due,
    "subscription.canceled": _canceled,
    "subscription.changed": _changed,
}
