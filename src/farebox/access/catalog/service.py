"""Products. Each has a ledger asset of its code, which counts it in its smallest unit."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.catalog import store
from farebox.access.catalog.model import (
    Product,
    ProductEntitlement,
    ProductIsAddOn,
    ProductState,
    ProductTaken,
    ProductType,
    ProductUnknown,
    VersionPassed,
)
from farebox.access.catalog.rules import (
    check_add_ons,
    check_keys,
    checked_product,
    folded,
    words_of,
)
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.ledger.service import Ledger
from farebox.platform.model import SYSTEM, Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Problem, Tx, problem_of

_ledger = Ledger()
_UNFOLDED_AT_ONCE: Final = 1_000


def create_product(
    tx: Tx,
    actor: Actor,
    *,
    name: str,
    code: str | None = None,
    type: ProductType = "service",  # noqa: A002 - the word of the domain
    unit: str = "use",
    scale: int = 0,
    description: str = "",
    billable: bool = True,
    entitlements: tuple[ProductEntitlement, ...] = (),
    add_ons: tuple[str, ...] = (),
) -> Product:
    """Create a product and its asset; refuses a taken code (`product_taken`).

    A quantity of 150 with scale 2 is 1.50 units; the scale never changes. A product without a
    code gets one. Refuses entitlements and add-ons that cannot be (`entitlement_key_unknown`,
    `add_on_refused`, `product_archived`).
    """
    made = Product(
        code=record_id("prd") if code is None else code,
        name=name,
        type=type,
        unit=unit,
        scale=scale,
        state="active",
        created_at=tx.now_us,
        description=description,
        billable=billable,
        entitlements=entitlements,
        add_ons=add_ons,
    )
    _check_new(tx, checked_product(made), before=None)
    if not tx.insert_once(store.product, _row(made), key=("code",)):
        raise ProductTaken
    try:
        _ledger.open_asset(tx, made.code, scale)
    except sa.exc.IntegrityError as error:
        if problem_of(error) is not Problem.UNIQUE:
            raise
        # Two new assets were given one number at once: the next run finds the next number.
        raise TryAgain from error
    record(tx, actor, "product.created", made.code, after=made)
    _tell(tx, "created", made)
    return made


def ensure_product(tx: Tx, *, code: str, name: str, unit: str, scale: int = 0) -> Product:
    """Return a product that the platform itself needs, making it at the first start."""
    return find_product(tx, code) or create_product(
        tx, SYSTEM, code=code, name=name, unit=unit, scale=scale
    )


def find_product(tx: Tx, code: str) -> Product | None:
    """Return a product or None."""
    row = tx.one(sa.select(store.product).where(store.product.c.code == code))
    return None if row is None else store.product_of(row)


def read_product(tx: Tx, code: str) -> Product:
    """Return a product; refuses an unknown one (`product_unknown`)."""
    found = find_product(tx, code)
    if found is None:
        raise ProductUnknown
    return found


def products_named(tx: Tx, codes: Collection[str]) -> dict[str, Product]:
    """Return those products that exist, by their codes."""
    here = store.product.c.code.in_(sorted(set(codes)))
    rows = tx.run(sa.select(store.product).where(here)) if codes else ()
    return {row.code: store.product_of(row) for row in rows}


def list_products(
    tx: Tx,
    *,
    state: ProductState | None = None,
    type: ProductType | None = None,  # noqa: A002 - the word of the domain
    billable: bool | None = None,
    query: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Product]:
    """Return products in the order of their codes, of this state, type and billing if given.

    With a `query`, those that contain all of its words in code, name or description, whatever
    their case, ё as е; refuses a query without a word (`value_invalid`).
    """
    table = store.product
    statement = sa.select(table).order_by(table.c.code)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if type is not None:
        statement = statement.where(table.c.type == type)
    if billable is not None:
        statement = statement.where(table.c.billable == int(billable))
    if after is not None:
        statement = statement.where(table.c.code > after)
    for word in () if query is None else words_of(query):
        statement = statement.where(table.c.search.contains(word, autoescape=True))
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.product_of(row) for row in rows], limit, lambda product: product.code)


def update_product(
    tx: Tx,
    actor: Actor,
    code: str,
    *,
    name: str | None = None,
    type: ProductType | None = None,  # noqa: A002 - the word of the domain
    unit: str | None = None,
    description: str | None = None,
    billable: bool | None = None,
    entitlements: tuple[ProductEntitlement, ...] | None = None,
    add_ons: tuple[str, ...] | None = None,
    expected_version: int | None = None,
) -> Product:
    """Change what is given; what was sold before keeps what it brought.

    Refuses what `create_product` refuses, another version than the expected one
    (`version_passed`), and another type for what is an add-on of others (`product_is_add_on`).
    """
    old = _locked(tx, code)
    if expected_version not in {None, old.version}:
        raise VersionPassed(version=old.version)
    given = {
        "name": name,
        "type": type,
        "unit": unit,
        "description": description,
        "billable": billable,
        "entitlements": entitlements,
        "add_ons": add_ons,
    }
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    new = checked_product(msgspec.structs.replace(old, **changes))
    _check_new(tx, new, before=old)
    return _change(tx, actor, "updated", old, new)


def archive_product(tx: Tx, actor: Actor, code: str) -> Product:
    """Sell nothing new of a product; what was sold stays usable. Repeating changes nothing."""
    old = _locked(tx, code)
    return _change(tx, actor, "archived", old, msgspec.structs.replace(old, state="archived"))


def fill_search(tx: Tx) -> None:
    """Make products findable that are older than the search."""
    unfolded = sa.select(store.product).where(store.product.c.search.is_(None))
    while rows := tx.run(unfolded.limit(_UNFOLDED_AT_ONCE)).all():
        for row in rows:
            here = store.product.c.code == row.code
            values = {"search": _searched(store.product_of(row))}
            tx.run(store.product.update().where(here).values(values))


def facts_of(product: Product) -> dict[str, Any]:
    """Return a product as events and snapshots tell it."""
    facts: dict[str, Any] = msgspec.to_builtins(product)
    return {"product": facts.pop("code"), **facts}


def _check_new(tx: Tx, new: Product, *, before: Product | None) -> None:
    """Refuse what a product names and cannot have; what it had before may stay."""
    if before is None or new.entitlements != before.entitlements:
        check_keys(new, _keys_of(tx, {one.key for one in new.entitlements}))
    if new.add_ons != (() if before is None else before.add_ons):
        had = () if before is None else before.add_ons
        check_add_ons(new, _locked_add_ons(tx), before=had)
    if before is not None and before.type == "add_on" != new.type and _has_bearers(tx, new.code):
        raise ProductIsAddOn


def _keys_of(tx: Tx, keys: Collection[str]) -> set[str]:
    """Return those of some keys that are a feature or a product."""
    if not keys:
        return set()
    tables = (store.feature, store.product)
    found = [sa.select(table.c.code).where(table.c.code.in_(sorted(keys))) for table in tables]
    return set(tx.run(sa.union(*found)).scalars())


def _locked_add_ons(tx: Tx) -> dict[str, Product]:
    """Return all add-ons, which nobody else changes until the commit.

    Everybody on a circle of add-ons is one, so of two changes that would close a circle together
    the second waits here for the first, and sees it.
    """
    add_ons = sa.select(store.product).where(store.product.c.type == "add_on")
    rows = tx.run(add_ons.order_by(store.product.c.code).with_for_update())
    return {row.code: store.product_of(row) for row in rows}


def _has_bearers(tx: Tx, code: str) -> bool:
    """Tell whether a product is an add-on of others."""
    bearing = sa.select(store.product.c.add_ons).where(store.product.c.add_ons != "[]")
    return any(code in store.words_of(text) for text in tx.run(bearing).scalars())


def _locked(tx: Tx, code: str) -> Product:
    """Return a product whose row nobody else changes until the commit."""
    here = store.product.c.code == code
    row = tx.one(sa.select(store.product).where(here).with_for_update())
    if row is None:
        raise ProductUnknown
    return store.product_of(row)


def _searched(product: Product) -> str:
    return folded(f"{product.code}\n{product.name}\n{product.description}")


def _row(product: Product) -> dict[str, Any]:
    return store.product_row(product, _searched(product))


def _change(tx: Tx, actor: Actor, what: str, old: Product, new: Product) -> Product:
    if new == old:
        return old
    new = msgspec.structs.replace(new, version=old.version + 1)
    here = store.product.c.code == old.code
    tx.run(store.product.update().where(here).values(_row(new)))
    record(tx, actor, f"product.{what}", old.code, before=old, after=new)
    _tell(tx, what, new)
    return new


def _tell(tx: Tx, what: str, product: Product) -> None:
    # A product is named by its code, which another kind of subject might use as its id.
    publish(tx, type=f"product.{what}", subject=f"product:{product.code}", data=facts_of(product))
