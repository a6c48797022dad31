"""The definitions of the money reports, over entries of the books.

**Revenue** is what accounts of revenue were credited less what they were debited, at the instant of
the entry: what is deferred counts when it is earned. **Refunds** are what the account of refunds
was debited less credited. **Commission** is revenue from what others sold. **Net** is gross +
commission - refunds. An entry counts for the key that it names itself; what names none is under "".
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from farebox.billing.books.model import (
    COMMISSION,
    REFUNDS,
    REVENUE,
    SUSPENSE,
    WALLET,
    BookEntry,
)
from farebox.billing.reports.model_money import (
    NOBODY,
    By,
    Difference,
    GatewayLine,
    MovedRow,
    RevenueRow,
    SalesRow,
)
from farebox.kernel.rounding import rounded

_FORMS: Final[Mapping[By, str]] = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def key_of(entry: BookEntry, by: By, zone: ZoneInfo) -> str:
    """Return what an entry counts for."""
    if (form := _FORMS.get(by)) is not None:
        return datetime.fromtimestamp(entry.at // 1_000_000, UTC).astimezone(zone).strftime(form)
    return getattr(entry.about, by) or NOBODY


def revenue_rows(
    entries: Iterable[BookEntry], by: By, *, currency: str, zone: ZoneInfo
) -> list[RevenueRow]:
    """Return revenue by key, in the order of the keys; each entry counts once."""
    gross: dict[str, int] = {}
    commission: dict[str, int] = {}
    refunds: dict[str, int] = {}
    parts = {REVENUE: gross, COMMISSION: commission, REFUNDS: refunds}
    for entry in entries:
        key = key_of(entry, by, zone)
        for account, sign in ((entry.credit, 1), (entry.debit, -1)):
            if (part := parts.get(account)) is not None:
                part[key] = part.get(key, 0) + sign * entry.amount
    return [
        RevenueRow(
            key=key,
            currency=currency,
            gross=gross.get(key, 0),
            commission=commission.get(key, 0),
            refunds=-refunds.get(key, 0),
            net=gross.get(key, 0) + commission.get(key, 0) + refunds.get(key, 0),
        )
        for key in sorted(gross.keys() | commission.keys() | refunds.keys())
    ]


def sales_row(entries: Iterable[BookEntry], *, currency: str, wallets: int, bonus: int) -> SalesRow:
    """Return what was topped up, charged for orders and given back, by the books' own entries.

    What an order costs goes out of suspense (`sale`), what goes back into it (`refund`): so each
    counts once, whatever it was paid by.
    """
    sums = dict.fromkeys(("top_ups", "charges", "refunds", "commission"), 0)
    orders: set[str] = set()
    customers: set[str] = set()
    for entry in entries:
        about = entry.about
        if about.kind == "top_up" and WALLET in {entry.credit, entry.debit}:
            sums["top_ups"] += entry.amount if entry.credit == WALLET else -entry.amount
        elif about.kind == "sale" and entry.debit == SUSPENSE:
            sums["charges"] += entry.amount
            orders.add(about.order or NOBODY)
            customers.add(about.customer or NOBODY)
        elif about.kind == "refund" and about.order is not None and entry.credit == SUSPENSE:
            sums["refunds"] += 0 if entry.debit == WALLET else entry.amount
        for account, sign in ((entry.credit, 1), (entry.debit, -1)):
            sums["commission"] += sign * entry.amount if account == COMMISSION else 0
    return SalesRow(
        currency=currency,
        **sums,
        net=sums["charges"] - sums["refunds"],
        average_order=rounded(Fraction(sums["charges"], len(orders))) if orders else 0,
        orders=len(orders),
        customers=len(customers),
        wallets=wallets,
        bonus=bonus,
    )


def moved_rows(
    opening: Mapping[str, int], entries: Iterable[BookEntry], *, currency: str
) -> list[MovedRow]:
    """Return each account over a time, from its balances at the beginning and what moved."""
    debited: dict[str, int] = {}
    credited: dict[str, int] = {}
    for entry in entries:
        debited[entry.debit] = debited.get(entry.debit, 0) + entry.amount
        credited[entry.credit] = credited.get(entry.credit, 0) + entry.amount
    return [
        MovedRow(
            account=name,
            currency=currency,
            opening=opening.get(name, 0),
            debited=debited.get(name, 0),
            credited=credited.get(name, 0),
            closing=opening.get(name, 0) + credited.get(name, 0) - debited.get(name, 0),
        )
        for name in sorted(opening.keys() | debited.keys() | credited.keys())
    ]


def differences(ours: Mapping[str, int], theirs: Iterable[GatewayLine]) -> list[Difference]:
    """Return where a gateway's lines and our entries part, by the gateway's reference.

    Several lines of one reference are added up (a payment and its refund share one), unless they
    are the same line again, which is told by itself.
    """
    sums: dict[str, int] = {}
    seen: set[tuple[str, int, int]] = set()
    found: list[Difference] = []
    for line in theirs:
        same = (line.reference, line.amount, line.fee)
        if same in seen:
            found.append(_difference(line.reference, "twice_at_gateway", None, line.amount))
            continue
        seen.add(same)
        sums[line.reference] = sums.get(line.reference, 0) + line.amount
    for reference in sorted(ours.keys() | sums.keys()):
        mine, other = ours.get(reference), sums.get(reference)
        if mine is None:
            found.append(_difference(reference, "missing_in_books", None, other))
        elif other is None:
            if mine:
                found.append(_difference(reference, "missing_at_gateway", mine, None))
        elif mine != other:
            found.append(_difference(reference, "amount_differs", mine, other))
    return sorted(found, key=lambda each: (each.reference, each.what))


def _difference(reference: str, what: str, ours: int | None, theirs: int | None) -> Difference:
    return Difference(reference=reference, what=what, ours=ours, theirs=theirs)  # type: ignore[arg-type]
