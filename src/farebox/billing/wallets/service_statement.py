"""A wallet's statement: what happened to it, newest first, each with the balance after it."""

from itertools import groupby
from typing import Final

import msgspec

from farebox.billing.books.model import About
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.wallets.model import StatementLine
from farebox.billing.wallets.service import find_wallet
from farebox.kernel.refusals import ValueRefused
from farebox.ledger import reading
from farebox.ledger.model import INCLUDED
from farebox.ledger.service import Ledger
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit
from farebox.storage import Tx

_MOST_PAGES: Final = 8
_ledger: Final = Ledger()


def statement(
    tx: Tx,
    customer: str,
    currency: str,
    cursor: str | None = None,
    limit: int = 100,
    *,
    since: int = 0,
    before: int | None = None,
) -> Page[StatementLine]:
    """Return what happened to a wallet in a time [since, before), newest first.

    `limit` operations are looked at, and a few times as many where the time leaves them out: a page
    may be short and still have a `next`. Refuses `currency_unknown`, and a cursor of another list
    (`cursor_unknown`).
    """
    checked_limit(limit)
    found = find_wallet(tx, customer, currency)
    if found is None:
        scale_of(currency)
        return Page(items=())
    place = None if cursor is None else _place(cursor)
    lines: list[StatementLine] = []
    for _ in range(_MOST_PAGES):
        rows, place = reading.history(_ledger, tx, found.bucket, before=place, limit=limit)
        lines += [
            one
            for one in _lines(tx, customer, rows)
            if one.at >= since and (before is None or one.at < before)
        ]
        if rows and rows[-1].at < since:
            place = None
        if lines or place is None:
            break
    return Page(items=tuple(lines), next=None if place is None else str(place))


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 19):  # noqa: PLR2004 - 63 bits
        raise ValueRefused("this cursor is not of this list")
    return int(cursor)


def _lines(tx: Tx, customer: str, rows: list[reading.HistoryEntry]) -> list[StatementLine]:
    """Return a line for each operation that changed what is available.

    What has fallen due and is not written yet has no operation; there the instant tells them apart.
    """
    terms = reading.grant_terms(tx, [row.grant for row in rows if row.change])
    lines = []
    for (operation, at), group in groupby(rows, key=lambda row: (row.operation, row.at)):
        parts = list(group)
        amount = sum(row.change for row in parts)
        if not any(row.change for row in parts):
            continue
        bonus = sum(row.change for row in parts if row.change and terms[row.grant][0] == INCLUDED)
        lines.append(
            StatementLine(
                operation=operation,
                at=at,
                amount=amount,
                paid=amount - bonus,
                bonus=bonus,
                # The rows of an operation come last first.
                balance=parts[0].available_after,
                about=_about(parts[-1], customer),
            )
        )
    return lines


def _about(row: reading.HistoryEntry, customer: str) -> About:
    if row.meta is None:
        return About(kind=row.kind.name.lower(), customer=customer)
    return msgspec.json.decode(row.meta, type=About)
