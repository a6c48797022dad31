"""Reading the books: entries with what they are about, balances as of an instant."""

from collections.abc import Iterator

import msgspec

from farebox.billing.books.model import WALLET, About, BookEntry, Kind
from farebox.billing.books.rules import kind_of
from farebox.ledger import journal
from farebox.ledger.model import INCLUDED
from farebox.ledger.service import Ledger
from farebox.storage import Tx


def currencies(tx: Tx) -> list[str]:
    """Return the currencies that the books know, in the order in which they were opened."""
    return [asset.code for asset in Ledger().assets(tx)]


def entries(
    tx: Tx,
    currency: str,
    *,
    since: int = 0,
    before: int | None = None,
    account: str | None = None,
    after: int = 0,
) -> Iterator[BookEntry]:
    """Yield the entries of a time [since, before) in their order, after a position of the log.

    Refuses `asset_unknown` for a currency that was never used. With `account`, only those which
    have it on one of their sides.
    """
    asset = Ledger().asset(tx, currency)
    name = journal.BUCKET if account == WALLET else account
    for row in journal.entries(tx, asset, since=since, before=before, account=name, after=after):
        yield BookEntry(
            position=row.position,
            operation=row.operation,
            line=row.line,
            at=row.at,
            debit=_shown(row.debit),
            credit=_shown(row.credit),
            amount=row.amount,
            about=_about(row.meta, row.kind.name.lower(), row.actor),
        )


def balances_at(tx: Tx, currency: str, before: int | None = None) -> dict[str, int]:
    """Return the trial balance before an instant, or now, from the journal itself.

    It sums to zero. Refuses `asset_unknown`.
    """
    found = journal.balances_at(tx, Ledger().asset(tx, currency), before)
    return {_shown(name): amount for name, amount in sorted(found.items())}


def wallets_at(tx: Tx, currency: str, before: int | None = None) -> tuple[int, int]:
    """Return what is in all wallets before an instant, or now, and how much of it is bonus."""
    found = journal.balances_by_class(tx, Ledger().asset(tx, currency), before)
    parts = {class_: amount for (name, class_), amount in found.items() if name == journal.BUCKET}
    return sum(parts.values()), parts.get(INCLUDED, 0)


def kind_of_account(name: str) -> Kind:
    """Return what an account of the chart is."""
    return kind_of(name)


def _shown(name: str) -> str:
    return WALLET if name == journal.BUCKET else name


def _about(meta: str | None, kind: str, actor: str | None) -> About:
    """Return what an entry says it is about; of one that says nothing, what the ledger knows."""
    if meta is not None and meta.startswith("{"):
        try:
            return msgspec.json.decode(meta, type=About)
        except msgspec.ValidationError:
            pass
    return About(kind=kind, customer=actor)
