"""Reports of what recurs: revenue, why it changed, who stayed; and who owes, and since when."""

from typing import Final

from litestar import get
from litestar.di import NamedDependency

from farebox.billing.reports import service_recurring
from farebox.billing.reports.model_recurring import AgedRow, CohortRow, MovementsRow, RecurringRow
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.reports import TAGS, At, From, Until, span_of
from farebox.http.wire import View, read_time
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
    moment = None if at is None else read_time(at)
    rows = desk.read(lambda tx: service_recurring.recurring(tx, at=moment))
    return RecurringView(definition=RECURRING, rows=rows)


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

    def work(tx: Tx) -> list[MovementsRow]:
        first, before = span_of(tx, since, until)
        return service_recurring.movements(tx, since=first, before=before)

    return MovementsView(definition=MOVEMENTS, rows=desk.read(work))


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


HANDLERS: Final = (report_recurring, report_movements, report_cohorts, report_receivables)
