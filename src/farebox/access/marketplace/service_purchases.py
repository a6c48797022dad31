"""Purchases on their way: begun here, paid at billing, ended by billing's events.

A purchase pins its place and asks billing by `marketplace.purchase.initiated`. What becomes of it
is the table `PURCHASE_STEPS`; the flow `buy_item` does what the table says.
"""

import re
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.consumers.service import lock_consumer
from farebox.access.entitlements.service import list_entitlements
from farebox.access.marketplace import store
from farebox.access.marketplace.model import (
    AlreadyEntitled,
    Item,
    Offer,
    Place,
    PlaceUnknown,
    Purchase,
    PurchasePending,
    PurchaseState,
    PurchaseTaken,
    PurchaseTerms,
    PurchaseUnknown,
)
from farebox.access.marketplace.rules import check_terms, covers, offer_of
from farebox.access.marketplace.service import read_item
from farebox.access.marketplace.service_places import hold_place, pin_place, read_place
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

_ID: Final = re.compile(r"pur_[0-9a-f]{16,64}")


def start_purchase(
    tx: Tx, consumer: str, terms: PurchaseTerms, *, purchase_id: str | None = None
) -> Purchase:
    """Begin a purchase: check the terms, pin a place, tell billing. Once for each id.

    Refuses what is not on sale (`item_not_on_sale`, `offer_unknown`, `period_refused`), what the
    consumer has (`already_entitled`) or is buying (`purchase_pending`), `sold_out`, a place that
    is not theirs (`place_unknown`) or has lapsed (`place_ended`), and an id, or an order for
    this very offer, that another purchase has (`purchase_taken`).
    """
    made_id = record_id("pur") if purchase_id is None else purchase_id
    if _ID.fullmatch(made_id) is None:
        raise ValueRefused("a purchase's id is pur_ and 16 to 64 hex digits")
    # Whoever buys is locked, so that two purchases at once see each other.
    lock_consumer(tx, consumer)
    if (known := _locked_or_none(tx, made_id)) is not None:
        return _same(known, consumer, terms)
    item = read_item(tx, terms.item)
    offer = offer_of(item, terms.offer)
    check_terms(item, offer, terms.period_hours, terms.starts_at, tx.now_us)
    # Before the place: who has the last one is told so, not that it is sold out.
    check_not_entitled(tx, consumer, item, offer)
    place = _place_for(tx, consumer, item, offer, terms.place)
    if (pending := _pending(tx, consumer, item.code, offer.code)) is not None:
        raise PurchasePending(purchase=pending.id)
    pinned = pin_place(tx, place)
    made = Purchase(
        id=made_id,
        consumer=consumer,
        item=item.code,
        offer=offer.code,
        period_hours=terms.period_hours,
        starts_at=terms.starts_at,
        order=terms.order,
        place=pinned.id,
        state="initiated",
        created_at=tx.now_us,
        updated_at=tx.now_us,
    )
    event = publish(tx, type="marketplace.purchase.initiated", subject=made.id, data=facts_of(made))
    made = msgspec.structs.replace(made, event=event.id)
    if not tx.insert_unless_taken(store.purchase, store.purchase_row(made)):
        raise PurchaseTaken
    return made


def check_not_entitled(tx: Tx, consumer: str, item: Item, offer: Offer) -> None:
    """Refuse (`already_entitled`) an offer that would bring the consumer nothing."""
    now = tx.now_us
    for owned in list_entitlements(tx, [consumer], key=item.code, active_only=False):
        over = owned.expires_at is not None and owned.expires_at <= now
        gone = owned.revoked_at is not None or owned.kind != "item"
        if not over and not gone and covers(item, owned.value, offer):
            raise AlreadyEntitled(entitlement=owned.id)


def note_purchase(tx: Tx, consumer: str, item: str, offer: str, order: str) -> Purchase:
    """Return a purchase that billing began: nothing was pinned for it here."""
    made = Purchase(
        id=record_id("pur"),
        consumer=consumer,
        item=item,
        offer=offer,
        period_hours=None,
        starts_at=None,
        order=order,
        place=None,
        state="released",
        created_at=tx.now_us,
        updated_at=tx.now_us,
    )
    tx.run(store.purchase.insert(), store.purchase_row(made))
    return made


def find_purchase(tx: Tx, purchase_id: str) -> Purchase | None:
    """Return a purchase, locked until the commit, or None."""
    return _locked_or_none(tx, purchase_id)


def read_purchase(tx: Tx, purchase_id: str, *, consumer: str | None = None) -> Purchase:
    """Return a purchase, of this consumer if one is named; refuses others (`purchase_unknown`)."""
    row = tx.one(sa.select(store.purchase).where(store.purchase.c.id == purchase_id))
    if row is None or consumer not in {None, row.consumer}:
        raise PurchaseUnknown
    return store.purchase_of(row)


def purchases_of_order(tx: Tx, order: str) -> tuple[Purchase, ...]:
    """Return the purchases of an order, locked until the commit, in the order of their ids."""
    table = store.purchase
    statement = sa.select(table).where(table.c.order_id == order).order_by(table.c.id)
    return tuple(store.purchase_of(row) for row in tx.run(statement.with_for_update()))


def pending_purchase(tx: Tx, consumer: str, item: str, offer: str | None) -> Purchase | None:
    """Return the latest purchase of an item that waits for its order, locked, or None."""
    table = store.purchase
    here = (table.c.consumer == consumer, table.c.item == item, table.c.state == "initiated")
    statement = sa.select(table).where(*here, table.c.order_id.is_(None))
    if offer is not None:
        statement = statement.where(table.c.offer == offer)
    row = tx.one(statement.order_by(table.c.id.desc()).limit(1).with_for_update())
    return None if row is None else store.purchase_of(row)


def list_purchases(
    tx: Tx, *, consumer: str | None = None, after: str | None = None, limit: int = 100
) -> Page[Purchase]:
    """Return purchases in the order of their ids."""
    table = store.purchase
    statement = sa.select(table).order_by(table.c.id)
    if consumer is not None:
        statement = statement.where(table.c.consumer == consumer)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.purchase_of(row) for row in rows], limit, lambda one: one.id)


def keep_purchase(tx: Tx, purchase: Purchase, state: PurchaseState, **facts: Any) -> Purchase:  # noqa: ANN401 - fields of it
    """Write what became of a purchase."""
    new = msgspec.structs.replace(purchase, state=state, updated_at=tx.now_us, **facts)
    here = store.purchase.c.id == new.id
    tx.run(store.purchase.update().where(here).values(store.purchase_row(new)))
    return new


def facts_of(purchase: Purchase) -> dict[str, Any]:
    """Return what events say of a purchase."""
    start = purchase.starts_at
    return {
        "purchaseId": purchase.id,
        "orderId": purchase.order,
        "itemId": purchase.item,
        "offer": purchase.offer,
        "consumerId": purchase.consumer,
        "periodHours": purchase.period_hours,
        "startsAt": None if start is None else show_time(start),
        "placeId": purchase.place,
    }


def _same(known: Purchase, consumer: str, terms: PurchaseTerms) -> Purchase:
    """Return the purchase that was begun under this id, if it is what is asked for now."""
    wanted = (consumer, terms.item, terms.offer, terms.period_hours, terms.starts_at, terms.order)
    found = (
        known.consumer, known.item, known.offer, known.period_hours, known.starts_at, known.order,
    )  # fmt: skip
    if found != wanted or terms.place not in {None, known.place}:
        raise PurchaseTaken
    return known


def _place_for(tx: Tx, consumer: str, item: Item, offer: Offer, place_id: str | None) -> Place:
    held = None if place_id is None else read_place(tx, place_id, consumer=consumer)
    if held is None:
        return hold_place(tx, consumer, item, offer)
    if (held.item, held.offer) != (item.code, offer.code):
        raise PlaceUnknown
    return held


def _pending(tx: Tx, consumer: str, item: str, offer: str) -> Purchase | None:
    table = store.purchase
    here = (table.c.consumer == consumer, table.c.item == item, table.c.offer == offer)
    row = tx.one(sa.select(table).where(*here, table.c.state == "initiated"))
    return None if row is None else store.purchase_of(row)


def _locked_or_none(tx: Tx, purchase_id: str) -> Purchase | None:
    here = store.purchase.c.id == purchase_id
    row = tx.one(sa.select(store.purchase).where(here).with_for_update())
    return None if row is None else store.purchase_of(row)
