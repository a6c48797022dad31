"""Reports of what recurs: revenue, why it changed, who stayed; and who owes, and since when."""

from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency

from farebox.billing.reports import service_recurring
from farebox.billing.reports.model_recurring import (
    AgedRow,
    CohortMonth,
    CohortRow,
    MovedRecurring,
    MovementsRow,
    RecurringRow,
)
from farebox.billing.reports.rules_recurring import months_of, moved_of
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.reports import CSV, TAGS, At, From, Until, span_of, table_of
from farebox.http.wire import Time, View, read_time
from farebox.storage import Tx

RECURRING: Final = (
    "mrr is the recurring price per month of every charge that covers the instant, for its whole"
    " period, after discounts and before tax (a year has 12 months and 52 weeks); arr is 12 x mrr,"
    " each rounded once; committed leaves out what is set to end; trials count nothing, and what is"
    " paid in arrears counts once it is billed."
)
MOVEMENTS: Final = (
    "from mrr at the start to mrr at the end, customer by customer: new never had any before,"
    " reactivation had; churn went to nothing; customer_churn is customers lost of those at the"
    " start, revenue_churn is contraction and churn of the mrr at the start."
)
COHORTS: Final = (
    "customers by the month (UTC) of their first recurring charge; the columns are the ends of that"
    " month and of each later one: how many have recurring revenue then, and how much."
)
RECEIVABLES: Final = (
    "what is issued and not paid, canceled or written off, by how many days it is past its due"
    " instant; the sum is the account receivable."
)


class RecurringView(View, frozen=True):
    """Recurring revenue by currency."""

    definition: str
    rows: list[RecurringRow]


class MovementsView(View, frozen=True):
    """Why recurring revenue changed."""

    definition: str
    rows: list[MovementsRow]


class CohortsView(View, frozen=True):
    """Who stayed."""

    definition: str
    rows: list[CohortRow]


class ReceivablesView(View, frozen=True):
    """Who owes, and since when."""

    definition: str
    rows: list[AgedRow]


@get(
    "/v1/reports/recurring",
    operation_id="reportRecurring",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_recurring(desk: NamedDependency[Desk], at: At = None) -> RecurringView:
    """Report monthly and annual recurring revenue at an instant."""
    return RecurringView(definition=RECURRING, rows=_recurring(desk, at))


@get(
    "/v1/reports/recurring.csv", operation_id="reportRecurringAsCsv", opt=CSV, tags=TAGS,
    media_type="text/csv", sync_to_thread=True,
)  # fmt: skip
def report_recurring_csv(desk: NamedDependency[Desk], at: At = None) -> Response[bytes]:
    """Report recurring revenue as a table."""
    return table_of(RecurringRow, _recurring(desk, at))


def _recurring(desk: Desk, at: Time | None) -> list[RecurringRow]:
    moment = None if at is None else read_time(at)
    return desk.read(lambda tx: service_recurring.recurring(tx, at=moment))


@get(
    "/v1/reports/movements",
    operation_id="reportMovements",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_movements(
    desk: NamedDependency[Desk], since: From = None, until: Until = None
) -> MovementsView:
    """Report why recurring revenue changed, and the churn of customers and of revenue."""
    return MovementsView(definition=MOVEMENTS, rows=_movements(desk, since, until))


@get(
    "/v1/reports/movements.csv", operation_id="reportMovementsAsCsv", opt=CSV, tags=TAGS,
    media_type="text/csv", sync_to_thread=True,
)  # fmt: skip
def report_movements_csv(
    desk: NamedDependency[Desk], since: From = None, until: Until = None
) -> Response[bytes]:
    """Report why recurring revenue changed as a table."""
    return table_of(MovedRecurring, [moved_of(row) for row in _movements(desk, since, until)])


def _movements(desk: Desk, since: Time | None, until: Time | None) -> list[MovementsRow]:
    def work(tx: Tx) -> list[MovementsRow]:
        first, before = span_of(tx, since, until)
        return service_recurring.movements(tx, since=first, before=before)

    return desk.read(work)


@get(
    "/v1/reports/cohorts",
    operation_id="reportCohorts",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_cohorts(desk: NamedDependency[Desk]) -> CohortsView:
    """Report how many of each month's new customers stayed, and what they pay."""
    return CohortsView(definition=COHORTS, rows=desk.read(service_recurring.cohort_table))


@get(
    "/v1/reports/cohorts.csv", operation_id="reportCohortsAsCsv", opt=CSV, tags=TAGS,
    media_type="text/csv", sync_to_thread=True,
)  # fmt: skip
def report_cohorts_csv(desk: NamedDependency[Desk]) -> Response[bytes]:
    """Report cohorts as a table: a line for each month of each cohort."""
    rows = desk.read(service_recurring.cohort_table)
    return table_of(CohortMonth, [each for row in rows for each in months_of(row)])


@get(
    "/v1/reports/receivables",
    operation_id="reportReceivables",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_receivables(desk: NamedDependency[Desk]) -> ReceivablesView:
    """Report what customers owe by its age."""
    rows = desk.read(service_recurring.aged_receivables)
    return ReceivablesView(definition=RECEIVABLES, rows=rows)


@get(
    "/v1/reports/receivables.csv", operation_id="reportReceivablesAsCsv", opt=CSV, tags=TAGS,
    media_type="text/csv", sync_to_thread=True,
)  # fmt: skip
def report_receivables_csv(desk: NamedDependency[Desk]) -> Response[bytes]:
    """Report what customers owe as a table."""
    return table_of(AgedRow, desk.read(service_recurring.aged_receivables))


HANDLERS: Final = (
    report_recurring,
    report_recurring_csv,
    report_movements,
    report_movements_csv,
    report_cohorts,
    report_cohorts_csv,
    report_receivables,
    report_receivables_csv,
)
