"""Items: made, changed, published, withdrawn, archived, handed to another owner.

An owner sees and edits their own items only: each function takes a `sight`, and what lies outside
of it is not there (`item_unknown`). Every change is in the audit log and leaves as `item.*`, with
all that a copy of the catalogue holds.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.marketplace import store
from farebox.access.marketplace.model import (
    Draft,
    Item,
    ItemArchived,
    ItemChanged,
    ItemIncomplete,
    ItemState,
    ItemTaken,
    ItemUnknown,
    OwnerUnfit,
    Sight,
)
from farebox.access.marketplace.rules import checked_draft, checked_item_code, is_on_sale
from farebox.access.marketplace.service_capacity import fit_capacity
from farebox.access.marketplace.service_search import index_item
from farebox.events.service import publish
from farebox.kernel import ids
from farebox.kernel.clock import show_time
from farebox.platform.model import Actor, OperatorUnknown, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.platform.service_operators import read_operator
from farebox.storage import Tx

EVERYTHING = Sight()


def create_item(tx: Tx, actor: Actor, *, code: str, owner: str, draft: Draft) -> Item:
    """Create an item as a draft.

    Refuses a taken code (`item_taken`), an owner who cannot be one (`item_owner_refused`) and
    terms that cannot be (`value_invalid`).
    """
    checked_draft(draft)
    _check_owner(tx, owner)
    made = Item(
        id=ids.record_id("itm"),
        number=ids.mint(),
        code=checked_item_code(code),
        owner=owner,
        state="draft",
        version=1,
        created_at=tx.now_us,
        updated_at=tx.now_us,
        **_said(draft),
    )
    if not tx.insert_once(store.item, store.item_row(made), key=("code",)):
        raise ItemTaken
    fit_capacity(tx, actor, made)
    record(tx, actor, "item.created", made.code, after=made)
    _tell(tx, "created", made)
    return made


def find_item(tx: Tx, code: str) -> Item | None:
    """Return an item, whatever its state, or None."""
    row = tx.one(sa.select(store.item).where(store.item.c.code == code))
    return None if row is None else store.item_of(row)


def list_items(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Item]:
    """Return items in the order of their codes, whatever their state."""
    statement = sa.select(store.item).order_by(store.item.c.code)
    if after is not None:
        statement = statement.where(store.item.c.code > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.item_of(row) for row in rows], limit, lambda item: item.code)


def read_item(tx: Tx, code: str, sight: Sight = EVERYTHING) -> Item:
    """Return an item; refuses one that is not in sight (`item_unknown`)."""
    found = find_item(tx, code)
    if found is None or not _in_sight(found, sight, tx.now_us):
        raise ItemUnknown
    return found


def change_item(
    tx: Tx,
    actor: Actor,
    code: str,
    changes: dict[str, Any],
    *,
    sight: Sight = EVERYTHING,
    version: int | None = None,
) -> Item:
    """Change fields of an item's `Draft`; `version` is the one that the caller has read.

    Refuses what `create_item` does, an archived item (`item_archived`), one that was changed
    since (`item_changed`), a published one without an offer (`item_incomplete`), and fewer places
    than are sold or held (`capacity_in_use`).
    """
    old = _locked(tx, code, sight)
    if old.state == "archived":
        raise ItemArchived
    if version is not None and version != old.version:
        raise ItemChanged(version=old.version)
    draft = checked_draft(msgspec.structs.replace(_draft_of(old), **changes))
    new = msgspec.structs.replace(old, **_said(draft))
    if new.state == "published" and not new.offers:
        raise ItemIncomplete
    fit_capacity(tx, actor, new)
    return _change(tx, actor, "updated", old, new)


def publish_item(tx: Tx, actor: Actor, code: str, *, sight: Sight = EVERYTHING) -> Item:
    """Let consumers find an item within its window. Repeating changes nothing.

    Refuses one without an offer (`item_incomplete`) and an archived one (`item_archived`).
    """
    old = _locked(tx, code, sight)
    if old.state == "archived":
        raise ItemArchived
    if not old.offers:
        raise ItemIncomplete
    return _change(tx, actor, "updated", old, _in_state(old, "published"))


def withdraw_item(tx: Tx, actor: Actor, code: str, *, sight: Sight = EVERYTHING) -> Item:
    """Make an item a draft again; what was sold of it stays. Repeating changes nothing.

    Refuses an archived one (`item_archived`).
    """
    old = _locked(tx, code, sight)
    if old.state == "archived":
        raise ItemArchived
    return _change(tx, actor, "updated", old, _in_state(old, "draft"))


def archive_item(tx: Tx, actor: Actor, code: str, *, sight: Sight = EVERYTHING) -> Item:
    """Sell nothing of an item any more; what was sold stays. Repeating changes nothing."""
    old = _locked(tx, code, sight)
    return _change(tx, actor, "archived", old, _in_state(old, "archived"))


def transfer_item(tx: Tx, actor: Actor, code: str, *, owner: str) -> Item:
    """Hand an item to another owner, from now on; refuses one who cannot be an owner."""
    old = _locked(tx, code, EVERYTHING)
    _check_owner(tx, owner)
    return _change(tx, actor, "updated", old, msgspec.structs.replace(old, owner=owner))


def _check_owner(tx: Tx, owner: str) -> None:
    try:
        found = read_operator(tx, owner)
    except OperatorUnknown as error:
        raise OwnerUnfit from error
    if found.state != "active" or not {"owner", "admin"} & set(found.roles):
        raise OwnerUnfit


def _in_sight(item: Item, sight: Sight, now: int) -> bool:
    owned = sight.owner is None or sight.owner == item.owner
    return owned and (not sight.on_sale or is_on_sale(item, now))


def _in_state(item: Item, state: ItemState) -> Item:
    return msgspec.structs.replace(item, state=state)


def _said(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in Draft.__struct_fields__}


def _draft_of(item: Item) -> Draft:
    return Draft(**{name: getattr(item, name) for name in Draft.__struct_fields__})


def _locked(tx: Tx, code: str, sight: Sight) -> Item:
    """Return an item whose row nobody else changes until the commit."""
    row = tx.one(sa.select(store.item).where(store.item.c.code == code).with_for_update())
    if row is None:
        raise ItemUnknown
    found = store.item_of(row)
    if not _in_sight(found, sight, tx.now_us):
        raise ItemUnknown
    return found


def _change(tx: Tx, actor: Actor, what: str, old: Item, new: Item) -> Item:
    if new == old:
        return old
    new = msgspec.structs.replace(new, version=old.version + 1, updated_at=tx.now_us)
    here = store.item.c.number == old.number
    tx.run(store.item.update().where(here).values(store.item_row(new)))
    index_item(tx, new)
    record(tx, actor, f"item.{what}", old.code, before=old, after=new)
    _tell(tx, what, new)
    return new


def facts_of(item: Item) -> dict[str, Any]:
    """Return what copies of an item hold: billing prices its offers by their codes."""
    return {
        "itemId": item.code,
        "id": item.id,
        "owner": item.owner,
        "kind": item.kind,
        "title": item.title,
        "description": item.description,
        "attributes": item.attributes,
        "offers": [
            {**msgspec.to_builtins(offer), "starts_at": _shown(offer.starts_at)}
            for offer in item.offers
        ],
        "capacity": item.capacity,
        "availableFrom": _shown(item.available_from),
        "availableUntil": _shown(item.available_until),
        "state": item.state,
        "version": item.version,
    }


def _tell(tx: Tx, what: str, item: Item) -> None:
    publish(tx, type=f"item.{what}", subject=f"item:{item.code}", data=facts_of(item))


def _shown(at: int | None) -> str | None:
    return None if at is None else show_time(at)
