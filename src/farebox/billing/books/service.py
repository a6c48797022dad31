"""Entries in the books, and balances. An asset of billing's ledger is a currency (ISO 4217)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from farebox.billing.books.model import WALLET, About, EntryRefused, Line
from farebox.billing.books.rules import checked_account
from farebox.billing.pricing.service_currency import scale_of
from farebox.kernel.amounts import Asset
from farebox.ledger.model import Applied, Leg, Post
from farebox.ledger.service import Ledger, request
from farebox.ledger.verify import bucket_balances, sink_balances
from farebox.storage import Tx

_BOOKS: Final = "books"
_ledger: Final = Ledger()


def open_currency(tx: Tx, currency: str) -> Asset:
    """Return a currency as the ledger's asset, made at first; refuses `currency_unknown`."""
    key = (_BOOKS, currency)
    known: Asset | None = tx.known(key)
    if known is None:
        known = tx.know(key, _ledger.open_asset(tx, currency, scale_of(currency)))
    return known


def account_of(tx: Tx, currency: str, name: str) -> int:
    """Return the id of an account, made at first; refuses `chart_unknown`, `currency_unknown`."""
    key = (_BOOKS, currency, name)
    known: int | None = tx.known(key)
    if known is None:
        asset = open_currency(tx, currency)
        known = tx.know(key, _ledger.open_sink(tx, asset, checked_account(name)))
    return known


def posting(tx: Tx, currency: str, lines: Sequence[Line], about: About) -> Post:
    """Return the command of an entry, to be linked with others on wallets; lines of 0 are left out.

    Refuses `chart_unknown`, `currency_unknown`.
    """
    names = sorted({name for line in lines for name in (line.debit, line.credit)})
    ids = {name: account_of(tx, currency, name) for name in names}
    return Post(
        legs=tuple(
            Leg(ids[line.debit], ids[line.credit], line.amount) for line in lines if line.amount
        ),
        actor=about.customer,
        product=about.product or about.plan or about.item,
        meta=msgspec.json.encode(about).decode(),
    )


def post(
    tx: Tx, currency: str, lines: Sequence[Line], about: About, *, key: str | None = None
) -> int | None:
    """Write an entry and return its operation; None when every line is of 0.

    Under a `key` it is written once: the same key again gets the first operation. Refuses
    `chart_unknown`, `currency_unknown`, and `entry_refused` for what the ledger does not take:
    another entry under the same key, an amount that is negative or beyond 2^53 - 1.
    """
    return post_all(tx, currency, [(lines, about, key)])[0]


def post_all(
    tx: Tx, currency: str, entries: Sequence[tuple[Sequence[Line], About, str | None]]
) -> list[int | None]:
    """Write several entries, (lines, about, key) each, at once; see `post`. All of them or none."""
    found: list[int | None] = [None] * len(entries)
    asked = []
    for place, (lines, about, key) in enumerate(entries):
        command = posting(tx, currency, lines, about)
        if command.legs:
            asked.append((place, request(command, caller=_BOOKS, key=key)))
    outcomes = _ledger.apply(tx, [each for _, each in asked]) if asked else []
    for (place, _), [outcome] in zip(asked, outcomes, strict=True):
        if not isinstance(outcome, Applied):
            raise EntryRefused(f"the entry was refused: {outcome.code}")
        found[place] = outcome.operation
    return found


def post_linked(
    tx: Tx, currency: str, entries: Sequence[tuple[Sequence[Line], About]], *, key: str
) -> None:
    """Write several entries, (lines, about) each, under one key: all of them or none; see `post`.

    The same key again writes nothing.
    """
    made = [posting(tx, currency, lines, about) for lines, about in entries]
    commands = [command for command in made if command.legs]
    if not commands:
        return
    [outcomes] = _ledger.apply(tx, [request(*commands, caller=_BOOKS, key=key)])
    for outcome in outcomes:
        if not isinstance(outcome, Applied):
            raise EntryRefused(f"the entry was refused: {outcome.code}")


def balance_of(tx: Tx, currency: str, name: str) -> int:
    """Return an account's balance, credits less debits; see `balances`."""
    return balances(tx, currency).get(name, 0)


def balances(tx: Tx, currency: str) -> dict[str, int]:
    """Return the trial balance of a currency: each account that moved; they sum to zero."""
    asset = open_currency(tx, currency)
    found = sink_balances(tx, asset)
    if wallets := bucket_balances(tx, asset):
        found[WALLET] = wallets
    return found
