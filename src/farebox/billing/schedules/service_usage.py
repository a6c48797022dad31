"""What was used, as access told it, until it is billed; and what was billed of it so far."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.schedules import store
from farebox.billing.schedules.model import UsageBill, UsageState, UsageTotal
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

_usage, _bill = store.usage, store.usage_bill
_A_CUSTOMERS: Final = 20
"""So many totals a customer are looked at for who is due; who has more is found all the same."""


def keep_totals(tx: Tx, ones: Sequence[UsageTotal]) -> None:
    """Keep a consumer's totals, each once; what was told of them so far has been dropped."""
    rows = [row_of(store.usage_row(one), store.USAGE) for one in ones]
    tx.insert_missing(_usage, ", ".join(store.USAGE_KEY), store.USAGE, rows)


def drop_interim(tx: Tx, consumer: str) -> None:
    """Forget what was told of a consumer's usage so far: something newer is known."""
    here = sa.and_(_usage.c.consumer == consumer, _usage.c.interim == 1)
    tx.run(_usage.delete().where(here))


def due_customers(tx: Tx, limit: int = 100) -> list[str]:
    """Return customers whose usage is to be billed, longest due first."""
    # Not grouped by customer: that would read all that is due for each hundred of them.
    due = sa.select(_usage.c.customer).where(_usage.c.due_at <= tx.now_us)
    rows = tx.run(due.order_by(_usage.c.due_at).limit(limit * _A_CUSTOMERS))
    return list(dict.fromkeys(row.customer for row in rows))[:limit]


def lock_due(tx: Tx, customer: str) -> list[UsageTotal]:
    """Return all final totals of those periods of a customer of which something is due.

    Nobody else bills them until the commit; `is_due` says which of them are due.
    """
    due = sa.select(_usage.c.period).where(
        _usage.c.customer == customer, _usage.c.due_at <= tx.now_us
    )
    here = (_usage.c.customer == customer, _usage.c.period.in_(due), _usage.c.interim == 0)
    rows = tx.run(_ordered(sa.select(_usage).where(*here)).with_for_update())
    return [store.usage_of(row) for row in rows]


def is_due(one: UsageTotal, now: int) -> bool:
    """Tell whether a total is to be billed now."""
    return one.due_at is not None and one.due_at <= now


def totals_of(tx: Tx, customer: str, period: str, product: str) -> list[UsageTotal]:
    """Return all final totals of a customer's product in a period."""
    here = (
        _usage.c.customer == customer,
        _usage.c.period == period,
        _usage.c.product == product,
        _usage.c.interim == 0,
    )
    return [store.usage_of(row) for row in tx.run(_ordered(sa.select(_usage).where(*here)))]


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
    due_at = tx.now_us if state == "waiting" else None
    rows = [(*_key_of(one), state, reason, due_at) for one in ones]
    tx.update_many(_usage, ("state", "reason", "due_at"), rows, key=store.USAGE_KEY)


def put_off(tx: Tx, ones: Sequence[UsageTotal], until: int) -> None:
    """Let totals be billed later."""
    rows = [(*_key_of(one), until) for one in ones]
    tx.update_many(_usage, ("due_at",), rows, key=store.USAGE_KEY)


def bills_of(tx: Tx, customer: str, periods: Sequence[str]) -> dict[tuple[str, str], UsageBill]:
    """Return what was billed of a customer's usage in these periods so far, by period, product."""
    here = (_bill.c.customer == customer, _bill.c.period.in_(periods))
    bills = map(store.bill_of, tx.run(sa.select(_bill).where(*here)))
    return {(each.period, each.product): each for each in bills}


def keep_bills(
    tx: Tx, ones: Sequence[UsageBill], known: Mapping[tuple[str, str], UsageBill]
) -> None:
    """Keep what was billed so far, in the place of what was known of it before.

    Who finds that somebody else has billed the same meanwhile is run again, and bills the rest.
    """
    new = [one for one in ones if (one.period, one.product) not in known]
    again = [one for one in ones if (one.period, one.product) in known]
    rows = [row_of(msgspec.structs.asdict(one), store.BILL) for one in new]
    if tx.insert_missing(_bill, ", ".join(store.BILL_KEY), store.BILL, rows) != len(rows):
        raise TryAgain
    changed = tuple(name for name in store.BILL if name not in store.BILL_KEY)
    ordered = (*store.BILL_KEY, *changed)
    rows = [row_of(msgspec.structs.asdict(one), ordered) for one in again]
    tx.update_many(_bill, changed, rows, key=store.BILL_KEY)


def row_of(facts: Mapping[str, object], columns: Sequence[str]) -> tuple[object, ...]:
    """Return facts in the order of columns."""
    return tuple(facts[name] for name in columns)


def _key_of(one: UsageTotal) -> tuple[object, ...]:
    return (one.consumer, one.period, one.product, int(one.interim))


def _ordered(statement: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
    return statement.order_by(
        _usage.c.starts_at, _usage.c.period, _usage.c.product, _usage.c.consumer, _usage.c.interim
    )
