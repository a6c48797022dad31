"""The entitlement processor: what another billing system says becomes entitlements (source 003).

A message is `{type, payload, meta: {eventId, occurredAt, source}}` and comes from the queue or
over HTTP. Each is dealt with once, by its source and id. What cannot be dealt with (a user or
product nobody knows, a field that is missing, a word that comes too late) is refused, so that the
queue tries it again and then sets it aside; nothing of it has happened then.

What each type does:

- `subscription.created`, `updated`, `resumed`: the user has exactly what the product and its
  add-ons bring, until `currentPeriodEnd` if that is named.
- `subscription.canceled`: it ends at `currentPeriodEnd` with `cancelAtPeriodEnd`, else now.
- `subscription.expired`: it ends now. `subscription.paused` is noted and leaves everything.
- `payment.successful`: a one-off purchase brings the same, for as long as the product says; the
  payment of a subscription brings nothing, because the subscription's own events do.
- `payment.failed`, `payment.action_required`: nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from farebox.access.catalog.service import read_product
from farebox.access.consumers.service_lookup import consumer_of_user
from farebox.access.entitlements.model import (
    EventRefused,
    EventStale,
    ExternalState,
    ExternalSubscription,
    Outcome,
    Processed,
)
from farebox.access.entitlements.service_processed import note_outcome, note_processed
from farebox.access.entitlements.service_products import (
    Owned,
    end_product,
    give_product,
    locked_external,
    take_product,
    write_external,
)
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.storage import Tx

PROCESSOR: Final = Actor(kind="system", id="entitlement-processor")
_LONGEST: Final = 200
ExternalType = Literal[
    "subscription.created",
    "subscription.updated",
    "subscription.canceled",
    "subscription.expired",
    "subscription.paused",
    "subscription.resumed",
    "payment.successful",
    "payment.failed",
    "payment.action_required",
]


class Meta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which event this is, when it happened, and whose word it is."""

    event_id: str
    occurred_at: str
    source: str


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the types say, in the words of source 003; other fields are not read."""

    user_id: str | None = None
    product_id: str | None = None
    subscription_id: str | None = None
    previous_product_id: str | None = None
    addon_product_ids: tuple[str, ...] | None = None
    current_period_start: str | None = None
    current_period_end: str | None = None
    cancel_at_period_end: bool = False
    payment_id: str | None = None
    order_id: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event of another billing system."""

    type: ExternalType
    payload: Payload
    meta: Meta


Done = tuple[Outcome, tuple[str, ...]]


def process_external(tx: Tx, message: Mapping[str, Any], *, actor: Actor = PROCESSOR) -> Processed:
    """Do once what a message means for entitlements.

    Refuses what is no such message (`event_refused`), another content under the same source and
    id (`event_id_reused`), unknown users (`consumer_unknown`) and products (`product_unknown`),
    and what is older than what was applied for its subscription (`event_stale`).
    """
    event = read_message(message)
    # What makes it the same event, whichever way it came and whatever else an envelope carries.
    same = (event.type, message["payload"], msgspec.to_builtins(event.meta))
    body = msgspec.json.encode(same, order="deterministic")
    subject = event.payload.subscription_id or event.payload.user_id or ""
    noted = note_processed(
        tx,
        event.meta.source,
        event.meta.event_id,
        event.type,
        body,
        subject=subject[:_LONGEST] or "none",
        occurred_at=_time(event.meta.occurred_at, "occurredAt"),
    )
    if noted is not None:
        return Processed(event_id=event.meta.event_id, outcome=noted, repeated=True)
    outcome, entitlements = _DOES[event.type](tx, actor, event)
    if outcome != "applied":
        note_outcome(tx, event.meta.source, event.meta.event_id, outcome)
    return Processed(
        event_id=event.meta.event_id, outcome=outcome, repeated=False, entitlements=entitlements
    )


def read_message(message: Mapping[str, Any]) -> Message:
    """Return a message of a known type; refuses (`event_refused`) anything else."""
    try:
        event = msgspec.convert(message, Message)
        for name in ("user_id", "product_id", "subscription_id", "payment_id", "order_id"):
            named = getattr(event.payload, name)
            if named is not None:
                checked_text(named, f"the event's {name}", longest=_LONGEST)
    except msgspec.ValidationError as error:
        raise EventRefused(str(error)) from error
    except ValueRefused as error:
        raise EventRefused(error.detail) from error
    return event


def _given(tx: Tx, actor: Actor, event: Message) -> Done:
    """Let the user have what the subscription's product brings, and nothing else by it."""
    known = _known(tx, event)
    product = event.payload.product_id or known.product
    ends_at = known.period_ends_at
    if event.payload.current_period_end is not None:
        ends_at = _time(event.payload.current_period_end, "currentPeriodEnd")
    add_ons = event.payload.addon_product_ids
    if add_ons is None:
        # The product's own add-ons belong to it unless the event names which are taken.
        add_ons = read_product(tx, product).add_ons
    said = msgspec.structs.replace(
        known, product=product, add_ons=add_ons, state="active", period_ends_at=ends_at,
        applied_at=_time(event.meta.occurred_at, "occurredAt"),
    )  # fmt: skip
    write_external(tx, said)
    if ends_at is not None and ends_at <= tx.now_us:
        return "applied", take_product(tx, actor, _owned(known), reason=event.type)
    return "applied", give_product(
        tx, actor, _owned(said), without=known.add_ons, reason=event.type
    )


def _canceled(tx: Tx, actor: Actor, event: Message) -> Done:
    known = _known(tx, event)
    ends_at = None
    if event.payload.cancel_at_period_end:
        named = event.payload.current_period_end
        ends_at = known.period_ends_at if named is None else _time(named, "currentPeriodEnd")
        if ends_at is None:
            raise EventRefused("who cancels at the period's end says when that is")
    _note(tx, known, event, "canceled", ends_at)
    if ends_at is None or ends_at <= tx.now_us:
        return "applied", take_product(tx, actor, _owned(known), reason=event.type)
    shortened = end_product(tx, actor, _owned(known), ends_at=ends_at, reason=event.type)
    return "applied", shortened


def _expired(tx: Tx, actor: Actor, event: Message) -> Done:
    known = _known(tx, event)
    _note(tx, known, event, "expired", known.period_ends_at)
    return "applied", take_product(tx, actor, _owned(known), reason=event.type)


def _paused(tx: Tx, actor: Actor, event: Message) -> Done:  # noqa: ARG001 - every type has one form
    known = _known(tx, event)
    _note(tx, known, event, "paused", known.period_ends_at)
    return "skipped", ()


def _paid(tx: Tx, actor: Actor, event: Message) -> Done:
    said = event.payload
    if said.product_id is None:
        return "skipped", ()
    product = read_product(tx, said.product_id)
    if product.type == "subscription" or said.subscription_id is not None:
        return "skipped", ()
    payment = said.payment_id or said.order_id or event.meta.event_id
    owned = Owned(
        consumer=_consumer(tx, said),
        product=product.code,
        source_kind="purchase",
        source=f"{event.meta.source}:{payment}"[:_LONGEST],
        add_ons=said.addon_product_ids or (),
    )
    return "applied", give_product(tx, actor, owned, reason=event.type)


def _skipped(tx: Tx, actor: Actor, event: Message) -> Done:  # noqa: ARG001 - every type has one form
    return "skipped", ()


def _known(tx: Tx, event: Message) -> ExternalSubscription:
    """Return what is known of the event's subscription, locked; refuses a stale event.

    A system that gives its subscriptions no ids has one for each user and product.
    """
    said, occurred_at = event.payload, _time(event.meta.occurred_at, "occurredAt")
    if said.product_id is None:
        raise EventRefused("an event about a subscription names its productId")
    product = read_product(tx, said.product_id).code
    consumer = _consumer(tx, said)
    first = ExternalSubscription(
        source=event.meta.source,
        subscription=(said.subscription_id or f"{said.user_id}/{product}")[:_LONGEST],
        consumer=consumer,
        product=product,
        applied_at=occurred_at,
    )
    unnamed = (product, said.previous_product_id or product)
    known = locked_external(tx, first, products=() if said.subscription_id else unnamed)
    if occurred_at < known.applied_at:
        raise EventStale
    if known.consumer != consumer:
        raise EventRefused("this subscription is another user's")
    return known


def _note(
    tx: Tx, known: ExternalSubscription, event: Message, state: ExternalState, ends_at: int | None
) -> None:
    occurred_at = _time(event.meta.occurred_at, "occurredAt")
    said = msgspec.structs.replace(
        known, state=state, period_ends_at=ends_at, applied_at=occurred_at
    )
    write_external(tx, said)


def _owned(one: ExternalSubscription) -> Owned:
    return Owned(
        consumer=one.consumer,
        product=one.product,
        source_kind="subscription",
        source=f"{one.source}:{one.subscription}",
        add_ons=one.add_ons,
        ends_at=one.period_ends_at,
    )


def _consumer(tx: Tx, said: Payload) -> str:
    if said.user_id is None:
        raise EventRefused("the event names its userId")
    found = consumer_of_user(tx, said.user_id)
    # A device draws as its owner, so what is bought for it is the owner's.
    return found.owner or found.id


def _time(text: str, name: str) -> int:
    try:
        return parse_time(text)
    except ValueRefused as error:
        raise EventRefused(f"{name}: {error.detail}") from error


_DOES: Final[Mapping[ExternalType, Callable[[Tx, Actor, Message], Done]]] = {
    "subscription.created": _given,
    "subscription.updated": _given,
    "subscription.canceled": _canceled,
    "subscription.expired": _expired,
    "subscription.paused": _paused,
    "subscription.resumed": _given,
    "payment.successful": _paid,
    "payment.failed": _skipped,
    "payment.action_required": _skipped,
}
