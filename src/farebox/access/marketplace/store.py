"""The tables of items, their words, places and purchases. Places are counted by the ledger."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.marketplace.model import Attributes, Item, Offer, Place, Purchase, Texts
from farebox.storage import table

metadata = sa.MetaData()
_encode = msgspec.json.Encoder().encode
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
item = _table(
    "item", number=_INT, id=_TEXT, code=_TEXT, owner=_TEXT, kind=_TEXT, title=_TEXT,
    description=_TEXT, attributes=_TEXT, offers=_TEXT, capacity=_INT, available_from=_INT,
    available_until=_INT, state=_TEXT, version=_INT, created_at=_INT, updated_at=_INT,
)  # fmt: skip
# Of published items alone: words with weights, and values that filters ask for.
word = _table("item_word", number=_INT, word=_BYTES, backwards=_BYTES, stem=_TEXT)
term = _table("item_term", word=_INT, item=_INT, weight=_INT)
attribute = _table("item_attribute", name=_TEXT, value=_TEXT, item=_INT)
# The ledger bucket of places: of one offer, or of the whole item where `offer` is empty.
capacity = _table("item_capacity", item=_INT, offer=_TEXT, bucket=_INT, capacity=_INT)
place = _table(
    "item_place", id=_TEXT, item=_TEXT, offer=_TEXT, consumer=_TEXT, hold=_INT, taken_at=_INT,
    expires_at=_INT, renewals=_INT, taking=_INT, ended_at=_INT, ended_by=_TEXT,
)  # fmt: skip
purchase = _table(
    "item_purchase", id=_TEXT, consumer=_TEXT, item=_TEXT, offer=_TEXT, period_hours=_INT,
    starts_at=_INT, order_id=_TEXT, place=_TEXT, state=_TEXT, created_at=_INT, updated_at=_INT,
    event=_TEXT, entitlement=_TEXT, rental=_TEXT,
)  # fmt: skip


def item_of(row: sa.Row[Any]) -> Item:
    """Return a row of `item`."""
    return Item(
        id=row.id,
        number=row.number,
        code=row.code,
        owner=row.owner,
        kind=row.kind,
        title=msgspec.json.decode(row.title, type=Texts),
        description=msgspec.json.decode(row.description, type=Texts),
        attributes=msgspec.json.decode(row.attributes, type=Attributes),
        offers=msgspec.json.decode(row.offers, type=tuple[Offer, ...]),
        capacity=row.capacity,
        available_from=row.available_from,
        available_until=row.available_until,
        state=row.state,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def item_row(made: Item) -> dict[str, object]:
    """Return the row that an item is."""
    row = msgspec.structs.asdict(made)
    for name in ("title", "description", "attributes", "offers"):
        row[name] = _encode(row[name]).decode()
    return row


def place_of(row: sa.Row[Any]) -> Place:
    """Return a row of `item_place`."""
    return Place(
        id=row.id,
        item=row.item,
        offer=row.offer,
        consumer=row.consumer,
        hold=row.hold,
        taken_at=row.taken_at,
        expires_at=row.expires_at,
        renewals=row.renewals,
        taking=row.taking,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )


def purchase_of(row: sa.Row[Any]) -> Purchase:
    """Return a row of `item_purchase`."""
    return Purchase(
        id=row.id,
        consumer=row.consumer,
        item=row.item,
        offer=row.offer,
        period_hours=row.period_hours,
        starts_at=row.starts_at,
        order=row.order_id,
        place=row.place,
        state=row.state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        event=row.event,
        entitlement=row.entitlement,
        rental=row.rental,
    )


def purchase_row(made: Purchase) -> dict[str, object]:
    """Return the row that a purchase is."""
    row = msgspec.structs.asdict(made)
    row["order_id"] = row.pop("order")
    return row
