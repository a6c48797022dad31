"""Buying an item, from access's side: begin, and do what the end of the order means.

Money and places cannot be moved in one transaction, so each step can be repeated and undone:

    start_purchase   pins the place, tells billing         marketplace.purchase.initiated
    complete_order   sells the place, grants, rents        marketplace.purchase.completed
                     or cannot any more                    order.fulfilment_failed: billing refunds
    release_order    gives the place back
    refund_order     takes the right back, and the place if its time has not begun

An order may have several lines: the event names one item, as source 002 writes it, or `lines`.
Where it names none, it is about every purchase of the order.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from farebox.access.consumers.service import find_consumer
from farebox.access.entitlements.service import grant_entitlement, revoke_entitlement
from farebox.access.marketplace.model import (
    AlreadyEntitled,
    FailedBecause,
    Item,
    Offer,
    Purchase,
    PurchaseFact,
)
from farebox.access.marketplace.rules import PURCHASE_STEPS, begins_at, returns_place
from farebox.access.marketplace.service import find_item
from farebox.access.marketplace.service_places import return_place, sell_place, unpin_place
from farebox.access.marketplace.service_purchases import (
    check_not_entitled,
    facts_of,
    find_purchase,
    keep_purchase,
    note_purchase,
    pending_purchase,
    purchases_of_order,
)
from farebox.access.rentals.model import Rental
from farebox.access.rentals.rules import ends_at
from farebox.access.rentals.service import begin_rental, read_rental, revoke_rental
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.platform.model import Actor
from farebox.storage import Tx

BILLING: Final = Actor(kind="system", id="billing")


class OrderEventRefused(Refusal):
    """The event lacks what its type needs."""

    code = "order_event_refused"


class Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an event says of one thing that was ordered. Fields that we do not know are ignored."""

    item_id: str | None = None
    offer: str | None = None
    purchase_id: str | None = None
    consumer_id: str | None = None
    period_hours: int | None = None
    starts_at: str | None = None


class OrderSaid(Line, frozen=True, kw_only=True, rename="camel"):
    """What billing says of an order."""

    order_id: str | None = None
    reason: str | None = None
    lines: tuple[Line, ...] = ()


def complete_order(tx: Tx, event: Event) -> None:
    """Grant what was paid, once; publish `order.fulfilment_failed` for what cannot be granted."""
    _settle(tx, event, "completed")


def release_order(tx: Tx, event: Event) -> None:
    """Give places back: the order was canceled, has expired, or its payment failed."""
    _settle(tx, event, "ended")


def refund_order(tx: Tx, event: Event) -> None:
    """Take back what was granted, and let the place be sold again if its time has not begun."""
    _settle(tx, event, "refunded")


def _settle(tx: Tx, event: Event, fact: PurchaseFact) -> None:
    said = _said(event)
    for line in _of_items(said):
        for purchase, chosen in _purchases_of(tx, said, line, fact):
            step = PURCHASE_STEPS[purchase.state, fact]
            _STEPS[step](tx, purchase, chosen)


def _of_items(said: OrderSaid) -> tuple[Line, ...]:
    """Return the lines about items; without lines the event itself is one.

    Lines that name neither an item nor a purchase are about products or credits: they must not be
    taken for the whole order.
    """
    if not said.lines:
        return (said,)
    return tuple(each for each in said.lines if each.item_id or each.purchase_id)


def _said(event: Event) -> OrderSaid:
    try:
        return msgspec.convert(event.data, OrderSaid)
    except msgspec.ValidationError as error:
        raise OrderEventRefused(str(error)) from error


def _purchases_of(
    tx: Tx, said: OrderSaid, line: Line, fact: PurchaseFact
) -> list[tuple[Purchase, Line]]:
    """Return the purchases that a line is about, locked, each as the order's now.

    One that was begun here is known by its id, or by its order, or by who buys what. An order that
    was not is noted: what was paid is granted also when billing alone took the order, and a refund
    that overtakes its order is remembered.
    """
    if line.purchase_id is not None:
        known = find_purchase(tx, line.purchase_id)
        if known is None:
            raise OrderEventRefused("there is no purchase of this id")
        return [(_ordered(known, said.order_id), line)]
    if said.order_id is None:
        return []
    of_order = purchases_of_order(tx, said.order_id)
    if line.item_id is None:
        return [(purchase, line) for purchase in of_order]
    # What was noted without an offer is about whatever offer is named later.
    meant = [
        each
        for each in of_order
        if each.item == line.item_id and (line.offer is None or each.offer in {"", line.offer})
    ]
    if meant:
        return [(each, line) for each in meant]
    consumer = line.consumer_id or said.consumer_id
    pending = None if consumer is None else pending_purchase(tx, consumer, line.item_id, line.offer)
    if pending is not None:
        return [(_ordered(pending, said.order_id), line)]
    if fact == "ended":
        return []
    return _noted(tx, said.order_id, consumer, line)


def _noted(tx: Tx, order: str, consumer: str | None, line: Line) -> list[tuple[Purchase, Line]]:
    """Note an order that nobody began here; one that cannot be granted fails at once."""
    assert line.item_id is not None
    if consumer is None:
        raise OrderEventRefused("an order names its consumer")
    item = find_item(tx, line.item_id)
    offer = None if item is None else _offer(item, line.offer)
    made = note_purchase(tx, consumer, line.item_id, "" if offer is None else offer.code, order)
    return [(made, line)]


def _offer(item: Item, code: str | None) -> Offer | None:
    """Return the offer of a code; without one, the only offer that there is."""
    if code is None:
        return item.offers[0] if len(item.offers) == 1 else None
    return next((offer for offer in item.offers if offer.code == code), None)


def _ordered(purchase: Purchase, order: str | None) -> Purchase:
    return purchase if order is None else msgspec.structs.replace(purchase, order=order)


def _grant(tx: Tx, purchase: Purchase, line: Line) -> None:
    """Sell the place and grant what was bought, or say that it is impossible."""
    item = find_item(tx, purchase.item)
    if item is None:
        return _fail(tx, purchase, "item_unknown")
    offer = _offer(item, purchase.offer)
    if offer is None:
        return _fail(tx, purchase, "offer_unknown")
    if find_consumer(tx, purchase.consumer) is None:
        return _fail(tx, purchase, "consumer_unknown")
    if purchase.state == "released" and _has_it(tx, purchase.consumer, item, offer):
        return _fail(tx, purchase, "already_entitled")
    rental = _rental(tx, item, offer, purchase, line)
    if offer.kind == "online_rental" and rental is None:
        return _fail(tx, purchase, "period_unusable")
    begins = begins_at(offer, None)
    if begins is not None and begins <= tx.now_us:
        return _fail(tx, purchase, "period_unusable")
    place = sell_place(tx, purchase.consumer, item, offer, purchase.place)
    if place is None:
        return _fail(tx, purchase, "sold_out")
    owned = grant_entitlement(
        tx,
        BILLING,
        holder_kind="consumer",
        holder=purchase.consumer,
        key=item.code,
        kind="item",
        source_kind="purchase",
        source=purchase.id,
        value=offer.code,
        starts_at=None if rental is None else rental.starts_at,
        expires_at=None if rental is None else ends_at(rental),
    )
    begun = None
    if rental is not None:
        rental = msgspec.structs.replace(rental, entitlement=owned.id)
        begun = begin_rental(tx, BILLING, rental).rental.id
    done = keep_purchase(
        tx, purchase, "fulfilled", place=place.id, entitlement=owned.id, rental=begun
    )
    told = {**facts_of(done), "entitlementId": owned.id, "rentalId": begun}
    publish(tx, type="marketplace.purchase.completed", subject=done.id, data=told)
    return None


def _has_it(tx: Tx, consumer: str, item: Item, offer: Offer) -> bool:
    """Tell whether a late payment is for what the consumer has got by another purchase since."""
    try:
        check_not_entitled(tx, consumer, item, offer)
    except AlreadyEntitled:
        return True
    return False


def _rental(tx: Tx, item: Item, offer: Offer, purchase: Purchase, line: Line) -> Rental | None:
    """Return the rental that was bought; None where the offer is none, or cannot be one any more.

    A start that has passed while money moved is now: nobody pays for time that they did not have.
    """
    hours = purchase.period_hours or line.period_hours
    if offer.kind != "online_rental" or hours is None:
        return None
    wanted = purchase.starts_at if line.starts_at is None else _time(line.starts_at)
    made = Rental(
        id="",
        consumer=purchase.consumer,
        item=item.code,
        offer=offer.code,
        order=purchase.order,
        entitlement="",
        starts_at=max(wanted or 0, tx.now_us),
        period_hours=hours,
        finish_within_hours=offer.finish_within_hours,
        window_end=item.available_until if offer.hard_stop else None,
        created_at=tx.now_us,
    )
    return made if ends_at(made) > made.starts_at else None


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueRefused as error:
        raise OrderEventRefused(str(error.detail)) from error


def _fail(tx: Tx, purchase: Purchase, reason: FailedBecause) -> None:
    """Say that what was paid cannot be had, so that billing pays it back."""
    if purchase.place is not None:
        unpin_place(tx, purchase.place)
    failed = keep_purchase(tx, purchase, "failed")
    told = {**facts_of(failed), "reason": reason}
    publish(tx, type="order.fulfilment_failed", subject=failed.order or failed.id, data=told)


def _release(tx: Tx, purchase: Purchase, _: Line) -> None:
    if purchase.place is not None:
        unpin_place(tx, purchase.place)
    keep_purchase(tx, purchase, "released")


def _release_refunded(tx: Tx, purchase: Purchase, _: Line) -> None:
    if purchase.place is not None:
        unpin_place(tx, purchase.place)
    keep_purchase(tx, purchase, "refunded")


def _note_refund(tx: Tx, purchase: Purchase, _: Line) -> None:
    keep_purchase(tx, purchase, "refunded")


def _revoke(tx: Tx, purchase: Purchase, _: Line) -> None:
    start = None
    if purchase.rental is not None:
        start = read_rental(tx, purchase.rental).rental.starts_at
        revoke_rental(tx, BILLING, purchase.rental, reason="refund")
    elif purchase.entitlement is not None:
        revoke_entitlement(tx, BILLING, purchase.entitlement, reason="refund")
    item = find_item(tx, purchase.item)
    offer = None if item is None else _offer(item, purchase.offer)
    begins = start if offer is None else begins_at(offer, start)
    if purchase.place is not None and returns_place(begins, tx.now_us):
        return_place(tx, purchase.place)
    keep_purchase(tx, purchase, "refunded")


def _nothing(tx: Tx, purchase: Purchase, _: Line) -> None:
    """Change nothing: the fact came late, or twice."""


_STEPS: Final[Mapping[str, Callable[[Tx, Purchase, Line], Any]]] = {
    "grant": _grant,
    "release": _release,
    "release_refunded": _release_refunded,
    "note_refund": _note_refund,
    "revoke": _revoke,
    "nothing": _nothing,
}
