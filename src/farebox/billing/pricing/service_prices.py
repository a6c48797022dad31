"""Prices: made, changed in versions, archived, found.

A change of a price that is in use makes a version under the same id, and the one before stays for
whoever bought on it. A version that nobody used is replaced. Two changes at once are one after the
other; `expected_version` refuses the second.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.copies import service as copies
from farebox.billing.pricing import store
from farebox.billing.pricing.model_prices import (
    Of,
    Price,
    PriceArchived,
    Priced,
    PricedUnknown,
    PriceState,
    PriceTerms,
    PriceUnknown,
    Reference,
    ReferenceTaken,
    VersionPassed,
)
from farebox.billing.pricing.rules_prices import (
    check_offer,
    check_priced,
    check_terms,
    facts_of,
    narrowest,
    terms_of,
)
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_price, _version = store.price, store.price_version
_VERSIONS: Final = sa.select(
    _price.c.id,
    _price.c.kind,
    _price.c.code,
    _price.c.offer,
    _price.c.period_hours,
    _price.c.currency,
    _price.c.state,
    _price.c.created_at,
    *(column for column in _version.c if column.name != "price"),
).join(_version, _version.c.price == _price.c.id)
_NEWEST: Final = _version.c.version == _price.c.version


def create_price(
    tx: Tx, actor: Actor, *, priced: Priced, currency: str, terms: PriceTerms
) -> Price:
    """Make a price in its version 1.

    Refuses what contradicts itself (`value_invalid`, `price_refused`, `currency_unknown`), what
    billing does not know or sells no more (`priced_unknown`), and a provider's name that is another
    price's (`price_reference_taken`).
    """
    check_priced(priced, currency)
    check_terms(terms)
    check_known(tx, priced)
    made = Price(
        id=record_id("prc"),
        of=priced.of,
        code=priced.code,
        offer=priced.offer,
        period_hours=priced.period_hours,
        currency=currency,
        version=1,
        state="active",
        used=False,
        created_at=tx.now_us,
        changed_at=tx.now_us,
        **_of(terms),
    )
    tx.run(_price.insert(), store.price_row(made))
    tx.run(_version.insert(), store.version_row(made))
    _name(tx, made.id, made.providers)
    _write_down(tx, actor, "created", made, None)
    return made


def change_price(
    tx: Tx, actor: Actor, price_id: str, terms: PriceTerms, *, expected_version: int | None = None
) -> Price:
    """Give a price other terms: in a version of its own, so whoever bought keeps theirs.

    What is the same already changes nothing. Refuses what `create_price` refuses of terms, an
    archived price (`price_archived`), and another newest version than the expected one
    (`version_passed`).
    """
    old = _locked(tx, price_id)
    if old.state == "archived":
        raise PriceArchived
    if expected_version not in {None, old.version}:
        raise VersionPassed(version=old.version)
    check_terms(terms)
    if terms_of(old) == terms:
        return old
    new = msgspec.structs.replace(
        old, version=old.version + 1, used=False, changed_at=tx.now_us, **_of(terms)
    )
    # Whoever uses it in this moment has the row locked; then the condition no longer holds.
    unused = sa.and_(
        _version.c.price == price_id, _version.c.version == old.version, _version.c.used == 0
    )
    tx.run(_version.delete().where(unused))
    tx.run(_version.insert(), store.version_row(new))
    tx.run(_price.update().where(_price.c.id == price_id).values(version=new.version))
    _forget_names(tx, price_id)
    _name(tx, price_id, new.providers)
    _write_down(tx, actor, "updated", new, old)
    return new


def archive_price(tx: Tx, actor: Actor, price_id: str) -> Price:
    """Sell no more on a price; who has it keeps it. Repeating changes nothing."""
    old = _locked(tx, price_id)
    if old.state == "archived":
        return old
    new = msgspec.structs.replace(old, state="archived")
    tx.run(_price.update().where(_price.c.id == price_id).values(state="archived"))
    _write_down(tx, actor, "archived", new, old)
    return new


def find_price(tx: Tx, price_id: str, version: int | None = None) -> Price:
    """Return a version of a price, the newest unless one is named; refuses (`price_unknown`)."""
    which = _NEWEST if version is None else _version.c.version == version
    row = tx.one(_VERSIONS.where(_price.c.id == price_id, which))
    if row is None:
        raise PriceUnknown
    return store.price_of(row)


def price_for(
    tx: Tx,
    *,
    of: Of,
    code: str,
    currency: str,
    offer: str | None = None,
    period_hours: int | None = None,
    unit: str | None = None,
    count: int | None = None,
) -> Price:
    """Return the price on which something is sold now; refuses (`price_unknown`) where none is.

    With `unit` it is the one due every `count` (1) units; without, the one due once. Of an item the
    narrowest holds: of the period, else of the offer, else of the whole item. Among equals it is
    the newest.
    """
    statement = _VERSIONS.where(
        _price.c.kind == of,
        _price.c.code == code,
        _price.c.currency == currency,
        _price.c.state == "active",
        _NEWEST,
        _version.c.unit.is_(None) if unit is None else _version.c.unit == unit,
    )
    if unit is not None:
        statement = statement.where(_version.c.units == (1 if count is None else count))
    found = [store.price_of(row) for row in tx.run(statement)]
    wanted = Priced(of=of, code=code, offer=offer, period_hours=period_hours)
    price = narrowest(found, wanted)
    if price is None:
        raise PriceUnknown(f"there is no such price of the {of} {code} in {currency}")
    return price


def prices_of(tx: Tx, of: Of, code: str) -> list[Price]:
    """Return all prices of something in their newest versions, archived ones too, oldest first."""
    here = (_price.c.kind == of, _price.c.code == code, _NEWEST)
    rows = tx.run(_VERSIONS.where(*here).order_by(_price.c.id))
    return [store.price_of(row) for row in rows]


def sold_once(tx: Tx, of: Of, codes: Sequence[str]) -> list[Price]:
    """Return the prices of things that are due once, on sale now, oldest first: one statement."""
    here = (_price.c.kind == of, _price.c.code.in_(codes), _price.c.state == "active")
    once = _VERSIONS.where(*here, _NEWEST, _version.c.unit.is_(None))
    return [store.price_of(row) for row in tx.run(once.order_by(_price.c.id))]


def use_price(tx: Tx, price_id: str, version: int) -> Price:
    """Return a version that something is sold on, and keep it as it is from now on.

    Refuses (`price_unknown`) a version that a change has replaced meanwhile: quote again.
    """
    here = sa.and_(_version.c.price == price_id, _version.c.version == version)
    # A version that is in use is never written again, so buyers do not wait for each other.
    if not find_price(tx, price_id, version).used:
        marked = _version.update().where(here).values(used=1).returning(_version.c.version)
        if tx.one(marked) is None:
            raise PriceUnknown
    return find_price(tx, price_id, version)


def list_prices(
    tx: Tx,
    *,
    of: Of | None = None,
    code: str | None = None,
    currency: str | None = None,
    state: PriceState | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Price]:
    """Return prices in their newest versions, oldest first."""
    statement = _VERSIONS.where(_NEWEST).order_by(_price.c.id)
    for column, wanted in (
        (_price.c.kind, of),
        (_price.c.code, code),
        (_price.c.currency, currency),
        (_price.c.state, state),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if after is not None:
        statement = statement.where(_price.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.price_of(row) for row in rows], limit, lambda price: price.id)


def list_price_versions(
    tx: Tx, price_id: str, *, before: int | None = None, limit: int = 100
) -> Page[Price]:
    """Return the versions of a price that are kept, newest first; refuses `price_unknown`."""
    find_price(tx, price_id)
    statement = _VERSIONS.where(_price.c.id == price_id).order_by(_version.c.version.desc())
    if before is not None:
        statement = statement.where(_version.c.version < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.price_of(row) for row in rows], limit, lambda price: str(price.version))


def price_of_provider(tx: Tx, provider: str, reference: str) -> Price:
    """Return the price that a payment provider calls so; refuses (`price_unknown`)."""
    names = store.price_reference
    here = (names.c.provider == provider, names.c.reference == reference)
    row = tx.one(sa.select(names.c.price).where(*here))
    if row is None:
        raise PriceUnknown
    return find_price(tx, row.price)


def _of(terms: PriceTerms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in PriceTerms.__struct_fields__}


def is_known(tx: Tx, priced: Priced) -> bool:
    """Tell whether access has told of what is to be priced, so that it can be."""
    try:
        check_known(tx, priced)
    except PricedUnknown:
        return False
    return True


def check_known(tx: Tx, priced: Priced) -> None:
    """Refuse (`priced_unknown`) what access has not told of, or sells no more."""
    find: Any = {
        "product": copies.find_product,
        "plan": copies.find_plan,
        "item": copies.find_item,
    }[priced.of]
    known = find(tx, priced.code)
    if known is None:
        raise PricedUnknown(f"billing has not been told of a {priced.of} {priced.code}")
    if known.state == "archived":
        raise PricedUnknown(f"the {priced.of} {priced.code} is archived")
    if priced.of == "item":
        check_offer(priced, known)


def _name(tx: Tx, price_id: str, references: tuple[Reference, ...]) -> None:
    names = store.price_reference
    # In one order, so that two changes at once do not wait for each other.
    for each in sorted(references, key=lambda each: (each.provider, each.reference)):
        row = {"provider": each.provider, "reference": each.reference, "price": price_id}
        if tx.insert_once(names, row, key=("provider", "reference")):
            continue
        here = (names.c.provider == each.provider, names.c.reference == each.reference)
        owner = tx.one(sa.select(names.c.price).where(*here))
        if owner is None or owner.price != price_id:
            raise ReferenceTaken(f"{each.provider} {each.reference} is another price")


def _forget_names(tx: Tx, price_id: str) -> None:
    """Free the names that no version of a price has any more."""
    names = store.price_reference
    kept = {
        (each.provider, each.reference)
        for row in tx.run(_VERSIONS.where(_price.c.id == price_id))
        for each in store.price_of(row).providers
    }
    for row in tx.run(sa.select(names).where(names.c.price == price_id)).all():
        if (row.provider, row.reference) not in kept:
            here = (names.c.provider == row.provider, names.c.reference == row.reference)
            tx.run(names.delete().where(*here))


def _locked(tx: Tx, price_id: str) -> Price:
    """Return the newest version of a price whose row nobody else changes until the commit."""
    here = _price.c.id == price_id
    if tx.one(sa.select(_price.c.id).where(here).with_for_update()) is None:
        raise PriceUnknown
    return find_price(tx, price_id)


def _write_down(tx: Tx, actor: Actor, what: str, new: Price, old: Price | None) -> None:
    before = None if old is None else facts_of(old)
    facts = facts_of(new)
    record(tx, actor, f"price.{what}", f"price:{new.id}", before=before, after=facts)
    publish(tx, type=f"price.{what}", subject=f"price:{new.id}", data=facts)
