"""Recurring revenue at any instant, from the charges that ran then; receivables by their age."""

from fractions import Fraction

from farebox.billing.invoices.service_ages import open_receivables
from farebox.billing.reports import rules, rules_recurring
from farebox.billing.reports.model import Recurring, Shares
from farebox.billing.reports.model_recurring import (
    AgedRow,
    CohortRow,
    MovementsRow,
    RecurringRow,
)
from farebox.billing.schedules.service_recurring import (
    Running,
    charged_in,
    first_charged,
    running_at,
)
from farebox.storage import Tx


def recurring(tx: Tx, *, at: int | None = None) -> list[RecurringRow]:
    """Return MRR, ARR and committed MRR of each currency at an instant, or now; see `rules`.

    A subscription counts with the charge that covers the instant: what its whole period would have
    cost after discounts and before tax. Trials are not charged, and so count nothing; a period paid
    in arrears counts once it is billed.
    """
    found = _recurring_at(tx, tx.now_us if at is None else at)
    return [
        RecurringRow(
            currency=currency,
            subscriptions=len(each),
            customers=len({one.customer for one in each}),
            mrr=rules.mrr(each),
            arr=rules.arr(each),
            committed=rules.mrr(each, committed=True),
        )
        for currency, each in sorted(found.items())
    ]


def movements(tx: Tx, *, since: int, before: int) -> list[MovementsRow]:
    """Return how recurring revenue went from `since` to `before`, and which share churned."""
    earlier = {customer for customer, first in first_charged(tx, since).items() if first < since}
    start, end = _shares(tx, since), _shares(tx, before)
    rows = []
    for currency in sorted(start.keys() | end.keys()):
        had, has = start.get(currency, {}), end.get(currency, {})
        moved = rules.movements(had, has, earlier=earlier)
        lost = len(had.keys() - has.keys())
        rows.append(
            MovementsRow(
                currency=currency,
                moved=moved,
                customers_at_start=len(had),
                customers_lost=lost,
                customer_churn=rules_recurring.share(Fraction(lost, len(had) or 1)),
                revenue_churn=rules_recurring.share(rules.revenue_churn(moved)),
            )
        )
    return rows


def cohort_table(tx: Tx, *, before: int | None = None) -> list[CohortRow]:
    """Return the cohorts of the last 24 months that have ended, month by month (UTC)."""
    now = tx.now_us if before is None else min(before, tx.now_us)
    first = first_charged(tx, now)
    if not first:
        return []
    months = rules_recurring.months_between(min(first.values()), now)
    ends = [(month, rules_recurring.end_of_month(month)) for month in months]
    shares = {month: _shares(tx, min(end, now) - 1) for month, end in ends}
    return [
        row
        for currency, charged in sorted(charged_in(tx, now).items())
        for row in rules_recurring.cohorts(
            {who: at for who, at in first.items() if who in charged},
            [(month, shares[month].get(currency, {})) for month in months],
            currency=currency,
        )
    ]


def aged_receivables(tx: Tx, *, at: int | None = None) -> list[AgedRow]:
    """Return what customers owe now by how late it is at an instant, or now."""
    return rules_recurring.aged(open_receivables(tx), tx.now_us if at is None else at)


def _shares(tx: Tx, at: int) -> dict[str, Shares]:
    found = _recurring_at(tx, at)
    return {currency: rules.by_customer(each) for currency, each in found.items()}


def _recurring_at(tx: Tx, at: int) -> dict[str, list[Recurring]]:
    found: dict[str, list[Recurring]] = {}
    for one in running_at(tx, at):
        found.setdefault(one.schedule.currency, []).append(_recurring(one, at))
    return found


def _recurring(one: Running, at: int) -> Recurring:
    charge, schedule = one.charge, one.schedule
    amount: Fraction = rules_recurring.whole_period(
        charge.net,
        stretch_us=charge.ends_at - charge.starts_at,
        period_us=charge.period_ends_at - charge.period_starts_at,
    )
    return Recurring(
        customer=schedule.customer,
        amount=amount,
        unit=schedule.unit,
        count=schedule.count,
        ends=schedule.cancel_at is not None and schedule.cancel_at > at,
    )
