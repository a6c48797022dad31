"""What was used, as access told it, until it is billed; and what was billed of it so far."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.billing.schedules import store
from farebox.billing.schedules.model import UsageBill, UsageState, UsageTotal
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

_usage, _bill = store.usage, store.usage_bill


def keep_total(tx: Tx, one: UsageTotal) -> None:
    """Keep a total: a final one once, an interim one in the place of the one before."""
    if one.interim:
        tx.upsert(_usage, store.usage_row(one), key=store.USAGE_KEY)
    else:
        tx.insert_once(_usage, store.usage_row(one), key=store.USAGE_KEY)


def drop_interim(tx: Tx, consumer: str) -> None:
    """Forget what was told of a consumer's usage so far: something newer is known."""
    here = sa.and_(_usage.c.consumer == consumer, _usage.c.interim == 1)
    tx.run(_usage.delete().where(here))


def due_customers(tx: Tx, limit: int = 100) -> list[str]:
    """Return customers whose usage is to be billed, longest due first."""
    first = sa.func.min(_usage.c.due_at).label("first")
    due = sa.select(_usage.c.customer, first).where(_usage.c.due_at <= tx.now_us)
    rows = tx.run(due.group_by(_usage.c.customer).order_by(first).limit(limit))
    return [row.customer for row in rows]


def lock_due(tx: Tx, customer: str) -> list[UsageTotal]:
    """Return what is to be billed of a customer's usage; nobody else bills it until the commit."""
    here = (_usage.c.customer == customer, _usage.c.due_at <= tx.now_us)
    rows = tx.run(_ordered(sa.select(_usage).where(*here)).with_for_update())
    return [store.usage_of(row) for row in rows]


def totals_of(tx: Tx, customer: str, period: str, product: str) -> list[UsageTotal]:
    """Return all final totals of a customer's product in a period."""
    here = (
        _usage.c.customer == customer,
        _usage.c.period == period,
        _usage.c.product == product,
        _usage.c.interim == 0,
    )
    return [store.usage_of(row) for row in tx.run(_ordered(sa.select(_usage).where(*here)))]


def totals_by_product(
    tx: Tx, customer: str, periods: Sequence[str]
) -> dict[tuple[str, str], list[UsageTotal]]:
    """Return all final totals of a customer in these periods, by (period, product)."""
    here = (_usage.c.customer == customer, _usage.c.period.in_(periods), _usage.c.interim == 0)
    found: dict[tuple[str, str], list[UsageTotal]] = {}
    for row in tx.run(_ordered(sa.select(_usage).where(*here))):
        found.setdefault((row.period, row.product), []).append(store.usage_of(row))
    return found


def unbilled_of(tx: Tx, customer: str) -> list[UsageTotal]:
    """Return what a customer's next bill would hold: final totals that wait, and those so far."""
    open_ = _usage.c.state.in_(("waiting", "interim"))
    rows = tx.run(_ordered(sa.select(_usage).where(_usage.c.customer == customer, open_)))
    return [store.usage_of(row) for row in rows]


def list_usage(
    tx: Tx,
    *,
    customer: str | None = None,
    state: UsageState | None = None,
    after: int = 0,
    limit: int = 100,
) -> Page[UsageTotal]:
    """Return totals of usage, newest period first; `after` is how many to pass over."""
    statement = sa.select(_usage)
    if customer is not None:
        statement = statement.where(_usage.c.customer == customer)
    if state is not None:
        statement = statement.where(_usage.c.state == state)
    order = (_usage.c.starts_at.desc(), _usage.c.consumer, _usage.c.product, _usage.c.interim)
    rows = tx.run(statement.order_by(*order).offset(after).limit(checked_limit(limit) + 1))
    found = [store.usage_of(row) for row in rows]
    return page_of(found, limit, lambda _: str(after + limit))


def mark(
    tx: Tx, ones: Sequence[UsageTotal], state: UsageState, *, reason: str | None = None
) -> None:
    """Say what became of totals; only those that wait have a time at which they are due."""
    for one in ones:
        due_at = tx.now_us if state == "waiting" else None
        changed = msgspec.structs.replace(one, state=state, reason=reason, due_at=due_at)
        tx.run(_usage.update().where(_key(one)).values(store.usage_row(changed)))


def put_off(tx: Tx, ones: Sequence[UsageTotal], until: int) -> None:
    """Let totals be billed later."""
    for one in ones:
        tx.run(_usage.update().where(_key(one)).values(due_at=until))


def find_bill(tx: Tx, customer: str, period: str, product: str) -> UsageBill | None:
    """Return what was billed of a product's usage in a period so far, or None."""
    here = (_bill.c.customer == customer, _bill.c.period == period, _bill.c.product == product)
    row = tx.one(sa.select(_bill).where(*here))
    return None if row is None else store.bill_of(row)


def keep_bill(tx: Tx, one: UsageBill) -> None:
    """Keep what was billed so far."""
    tx.upsert(_bill, msgspec.structs.asdict(one), key=("customer", "period", "product"))


def _key(one: UsageTotal) -> sa.ColumnElement[bool]:
    return sa.and_(
        _usage.c.consumer == one.consumer,
        _usage.c.period == one.period,
        _usage.c.product == one.product,
        _usage.c.interim == int(one.interim),
    )


def _ordered(statement: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
    return statement.order_by(
        _usage.c.starts_at, _usage.c.period, _usage.c.product, _usage.c.consumer, _usage.c.interim
    )
