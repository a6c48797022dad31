"""Customers: made at first need from the copy of a consumer or a group, and changed by hand."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.copies.service import find_consumer, find_group
from farebox.billing.customers import rules, store
from farebox.billing.customers.model import Customer, CustomerKind, CustomerUnknown
from farebox.billing.pricing.service_currency import scale_of
from farebox.events.service import publish
from farebox.kernel.refusals import Refusal
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def _checked_currency(currency: str) -> str:
    scale_of(currency)
    return currency


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "name": rules.checked_name,
    "email": rules.checked_email,
    "address": rules.checked_address,
    "country": rules.checked_country,
    "region": rules.checked_line,
    "exempt_because": rules.checked_line,
    "currency": _checked_currency,
    "zone": rules.checked_zone,
    "locale": rules.checked_locale,
    "invoice_email": rules.checked_email,
    "due_days": rules.checked_due_days,
}
_NEEDED: Final = frozenset({"name", "zone", "locale"})
_TOLD: Final = ("email", "country", "currency", "zone", "locale")
"""What a consumer's metadata may tell, under these names."""


def ensure_customer(tx: Tx, holder_kind: CustomerKind, holder: str) -> Customer:
    """Return the customer that a consumer or a group is, made at first need.

    A device pays as its owner does. What a consumer's metadata says of `email`, `country`,
    `currency`, `zone` and `locale` is taken over, once. Refuses (`customer_unknown`) whom access
    has not told of.
    """
    found = find_customer(tx, holder)
    if found is not None and found.kind == holder_kind:
        return found
    if holder_kind == "group":
        group = find_group(tx, holder)
        if group is None:
            raise CustomerUnknown
        return _made(tx, "group", group.group_id, group.name)
    consumer = find_consumer(tx, holder)
    if consumer is None:
        raise CustomerUnknown
    if consumer.owner is not None:
        return ensure_customer(tx, "consumer", consumer.owner)
    facts = _first_facts(consumer.metadata)
    return _made(tx, "consumer", consumer.consumer_id, consumer.name, facts)


def ensure_by_id(tx: Tx, holder: str) -> Customer:
    """Return the customer with an id, made at first need of whichever it is.

    Refuses (`customer_unknown`) whom access has not told of.
    """
    found = find_customer(tx, holder)
    if found is not None:
        return found
    kind: CustomerKind = "consumer" if find_group(tx, holder) is None else "group"
    return ensure_customer(tx, kind, holder)


def find_customer(tx: Tx, customer_id: str) -> Customer | None:
    """Return a customer or None."""
    row = tx.one(sa.select(store.customer).where(store.customer.c.id == customer_id))
    return None if row is None else store.customer_of(row)


def read_customer(tx: Tx, customer_id: str) -> Customer:
    """Return a customer; refuses an unknown one (`customer_unknown`)."""
    found = find_customer(tx, customer_id)
    if found is None:
        raise CustomerUnknown
    return found


def list_customers(
    tx: Tx, *, email: str | None = None, after: str | None = None, limit: int = 100
) -> Page[Customer]:
    """Return customers by id, those with an address for letters if one is given."""
    table = store.customer
    statement = sa.select(table).order_by(table.c.id)
    if email is not None:
        statement = statement.where(table.c.email == email)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.customer_of(row) for row in rows], limit, lambda one: one.id)


def update_customer(tx: Tx, actor: Actor, customer_id: str, **changes: Any) -> Customer:  # noqa: ANN401 - fields of a customer
    """Change fields of a customer; None empties one that may be empty.

    Changed may be `name`, `email`, `address`, `country`, `region`, `exempt_because`, `currency`,
    `zone`, `locale`, `invoice_email` and `due_days`. What was issued before stays. Refuses
    `customer_unknown`, `currency_unknown` and (`value_invalid`) what a field does not hold.
    """
    before = locked_customer(tx, customer_id)
    checked = {
        name: value if value is None and name not in _NEEDED else _CHECKS[name](value)
        for name, value in changes.items()
    }
    return write_customer(tx, actor, before, **checked)


def locked_customer(tx: Tx, customer_id: str) -> Customer:
    """Return a customer whom nobody else changes until this transaction ends."""
    statement = sa.select(store.customer).where(store.customer.c.id == customer_id)
    row = tx.one(statement.with_for_update())
    if row is None:
        raise CustomerUnknown
    return store.customer_of(row)


def write_customer(tx: Tx, actor: Actor, before: Customer, **changes: Any) -> Customer:  # noqa: ANN401 - as above
    """Write fields that were checked, tell of it (`customer.updated`), and note who did it."""
    after = msgspec.structs.replace(before, **changes)
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1, changed_at=tx.now_us)
    row = store.row_of(after)
    tx.run(store.customer.update().where(store.customer.c.id == before.id).values(row))
    record(tx, actor, "customer.updated", before.id, before=before, after=after)
    _tell(tx, after)
    return after


def _first_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a consumer's metadata tells of a customer; what does not fit is passed over."""
    found = {}
    for name in _TOLD:
        with suppress(Refusal):
            if isinstance(metadata.get(name), str):
                found[name] = _CHECKS[name](metadata[name])
    return found


def _made(
    tx: Tx,
    kind: CustomerKind,
    holder: str,
    name: str,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Customer:
    now = tx.now_us
    made = Customer(id=holder, kind=kind, name=name, created_at=now, changed_at=now, **facts)
    # Somebody else may make them at the same time: whoever comes second finds the first.
    if tx.insert_once(store.customer, store.row_of(made), key=("id",)):
        _tell(tx, made)
    return read_customer(tx, holder)


def _tell(tx: Tx, one: Customer) -> None:
    publish(tx, type="customer.updated", subject=one.id, data=facts_of(one))


def facts_of(one: Customer) -> dict[str, Any]:
    """Return how a customer is reached and spoken to; where they live stays here."""
    return {
        "customerId": one.id,
        "kind": one.kind,
        "name": one.name,
        "email": one.email,
        "country": one.country,
        "currency": one.currency,
        "zone": one.zone,
        "locale": one.locale,
        "version": one.version,
    }
