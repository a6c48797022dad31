"""Reports of money: every figure is read from the journal, by the definitions in the rules."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from farebox.billing.books import service_journal as journal
from farebox.billing.books.model import COMMISSION, REFUNDS, REVENUE, BookEntry
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.reports import rules_export, rules_money
from farebox.billing.reports.model_money import (
    BalanceRow,
    By,
    Difference,
    GatewayLine,
    MovedRow,
    RevenueRow,
    SalesRow,
)
from farebox.billing.reports.rules_export import Format
from farebox.storage import Tx

_UTC: Final = ZoneInfo("UTC")
_INCOME: Final = (REVENUE, COMMISSION, REFUNDS)


def revenue(
    tx: Tx, *, since: int, before: int, by: By = "month", zone: ZoneInfo = _UTC
) -> list[RevenueRow]:
    """Return revenue in [since, before) by key and currency; see `rules_money`.

    Days, months and years are those of the time zone.
    """
    found: list[RevenueRow] = []
    for currency in journal.currencies(tx):
        entries = _each_once(
            journal.entries(tx, currency, since=since, before=before, account=account)
            for account in _INCOME
        )
        found += rules_money.revenue_rows(entries, by, currency=currency, zone=zone)
    return found


def _each_once(parts: Iterable[Iterable[BookEntry]]) -> Iterator[BookEntry]:
    """Yield entries of several accounts; one that is on two of them once."""
    seen: set[int] = set()
    for entries in parts:
        for entry in entries:
            if entry.position not in seen:
                seen.add(entry.position)
                yield entry


def balances(tx: Tx, *, at: int | None = None) -> list[BalanceRow]:
    """Return every account's balance before an instant, or now: the trial balance.

    What customers hold in wallets is `wallet`, what is paid and not earned `deferred`, what
    sellers are owed `payable:<owner>`. Each currency sums to zero.
    """
    return [
        BalanceRow(
            account=name, kind=journal.kind_of_account(name), currency=currency, balance=amount
        )
        for currency in journal.currencies(tx)
        for name, amount in journal.balances_at(tx, currency, at).items()
    ]


def moved(tx: Tx, *, since: int, before: int) -> list[MovedRow]:
    """Return every account over [since, before): what it had, what moved, what it has then."""
    return [
        row
        for currency in journal.currencies(tx)
        for row in rules_money.moved_rows(
            journal.balances_at(tx, currency, since),
            journal.entries(tx, currency, since=since, before=before),
            currency=currency,
        )
    ]


def sales(tx: Tx, *, since: int, before: int) -> list[SalesRow]:
    """Return top-ups, orders and what went back of them in [since, before), by currency."""
    found = []
    for currency in journal.currencies(tx):
        entries = journal.entries(tx, currency, since=since, before=before)
        wallets, bonus = journal.wallets_at(tx, currency, before)
        row = rules_money.sales_row(entries, currency=currency, wallets=wallets, bonus=bonus)
        found.append(row)
    return found


def reconcile(
    tx: Tx,
    *,
    gateway: str,
    currency: str,
    since: int,
    before: int,
    lines: Iterable[GatewayLine],
) -> list[Difference]:
    """Return where a gateway's own list parts from our books, by the payment's reference.

    Ours is what the gateway's cash account moved in [since, before), by the payment that each
    entry names. Refuses `asset_unknown` for a currency that was never used.
    """
    account = f"cash:{gateway}"
    ours: dict[str, int] = {}
    for entry in journal.entries(tx, currency, since=since, before=before, account=account):
        reference = entry.about.payment or entry.about.kind
        sign = 1 if entry.debit == account else -1
        ours[reference] = ours.get(reference, 0) + sign * entry.amount
    return rules_money.differences(ours, lines)


def export(tx: Tx, *, form: Format, since: int = 0, before: int | None = None) -> Iterator[str]:
    """Yield the books of [since, before), all currencies, as lines for Beancount or hledger."""
    end = tx.now_us + 1 if before is None else min(before, tx.now_us + 1)
    if form == "beancount":
        yield 'option "title" "Farebox"'
        for currency in journal.currencies(tx):
            yield f'option "operating_currency" "{currency}"'
        yield ""
    opened: dict[str, date] = {}
    for currency in journal.currencies(tx):
        for name, day in _opened(tx, currency, since, end).items():
            opened[name] = min(opened.get(name, day), day)
    names = rules_export.account_names(opened)
    yield from rules_export.openings(form, names, opened)
    for currency in journal.currencies(tx):
        yield from rules_export.export(
            journal.entries(tx, currency, since=since, before=end),
            form=form,
            currency=currency,
            scale=scale_of(currency),
            names=names,
            begins=min(opened.values(), default=rules_export.day_of(end)),
            opening=journal.balances_at(tx, currency, since),
            closing=journal.balances_at(tx, currency, end),
            until=rules_export.day_after(end - 1),
        )


def _opened(tx: Tx, currency: str, since: int, before: int) -> dict[str, date]:
    """Return since which day each account is used in a time."""
    found: dict[str, date] = {}
    for entry in journal.entries(tx, currency, since=since, before=before):
        day = rules_export.day_of(entry.at)
        for name in (entry.debit, entry.credit):
            found[name] = min(found.get(name, day), day)
    begins = min(found.values(), default=rules_export.day_of(max(since, before - 1)))
    return {**found, **dict.fromkeys(journal.balances_at(tx, currency, since), begins)}
