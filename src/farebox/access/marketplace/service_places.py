"""Places in carts: held for a while, renewed, pinned while money moves, sold or given back.

A place is a hold of the ledger, so the last one goes to one buyer however many ask at once. Its
end needs no job: the ledger lets a hold go at the instant it ends, and `expires_at` tells the same.
"""

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import LedgerRefused
from farebox.access.consumers.model import DeviceRefused
from farebox.access.consumers.service import lock_consumer
from farebox.access.marketplace import store
from farebox.access.marketplace.model import (
    MOST_RENEWALS,
    Item,
    Offer,
    Place,
    PlaceEnded,
    PlacePinned,
    PlaceUnknown,
    RenewalsExceeded,
    SoldOut,
)
from farebox.access.marketplace.rules import MINUTE_US, offer_of, place_state
from farebox.access.marketplace.service import read_item
from farebox.access.marketplace.service_capacity import (
    availability_of,
    done,
    sold_sink,
    source_of,
)
from farebox.kernel import ids
from farebox.kernel.clock import show_time
from farebox.ledger.model import (
    Applied,
    Capture,
    Denied,
    Hold,
    Pin,
    Release,
    Reverse,
    Source,
    Use,
)
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

_GONE = frozenset({"hold_captured", "hold_expired", "hold_released", "hold_unknown"})


def hold_place(tx: Tx, consumer: str, item: Item, offer: Offer) -> Place:
    """Hold a place for as long as the offer says, or return the one that the consumer holds.

    Asking again does not begin the time anew. Refuses `sold_out`, and a device.
    """
    if lock_consumer(tx, consumer).owner is not None:
        raise DeviceRefused
    now = tx.now_us
    known = _open_place(tx, consumer, item.code, offer.code)
    if known is not None:
        if place_state(known, now) != "expired":
            return known
        _end(tx, known, "expired")
    made = Place(
        id=ids.record_id("plc"),
        item=item.code,
        offer=offer.code,
        consumer=consumer,
        hold=None,
        taken_at=now,
        expires_at=now + offer.hold_minutes * MINUTE_US,
        renewals=0,
    )
    source = source_of(tx, item, offer)
    if source is not None:
        made = _on_hold(tx, made, source, item, offer)
    tx.run(store.place.insert(), msgspec.structs.asdict(made))
    return made


def find_place(tx: Tx, place_id: str) -> Place | None:
    """Return a place or None."""
    row = tx.one(sa.select(store.place).where(store.place.c.id == place_id))
    return None if row is None else store.place_of(row)


def read_place(tx: Tx, place_id: str, *, consumer: str | None = None) -> Place:
    """Return a place, of this consumer if one is named; refuses others (`place_unknown`)."""
    found = find_place(tx, place_id)
    if found is None or consumer not in {None, found.consumer}:
        raise PlaceUnknown
    return found


def list_places(
    tx: Tx, consumer: str, *, after: str | None = None, limit: int = 100
) -> Page[Place]:
    """Return a consumer's open places, oldest first; one whose time has passed among them."""
    table = store.place
    statement = sa.select(table).where(table.c.consumer == consumer, table.c.ended_at.is_(None))
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.order_by(table.c.id).limit(checked_limit(limit) + 1))
    return page_of([store.place_of(row) for row in rows], limit, lambda place: place.id)


def renew_place(tx: Tx, place_id: str, *, consumer: str | None = None) -> Place:
    """Begin a place's time anew, at most 10 times; one that has lapsed is taken again if it can.

    Refuses `place_ended`, `place_pinned`, `renewals_exceeded` and, for one that has lapsed,
    `sold_out`.
    """
    place = _locked(tx, place_id, consumer)
    item = read_item(tx, place.item)
    offer = offer_of(item, place.offer)
    state = place_state(place, tx.now_us)
    if state not in {"held", "expired"}:
        raise PlacePinned if state == "pinned" else PlaceEnded
    if place.renewals >= MOST_RENEWALS:
        raise RenewalsExceeded
    ttl = offer.hold_minutes * MINUTE_US
    new = msgspec.structs.replace(place, expires_at=tx.now_us + ttl, renewals=place.renewals + 1)
    if place.hold is None:
        return _kept(tx, new)
    pinned = _resolve(tx, Pin(hold=place.hold, ttl_us=ttl)) if state == "held" else None
    if pinned is not None:
        return _kept(tx, msgspec.structs.replace(new, expires_at=pinned.expires_at))
    source = source_of(tx, item, offer)
    return _kept(tx, new if source is None else _on_hold(tx, new, source, item, offer))


def release_place(tx: Tx, place_id: str, *, consumer: str | None = None) -> Place:
    """Give a place back. Repeating changes nothing; refuses a pinned one (`place_pinned`)."""
    place = _locked(tx, place_id, consumer)
    state = place_state(place, tx.now_us)
    if state == "pinned":
        raise PlacePinned
    if state == "held" and place.hold is not None:
        _resolve(tx, Release(hold=place.hold))
    return place if place.ended_by is not None else _end(tx, place, "released")


def pin_place(tx: Tx, place: Place) -> Place:
    """Keep a place without an end, because money is about to move; refuses `place_ended`."""
    state = place_state(place, tx.now_us)
    if state not in {"held", "pinned"}:
        raise PlaceEnded
    if place.hold is not None and state == "held" and _resolve(tx, Pin(hold=place.hold)) is None:
        raise PlaceEnded
    return _kept(tx, msgspec.structs.replace(place, expires_at=None))


def unpin_place(tx: Tx, place_id: str) -> None:
    """Give a pinned place back: its order came to nothing. Repeating changes nothing."""
    place = _locked(tx, place_id, None)
    if place.ended_by is not None:
        return
    if place.hold is not None:
        _resolve(tx, Release(hold=place.hold))
    _end(tx, place, "released")


def sell_place(
    tx: Tx, consumer: str, item: Item, offer: Offer, place_id: str | None
) -> Place | None:
    """Sell a place: the one given if it is still held, else a new one; None where none is left."""
    known = None if place_id is None else _locked(tx, place_id, None)
    if known is not None and known.ended_by is None:
        if known.hold is None:
            return _end(tx, known, "sold")
        taken = _resolve(tx, Capture(hold=known.hold))
        if taken is not None:
            return _end(tx, known, "sold", taking=taken.operation)
        _end(tx, known, "expired")
    source, taking = source_of(tx, item, offer), None
    if source is not None:
        use = Use(sources=(source,), amount=1, sink=sold_sink(tx), actor=consumer)
        outcome = done(tx, use)
        if isinstance(outcome, Denied):
            return None
        taking = outcome.operation
    now = tx.now_us
    made = Place(
        id=ids.record_id("plc"), item=item.code, offer=offer.code, consumer=consumer, hold=None,
        taken_at=now, expires_at=None, renewals=0, taking=taking, ended_at=now, ended_by="sold",
    )  # fmt: skip
    tx.run(store.place.insert(), msgspec.structs.asdict(made))
    return made


def return_place(tx: Tx, place_id: str) -> Place:
    """Let a place that was sold be sold again. Repeating changes nothing."""
    place = _locked(tx, place_id, None)
    if place.ended_by != "sold":
        return place
    if place.taking is not None:
        done(tx, Reverse(operation=place.taking, reason="refund"))
    return _kept(tx, msgspec.structs.replace(place, ended_by="returned"))


def _on_hold(tx: Tx, place: Place, source: Source, item: Item, offer: Offer) -> Place:
    """Return a place on a new hold of the ledger; refuses `sold_out`, with when one may be free."""
    hold = Hold(
        sources=(source,),
        amount=1,
        ttl_us=offer.hold_minutes * MINUTE_US,
        sink=sold_sink(tx),
        actor=place.consumer,
    )
    outcome = done(tx, hold)
    if isinstance(outcome, Denied):
        found = {each.offer: each.free_at for each in availability_of(tx, item)}
        free_at = found[offer.code]
        raise SoldOut(free_at=None if free_at is None else show_time(free_at))
    return msgspec.structs.replace(place, hold=outcome.hold, expires_at=outcome.expires_at)


def _resolve(tx: Tx, command: Capture | Pin | Release) -> Applied | None:
    """Do something with a hold; None where it has ended already.

    The ledger's own instant decides that: it may lie a little after the transaction's.
    """
    try:
        outcome = done(tx, command)
    except LedgerRefused as refusal:
        if refusal.code in _GONE:
            return None
        raise
    assert isinstance(outcome, Applied), "a hold covers its own amount"
    return outcome


def _open_place(tx: Tx, consumer: str, item: str, offer: str) -> Place | None:
    table = store.place
    here = (table.c.consumer == consumer, table.c.item == item, table.c.offer == offer)
    # Locked, because one that has lapsed may be renewed at this moment.
    mine = sa.select(table).where(*here, table.c.ended_at.is_(None))
    row = tx.one(mine.with_for_update())
    return None if row is None else store.place_of(row)


def _locked(tx: Tx, place_id: str, consumer: str | None) -> Place:
    row = tx.one(sa.select(store.place).where(store.place.c.id == place_id).with_for_update())
    if row is None or consumer not in {None, row.consumer}:
        raise PlaceUnknown
    return store.place_of(row)


def _end(tx: Tx, place: Place, by: str, *, taking: int | None = None) -> Place:
    ended = msgspec.structs.replace(place, ended_by=by, ended_at=tx.now_us, taking=taking)
    return _kept(tx, ended)


def _kept(tx: Tx, place: Place) -> Place:
    here = store.place.c.id == place.id
    tx.run(store.place.update().where(here).values(msgspec.structs.asdict(place)))
    return place
