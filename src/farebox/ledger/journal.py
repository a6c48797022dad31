"""The journal as a book-keeper reads it: what moved from which account to which.

A bucket's side is named `bucket`, whatever grant was drawn; sinks by their names. Rows that only
reserve, release, begin or freeze move nothing and are left out.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.amounts import Asset
from farebox.ledger import store
from farebox.ledger.model import AccountKind, Kind
from farebox.ledger.verify import POSTED
from farebox.storage import Tx

BUCKET: Final = "bucket"
_A_PAGE: Final = 2_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row that moved an amount; `bucket` is the bucket on one of its sides, if any."""

    position: int
    operation: int
    line: int
    kind: Kind
    at: int
    debit: str
    credit: str
    amount: int
    bucket: int | None
    actor: str | None
    product: str | None
    meta: str | None


def entries(
    tx: Tx,
    asset: Asset,
    *,
    since: int = 0,
    before: int | None = None,
    account: str | None = None,
    after: int = 0,
) -> Iterator[Entry]:
    """Yield what moved in [since, before), in the order of the log, after a position of it.

    With `account`, only what has this account on one of its sides.
    """
    while page := _page(tx, asset, since, before, account, after):
        yield from page
        after = page[-1].position


def _page(
    tx: Tx, asset: Asset, since: int, before: int | None, name: str | None, after: int
) -> list[Entry]:
    journal = store.transfer
    debit, credit = store.account.alias("debit"), store.account.alias("credit")
    here = [
        journal.c.seq > after,
        journal.c.kind.in_(POSTED),
        journal.c.at >= since,
        debit.c.asset == asset.number,
    ]
    if before is not None:
        here.append(journal.c.at < before)
    if name is not None:
        here.append(sa.or_(_is_named(debit, name), _is_named(credit, name)))
    rows = tx.run(
        sa.select(journal, debit.c.name.label("debited"), credit.c.name.label("credited"))
        .join(debit, debit.c.id == journal.c.debit)
        .join(credit, credit.c.id == journal.c.credit)
        .where(*here)
        .order_by(journal.c.seq)
        .limit(_A_PAGE)
    )
    return [_entry(row) for row in rows]


def _is_named(side: sa.FromClause, name: str) -> sa.ColumnElement[bool]:
    if name == BUCKET:
        return side.c.kind == AccountKind.GRANT.value
    return sa.and_(side.c.kind == AccountKind.SINK.value, side.c.name == name)


def _entry(row: Any) -> Entry:  # noqa: ANN401 - a row
    return Entry(
        position=row.seq,
        operation=row.operation,
        line=row.line,
        kind=Kind(row.kind),
        at=row.at,
        debit=row.debited or BUCKET,
        credit=row.credited or BUCKET,
        amount=row.amount,
        bucket=row.bucket or None,
        actor=row.actor,
        product=row.product,
        meta=row.meta,
    )


def balances_at(tx: Tx, asset: Asset, before: int | None = None) -> dict[str, int]:
    """Return every account's balance (credits less debits) before an instant, or now.

    All buckets together are one account. Read from the journal, not from what is stored beside it:
    the sum is zero, and the same again as the sum of all `entries`.
    """
    totals: dict[str, int] = {}
    for (name, _), total in balances_by_class(tx, asset, before).items():
        totals[name] = totals.get(name, 0) + total
    return {name: total for name, total in totals.items() if total}


def balances_by_class(
    tx: Tx, asset: Asset, before: int | None = None
) -> dict[tuple[str, int], int]:
    """Return what `balances_at` does, the buckets' by the class of their grants."""
    journal, account = store.transfer, store.account
    here = [journal.c.kind.in_(POSTED), account.c.asset == asset.number]
    if before is not None:
        here.append(journal.c.at < before)
    name = sa.case((account.c.kind == AccountKind.GRANT.value, BUCKET), else_=account.c.name)
    moved = sa.cast(sa.func.sum(journal.c.amount), sa.BigInteger)
    totals: dict[tuple[str, int], int] = {}
    for side, sign in ((journal.c.credit, 1), (journal.c.debit, -1)):
        rows = tx.run(
            sa.select(name.label("account"), account.c["class"], moved.label("moved"))
            .join(account, account.c.id == side)
            .where(*here)
            .group_by(name, account.c["class"])
        )
        for row in rows.mappings():
            part = (row["account"], row["class"])
            totals[part] = totals.get(part, 0) + sign * int(row["moved"])
    return totals
