"""Keeping the copies by what access tells, and reading them.

Each `keep_*` upserts by the version of its subject, so events may come twice, late, or again by a
replay or a snapshot: what is older than what is held changes nothing.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.events.model import Event
from farebox.events.service_inbox import newer
from farebox.kernel.clock import parse_time
from farebox.notifications.copies import store
from farebox.notifications.copies.model import (
    ChangePart,
    Counted,
    RentalCopy,
    RentalTold,
    Title,
    TitleKind,
)
from farebox.storage import Tx

COPY: Final = "titles"
ANY_LANGUAGE: Final = ""
_FROM: Final = "fromPeriodHours"


def keep_item(tx: Tx, event: Event) -> None:
    """Keep what an item is called, in each of its languages."""
    made = Counted(title=dict(event.data["title"]))
    _keep_title(tx, event, "item", str(event.data["itemId"]), made)


def keep_product(tx: Tx, event: Event) -> None:
    """Keep what a product is called, and how it is counted."""
    made = Counted(
        title={ANY_LANGUAGE: str(event.data["name"])},
        unit=event.data.get("unit"),
        scale=int(event.data.get("scale") or 0),
    )
    _keep_title(tx, event, "product", str(event.data["product"]), made)


def keep_rental(tx: Tx, event: Event) -> None:
    """Keep when a rental may be played, and whether it was taken back."""
    if not newer(tx, event, copy=COPY):
        return
    told = msgspec.convert(event.data, RentalTold)
    one = RentalCopy(
        rental=told.rental_id,
        order_id=told.order_id,
        consumer=told.consumer_id,
        item=told.item_id,
        offer=told.offer,
        starts_at=parse_time(told.starts_at),
        ends_at=parse_time(told.ends_at),
        period_hours=told.period_hours,
        version=told.version,
        revoked=told.revoked_at is not None,
    )
    tx.upsert(store.rental, store.row_of(one), key=("rental",))


def title_of(tx: Tx, code: str) -> Title:
    """Return what an item is called; by its code where nobody has told."""
    return _counted(tx, "item", code).title


def product_of(tx: Tx, code: str) -> Counted:
    """Return what a product is called and how it is counted; by its code where nobody has told."""
    return _counted(tx, "product", code)


def find_rental(tx: Tx, rental: str) -> RentalCopy | None:
    """Return a rental or None."""
    row = tx.one(sa.select(store.rental).where(store.rental.c.rental == rental))
    return None if row is None else store.rental_of(row)


def rentals_of_order(tx: Tx, order: str) -> list[RentalCopy]:
    """Return the rentals that an order has brought, as far as they are known here."""
    table = store.rental
    rows = tx.run(sa.select(table).where(table.c.order_id == order).order_by(table.c.rental))
    return [store.rental_of(row) for row in rows]


def note_change(
    tx: Tx,
    rental: str,
    period_hours: int,
    *,
    paid: dict[str, Any] | None = None,
    done: dict[str, Any] | None = None,
) -> ChangePart | None:
    """Note one half of a rental's other period; returns both when this is the second.

    Access and billing tell of it in two logs, so either half may be heard first. A half that began
    at another period is of a change that came to nothing: the newer half takes its place.
    """
    table = store.part
    key = {"rental": rental, "period_hours": period_hours}
    tx.insert_once(table, {**key, "paid": None, "done": None}, key=tuple(key))
    here = (table.c.rental == rental, table.c.period_hours == period_hours)
    row = tx.run(sa.select(table).where(*here).with_for_update()).one()
    before_paid, before_done = _read(row.paid), _read(row.done)
    if paid is None and _began_alike(before_paid, done):
        paid = before_paid
    elif done is None and _began_alike(paid, before_done):
        done = before_done
    if paid is not None and done is not None:
        tx.run(table.delete().where(*here))
        return ChangePart(paid=paid, done=done)
    tx.run(table.update().where(*here).values(paid=_written(paid), done=_written(done)))
    return None


def _began_alike(paid: dict[str, Any] | None, done: dict[str, Any] | None) -> bool:
    if paid is None or done is None:
        return False
    return bool(paid.get(_FROM) == done.get(_FROM))


def _keep_title(tx: Tx, event: Event, kind: TitleKind, code: str, made: Counted) -> None:
    if newer(tx, event, copy=COPY):
        title = msgspec.json.encode(made.title).decode()
        row = {"kind": kind, "code": code, "title": title, "unit": made.unit, "scale": made.scale}
        tx.upsert(store.title, row, key=("kind", "code"))


def _counted(tx: Tx, kind: TitleKind, code: str) -> Counted:
    table = store.title
    row = tx.one(sa.select(table).where(table.c.kind == kind, table.c.code == code))
    if row is None:
        return Counted(title={ANY_LANGUAGE: code})
    title = msgspec.json.decode(row.title, type=Title)
    return Counted(title=title, unit=row.unit, scale=row.scale)


def _read(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def _written(facts: dict[str, Any] | None) -> str | None:
    return None if facts is None else msgspec.json.encode(facts).decode()
