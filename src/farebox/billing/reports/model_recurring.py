"""What reports of recurring revenue and receivables answer."""

import msgspec

from farebox.billing.reports.model import Movements


class RecurringRow(msgspec.Struct, frozen=True, kw_only=True):
    """Recurring revenue of a currency at an instant; `committed` leaves out what is set to end."""

    currency: str
    subscriptions: int
    customers: int
    mrr: int
    arr: int
    committed: int


class MovementsRow(msgspec.Struct, frozen=True, kw_only=True):
    """How recurring revenue went from one instant to another.

    The churns are shares as decimals to four places: of customers with recurring revenue at the
    start, and of that revenue.
    """

    currency: str
    moved: Movements
    customers_at_start: int
    customers_lost: int
    customer_churn: str
    revenue_churn: str


class MovedRecurring(msgspec.Struct, frozen=True, kw_only=True):
    """A row of movements as a line of a table."""

    currency: str
    start: int
    new: int
    reactivation: int
    expansion: int
    contraction: int
    churn: int
    end: int
    customers_at_start: int
    customers_lost: int
    customer_churn: str
    revenue_churn: str


class CohortMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a cohort as a line of a table; month 0 is the one in which it began."""

    cohort: str
    currency: str
    size: int
    month: int
    customers: int
    mrr: int


class CohortRow(msgspec.Struct, frozen=True, kw_only=True):
    """Customers who were first charged in one month, and what of them is there months later.

    The first of `customers` and `mrr` is the end of that month itself.
    """

    cohort: str
    currency: str
    size: int
    customers: list[int]
    mrr: list[int]


class AgedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer owes by how many days it is late."""

    customer: str
    currency: str
    not_due: int
    days_1_30: int
    days_31_60: int
    days_61_90: int
    days_over_90: int
    total: int
