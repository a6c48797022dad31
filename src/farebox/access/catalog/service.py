"""Products. Each has a ledger asset of its code, which counts it in its smallest unit."""

import msgspec
import sqlalchemy as sa

from farebox.access.catalog import store
from farebox.access.catalog.model import (
    LONGEST_NAME,
    LONGEST_WORD,
    Product,
    ProductState,
    ProductTaken,
    ProductUnknown,
)
from farebox.access.catalog.rules import checked_code
from farebox.events.service import publish
from farebox.kernel.refusals import TryAgain
from farebox.ledger.service import Ledger
from farebox.platform.model import SYSTEM, Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Problem, Tx, problem_of

_ledger = Ledger()


def create_product(
    tx: Tx,
    actor: Actor,
    *,
    code: str,
    name: str,
    type: str = "service",  # noqa: A002 - the word of the domain
    unit: str = "use",
    scale: int = 0,
) -> Product:
    """Create a product and its asset; refuses a taken code (`product_taken`).

    A quantity of 150 with scale 2 is 1.50 units; the scale never changes.
    """
    made = Product(
        code=checked_code(code),
        name=checked_text(name, "a name", longest=LONGEST_NAME),
        type=checked_text(type, "a type", longest=LONGEST_WORD),
        unit=checked_text(unit, "a unit", longest=LONGEST_WORD),
        scale=scale,
        state="active",
        created_at=tx.now_us,
    )
    if not tx.insert_once(store.product, msgspec.structs.asdict(made), key=("code",)):
        raise ProductTaken
    try:
        _ledger.open_asset(tx, code, scale)
    except sa.exc.IntegrityError as error:
        if problem_of(error) is not Problem.UNIQUE:
            raise
        # Two new assets were given one number at once: the next run finds the next number.
        raise TryAgain from error
    record(tx, actor, "product.created", code, after=made)
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


def list_products(
    tx: Tx, *, state: ProductState | None = None, after: str | None = None, limit: int = 100
) -> Page[Product]:
    """Return products in the order of their codes."""
    statement = sa.select(store.product).order_by(store.product.c.code)
    if state is not None:
        statement = statement.where(store.product.c.state == state)
    if after is not None:
        statement = statement.where(store.product.c.code > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.product_of(row) for row in rows], limit, lambda product: product.code)


def update_product(
    tx: Tx,
    actor: Actor,
    code: str,
    *,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the domain
    unit: str | None = None,
) -> Product:
    """Change what is given."""
    old = _locked(tx, code)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else checked_text(name, "a name", longest=LONGEST_NAME),
        type=old.type if type is None else checked_text(type, "a type", longest=LONGEST_WORD),
        unit=old.unit if unit is None else checked_text(unit, "a unit", longest=LONGEST_WORD),
    )
    return _change(tx, actor, "updated", old, new)


def archive_product(tx: Tx, actor: Actor, code: str) -> Product:
    """Sell nothing new of a product; what was sold stays usable. Repeating changes nothing."""
    old = _locked(tx, code)
    return _change(tx, actor, "archived", old, msgspec.structs.replace(old, state="archived"))


def _locked(tx: Tx, code: str) -> Product:
    """Return a product whose row nobody else changes until the commit."""
    here = store.product.c.code == code
    row = tx.one(sa.select(store.product).where(here).with_for_update())
    if row is None:
        raise ProductUnknown
    return store.product_of(row)


def _change(tx: Tx, actor: Actor, what: str, old: Product, new: Product) -> Product:
    if new == old:
        return old
    here = store.product.c.code == old.code
    tx.run(store.product.update().where(here).values(msgspec.structs.asdict(new)))
    record(tx, actor, f"product.{what}", old.code, before=old, after=new)
    _tell(tx, what, new)
    return new


def _tell(tx: Tx, what: str, product: Product) -> None:
    data = {
        "product": product.code,
        "name": product.name,
        "type": product.type,
        "unit": product.unit,
        "scale": product.scale,
        "state": product.state,
    }
    # A product is named by its code, which another kind of subject might use as its id.
    publish(tx, type=f"product.{what}", subject=f"product:{product.code}", data=data)
