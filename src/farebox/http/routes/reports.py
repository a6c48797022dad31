"""Reports of money: figures with their definitions beside them, as JSON or CSV, and the export."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.reports import service as reports
from farebox.billing.reports.model_money import (
    BalanceRow,
    By,
    Difference,
    GatewayLine,
    MovedRow,
    RevenueRow,
    SalesRow,
)
from farebox.http.deps import BILLING, Desk
from farebox.http.wire import Body, Id, Time, View, ZoneParameter, read_time
from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import zone_of
from farebox.storage import Tx

TAGS = ["Reports"]
_MONTH_US: Final = 30 * 86_400 * SECOND_US
CSV: Final = {**BILLING, "answers": "text/csv"}
MOST_LINES: Final = 10_000
From = Annotated[Time | None, QueryParameter(name="from", description="30 days ago without it")]
Until = Annotated[
    Time | None, QueryParameter(name="to", description="Not included; now without it")
]
At = Annotated[Time | None, QueryParameter(name="at", description="Before this instant, or now")]
ByWhat = Annotated[By, QueryParameter(name="by", description="What the rows are about")]
Form = Annotated[Literal["beancount", "hledger"], QueryParameter(name="format")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Signed = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]

REVENUE: Final = (
    "gross is what accounts of revenue were credited less debited in the time, deferred money when"
    " it is earned; commission is ours of what others sold; refunds is what was given back;"
    " net = gross + commission - refunds."
)
SALES: Final = (
    "top_ups is what was put into wallets for money; charges is what orders and longer rentals"
    " cost, taxes and sellers' parts in it; refunds is what went back of them; net = charges -"
    " refunds; commission is ours of what others sold; orders and customers count those charged;"
    " average_order = charges / orders, rounded half up; wallets is what customers hold at the end,"
    " bonus how much of it nobody paid for."
)
BALANCES: Final = (
    "balance is credits less debits before the instant: what we own is negative, what we owe or"
    " have earned is positive. wallet is what customers hold, deferred what is paid and not earned,"
    " payable what sellers are owed. Each currency sums to zero."
)
ACCOUNTS: Final = "opening + credited - debited = closing; balances are credits less debits."
DIFFERENCES: Final = (
    "ours is what cash of the gateway moved for a payment in the time, theirs the sum of the lines"
    " that name it; a line that is there twice is told once more."
)


class RevenueView(View, frozen=True):
    """Revenue by key and currency."""

    definition: str
    rows: list[RevenueRow]


class SalesView(View, frozen=True):
    """Top-ups and orders by currency."""

    definition: str
    rows: list[SalesRow]


class BalancesView(View, frozen=True):
    """The trial balance."""

    definition: str
    rows: list[BalanceRow]


class AccountsView(View, frozen=True):
    """Accounts over a time."""

    definition: str
    rows: list[MovedRow]


class DifferencesView(View, frozen=True):
    """Where a gateway's list and the books part; nothing, where they agree."""

    definition: str
    rows: list[Difference]


class LineBody(Body, frozen=True):
    """One line of the gateway's own list, as its balance sees it: a payout is negative."""

    reference: Annotated[str, Meta(min_length=1, max_length=255)]
    amount: Signed
    fee: Signed = 0


class Reconciliation(Body, frozen=True):
    """A gateway's list of a time."""

    gateway: Id
    currency: Currency
    since: Time
    until: Time
    lines: Annotated[list[LineBody], Meta(max_length=MOST_LINES)]


def span_of(tx: Tx, since: Any, until: Any) -> tuple[int, int]:  # noqa: ANN401 - times or nothing
    """Return the time that is asked for: [since, until), by default the last 30 days."""
    before = tx.now_us + 1 if until is None else read_time(until)
    return (max(before - _MONTH_US, 0) if since is None else read_time(since)), before


def _revenue(tx: Tx, by: By, zone: str, since: Any, until: Any) -> list[RevenueRow]:  # noqa: ANN401
    first, before = span_of(tx, since, until)
    return reports.revenue(tx, since=first, before=before, by=by, zone=zone_of(zone))


def _sales(tx: Tx, since: Any, until: Any) -> list[SalesRow]:  # noqa: ANN401 - times or nothing
    first, before = span_of(tx, since, until)
    return reports.sales(tx, since=first, before=before)


def _balances(tx: Tx, at: Any) -> list[BalanceRow]:  # noqa: ANN401 - a time or nothing
    return reports.balances(tx, at=None if at is None else read_time(at))


def _accounts(tx: Tx, since: Any, until: Any) -> list[MovedRow]:  # noqa: ANN401 - times or nothing
    first, before = span_of(tx, since, until)
    return reports.moved(tx, since=first, before=before)


def table_of(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> Response[bytes]:
    """Return rows as CSV (RFC 4180), amounts in smallest units as everywhere."""
    file = io.StringIO()
    writer = csv.writer(file)
    names = [field.name for field in msgspec.structs.fields(kind)]
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return Response(file.getvalue().encode(), media_type="text/csv")


def _cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


@get(
    "/v1/reports/revenue",
    operation_id="reportRevenue",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_revenue(
    desk: NamedDependency[Desk],
    by: ByWhat = "month",
    zone: ZoneParameter = "UTC",
    since: From = None,
    until: Until = None,
) -> RevenueView:
    """Report revenue by product, plan, item, owner, customer or time; in every currency."""
    rows = desk.read(lambda tx: _revenue(tx, by, zone, since, until))
    return RevenueView(definition=REVENUE, rows=rows)


@get(
    "/v1/reports/revenue.csv",
    operation_id="reportRevenueAsCsv",
    opt=CSV,
    tags=TAGS,
    media_type="text/csv",
    sync_to_thread=True,
)
def report_revenue_csv(
    desk: NamedDependency[Desk],
    by: ByWhat = "month",
    zone: ZoneParameter = "UTC",
    since: From = None,
    until: Until = None,
) -> Response[bytes]:
    """Report revenue as a table."""
    return table_of(RevenueRow, desk.read(lambda tx: _revenue(tx, by, zone, since, until)))


@get(
    "/v1/reports/sales",
    operation_id="reportSales",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_sales(desk: NamedDependency[Desk], since: From = None, until: Until = None) -> SalesView:
    """Report top-ups, orders, what went back of them, and what customers hold at the end."""
    return SalesView(definition=SALES, rows=desk.read(lambda tx: _sales(tx, since, until)))


@get(
    "/v1/reports/sales.csv",
    operation_id="reportSalesAsCsv",
    opt=CSV,
    tags=TAGS,
    media_type="text/csv",
    sync_to_thread=True,
)
def report_sales_csv(
    desk: NamedDependency[Desk], since: From = None, until: Until = None
) -> Response[bytes]:
    """Report sales as a table."""
    return table_of(SalesRow, desk.read(lambda tx: _sales(tx, since, until)))


@get(
    "/v1/reports/balances",
    operation_id="reportBalances",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_balances(desk: NamedDependency[Desk], at: At = None) -> BalancesView:
    """Report the trial balance: wallets' liability, deferred revenue, sellers' payable and all."""
    return BalancesView(definition=BALANCES, rows=desk.read(lambda tx: _balances(tx, at)))


@get(
    "/v1/reports/balances.csv",
    operation_id="reportBalancesAsCsv",
    opt=CSV,
    tags=TAGS,
    media_type="text/csv",
    sync_to_thread=True,
)
def report_balances_csv(desk: NamedDependency[Desk], at: At = None) -> Response[bytes]:
    """Report the trial balance as a table."""
    return table_of(BalanceRow, desk.read(lambda tx: _balances(tx, at)))


@get(
    "/v1/reports/accounts",
    operation_id="reportAccounts",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def report_accounts(
    desk: NamedDependency[Desk], since: From = None, until: Until = None
) -> AccountsView:
    """Report what every account had, what moved, and what it had then."""
    return AccountsView(definition=ACCOUNTS, rows=desk.read(lambda tx: _accounts(tx, since, until)))


@get(
    "/v1/reports/accounts.csv",
    operation_id="reportAccountsAsCsv",
    opt=CSV,
    tags=TAGS,
    media_type="text/csv",
    sync_to_thread=True,
)
def report_accounts_csv(
    desk: NamedDependency[Desk], since: From = None, until: Until = None
) -> Response[bytes]:
    """Report accounts over a time as a table."""
    return table_of(MovedRow, desk.read(lambda tx: _accounts(tx, since, until)))


@post(
    "/v1/reports/reconciliation",
    operation_id="reconcileGateway",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def reconcile(desk: NamedDependency[Desk], data: JSONBody[Reconciliation]) -> DifferencesView:
    """Compare a gateway's own list with the books, payment by payment; nothing is changed."""
    lines = [
        GatewayLine(reference=line.reference, amount=line.amount, fee=line.fee)
        for line in data.lines
    ]
    rows = desk.read(
        lambda tx: reports.reconcile(
            tx,
            gateway=data.gateway,
            currency=data.currency,
            since=read_time(data.since),
            before=read_time(data.until),
            lines=lines,
        )
    )
    return DifferencesView(definition=DIFFERENCES, rows=rows)


@get(
    "/v1/reports/export",
    operation_id="exportBooks",
    opt={**BILLING, "answers": "text/plain"},
    tags=TAGS,
    media_type="text/plain",
    sync_to_thread=True,
)
def export_books(
    desk: NamedDependency[Desk], form: Form, since: From = None, until: Until = None
) -> Response[bytes]:
    """Export the books for Beancount or hledger, which prove the balances at its end."""

    def lines(tx: Tx) -> Iterator[str]:
        first = 0 if since is None else read_time(since)
        before = None if until is None else read_time(until)
        return reports.export(tx, form=form, since=first, before=before)

    text = desk.read(lambda tx: "\n".join(lines(tx)))
    return Response(f"{text}\n".encode(), media_type="text/plain")


HANDLERS: Final = (
    report_revenue,
    report_revenue_csv,
    report_sales,
    report_sales_csv,
    report_balances,
    report_balances_csv,
    report_accounts,
    report_accounts_csv,
    reconcile,
    export_books,
)
