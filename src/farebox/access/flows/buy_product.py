"""A one-off purchase of a product through our own billing: what it brings, and its return.

An order names a product, as `productId` with `addonProductIds`, or several as `lines` of these.
What names none is about something else (an item, say) and is left to others.
"""

from typing import Final

import msgspec

from farebox.access.catalog.model import ProductUnknown
from farebox.access.catalog.service import read_product
from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.consumers.service_lookup import consumer_of_user
from farebox.access.entitlements.model import EventRefused
from farebox.access.entitlements.service_products import Owned, give_product, take_product
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel.refusals import Refusal
from farebox.platform.model import Actor
from farebox.storage import Tx

BILLING: Final = Actor(kind="system", id="billing")


class Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A product of an order."""

    product_id: str | None = None
    addon_product_ids: tuple[str, ...] = ()


class OrderSaid(Line, frozen=True, kw_only=True, rename="camel"):
    """What billing says of an order, as far as products are concerned."""

    order_id: str | None = None
    consumer_id: str | None = None
    lines: tuple[Line, ...] = ()


def complete_product_order(tx: Tx, event: Event) -> None:
    """Give what was paid, all of it or nothing; the same order again changes nothing.

    What was given is told by `order.fulfilment_completed`. If that is impossible
    (`product_unknown`, `consumer_unknown`), `order.fulfilment_failed` lets billing pay it back.
    """
    order, said = _products(event)
    try:
        owned = [_owned(tx, order, said.consumer_id, line) for line in _lines(said)]
    except (ProductUnknown, ConsumerUnknown) as refusal:
        # Nothing is written yet: half an order is none.
        _fail(tx, order, said, refusal)
        return
    for each in owned:
        give_product(tx, BILLING, each, reason=event.type)
    if owned:
        given = [each.product for each in owned]
        told = {"orderId": order, "productIds": given, "consumerId": said.consumer_id}
        publish(tx, type="order.fulfilment_completed", subject=order, data=told)


def refund_product_order(tx: Tx, event: Event) -> None:
    """Take back what was given for an order's products, now.

    Where the refund names no add-ons, those that the product has go with it.
    """
    order, said = _products(event)
    for line in _lines(said):
        owned = _owned(tx, order, said.consumer_id, line)
        if not owned.add_ons:
            all_of_it = read_product(tx, owned.product).add_ons
            owned = msgspec.structs.replace(owned, add_ons=all_of_it)
        take_product(tx, BILLING, owned, reason=event.type)


def _products(event: Event) -> tuple[str, OrderSaid]:
    try:
        said = msgspec.convert(event.data, OrderSaid)
    except msgspec.ValidationError as error:
        raise EventRefused(str(error)) from error
    if not _lines(said):
        return "", said
    if said.order_id is None or said.consumer_id is None:
        raise EventRefused("an order of products names its orderId and consumerId")
    return said.order_id, said


def _lines(said: OrderSaid) -> list[Line]:
    return [line for line in (said, *said.lines) if line.product_id is not None]


def _owned(tx: Tx, order: str, consumer: str | None, line: Line) -> Owned:
    assert line.product_id is not None, "such lines are left out"
    assert consumer is not None, "an order of products names its consumer"
    found = consumer_of_user(tx, consumer)
    for code in (line.product_id, *line.addon_product_ids):
        read_product(tx, code)
    return Owned(
        # A device draws as its owner, so what is bought for it is the owner's.
        consumer=found.owner or found.id,
        product=line.product_id,
        source_kind="purchase",
        source=f"{order}:{line.product_id}",
        add_ons=line.addon_product_ids,
    )


def _fail(tx: Tx, order: str, said: OrderSaid, refusal: Refusal) -> None:
    data = {
        "orderId": order,
        "productIds": [line.product_id for line in _lines(said)],
        "consumerId": said.consumer_id,
        "reason": refusal.code,
    }
    publish(tx, type="order.fulfilment_failed", subject=order, data=data)
