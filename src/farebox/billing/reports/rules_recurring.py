"""Recurring revenue from charges, cohorts, and how old receivables are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from farebox.billing.reports.model import Shares
from farebox.billing.reports.model_recurring import (
    AgedRow,
    CohortMonth,
    CohortRow,
    MovedRecurring,
    MovementsRow,
)
from farebox.kernel.clock import SECOND_US
from farebox.kernel.rounding import rounded

DAY_US: Final = 86_400 * SECOND_US
_MOST_MONTHS: Final = 24


def whole_period(net: int, *, stretch_us: int, period_us: int) -> Fraction:
    """Return what a whole period would have cost, from what a stretch of it did."""
    return Fraction(net) * period_us / stretch_us


def share(part: Fraction) -> str:
    """Return a share as a decimal of four places, half up: a third is 0.3333."""
    units = rounded(part * 10_000)
    return f"{units // 10_000}.{units % 10_000:04d}"


def months_between(first_us: int, last_us: int) -> list[str]:
    """Return the months (UTC) from one instant's to another's, at most the last 24."""
    first, last = (datetime.fromtimestamp(at // SECOND_US, UTC) for at in (first_us, last_us))
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    begin = first.year * 12 + first.month - 1 + max(0, count - _MOST_MONTHS)
    end = last.year * 12 + last.month - 1
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(begin, end + 1)]


def month_of(at_us: int) -> str:
    """Return an instant's month, UTC."""
    return datetime.fromtimestamp(at_us // SECOND_US, UTC).strftime("%Y-%m")


def end_of_month(month: str) -> int:
    """Return the instant at which a month ends, UTC."""
    year, number = (int(part) for part in month.split("-"))
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(after.timestamp()) * SECOND_US


def cohorts(
    first_charged: Mapping[str, int],
    at_ends: Sequence[tuple[str, Shares]],
    *,
    currency: str,
) -> list[CohortRow]:
    """Return each month's new customers and how many, and how much of them, later months have.

    `at_ends` are months in order with the recurring revenue of each customer at their end. Who was
    charged and has left before the end of their first month is of its cohort too.
    """
    rows = []
    for place, (month, _) in enumerate(at_ends):
        members = {who for who, at in first_charged.items() if month_of(at) == month}
        seen = [(members & shares.keys(), shares) for _, shares in at_ends[place:]]
        if not members:
            continue
        rows.append(
            CohortRow(
                cohort=month,
                currency=currency,
                size=len(members),
                customers=[len(there) for there, _ in seen],
                mrr=[
                    rounded(sum((shares[who] for who in there), Fraction(0)))
                    for there, shares in seen
                ],
            )
        )
    return rows


def moved_of(row: MovementsRow) -> MovedRecurring:
    """Return a row of movements as a line of a table."""
    moved = row.moved
    return MovedRecurring(
        currency=row.currency,
        start=moved.start,
        new=moved.new,
        reactivation=moved.reactivation,
        expansion=moved.expansion,
        contraction=moved.contraction,
        churn=moved.churn,
        end=moved.end,
        customers_at_start=row.customers_at_start,
        customers_lost=row.customers_lost,
        customer_churn=row.customer_churn,
        revenue_churn=row.revenue_churn,
    )


def months_of(row: CohortRow) -> list[CohortMonth]:
    """Return a cohort as lines of a table, one for each month."""
    return [
        CohortMonth(
            cohort=row.cohort, currency=row.currency, size=row.size, month=month,
            customers=customers, mrr=mrr,
        )
        for month, (customers, mrr) in enumerate(zip(row.customers, row.mrr, strict=True))
    ]  # fmt: skip


def aged(open_invoices: Iterable[tuple[str, str, int, int]], now_us: int) -> list[AgedRow]:
    """Return what is owed by customer and currency: (customer, currency, due instant, amount).

    Late is late from the due instant on; a day late is up to 24 hours.
    """
    parts: dict[tuple[str, str], list[int]] = {}
    for customer, currency, due_at, amount in open_invoices:
        late = -(-(now_us - due_at) // DAY_US)
        place = 0 if late <= 0 else min((late - 1) // 30 + 1, 4)
        parts.setdefault((customer, currency), [0] * 5)[place] += amount
    return [
        AgedRow(
            customer=customer,
            currency=currency,
            not_due=ages[0],
            days_1_30=ages[1],
            days_31_60=ages[2],
            days_61_90=ages[3],
            days_over_90=ages[4],
            total=sum(ages),
        )
        for (customer, currency), ages in sorted(parts.items())
    ]
