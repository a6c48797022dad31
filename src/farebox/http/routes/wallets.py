"""Wallets: customers' prepaid money, its statement, and what is done to it by hand."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, structs

from farebox.billing.books.model import About
from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_by_id, read_customer
from farebox.billing.wallets import service, service_by_hand
from farebox.billing.wallets.model import Adjusted, Balance, StatementLine, Wallet
from farebox.billing.wallets.service_settings import find_limit
from farebox.billing.wallets.service_statement import statement
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.wire import (
    ONE_LINE,
    Amount,
    Body,
    Limit,
    NumberCursor,
    Page,
    Time,
    View,
    read_end,
    read_time,
    show_time,
)
from farebox.kernel import ids
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import actor_of
from farebox.storage import Tx

TAGS = ["Wallets"]
PATH = "/v1/customers/{customer:str}/wallets"
WALLET = PATH + "/{currency:str}"
_MOST_PAGES = 100
_A_PAGE = 1_000

Signed = Annotated[int, Meta(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)]
Account = Annotated[
    str, Meta(pattern=r"^(bad_debt|bonus|chargebacks|refunds|rounding|cash:[!-~]{1,100})$")
]
Why = Annotated[str, Meta(min_length=1, max_length=512, pattern=ONE_LINE)]
PartName = Literal["paid", "bonus"]
From = Annotated[Time | None, QueryParameter(name="from", description="From the beginning without")]
Until = Annotated[
    Time | None, QueryParameter(name="to", description="Not included; until now without")
]


class FillWallet(Body, frozen=True):
    """Money that has come by hand, or bonus that is given; bonus alone may end."""

    amount: Amount
    reason: Why
    part: PartName = "paid"
    account: Account | None = None
    expires_at: Time | None = None


class AdjustWallet(Body, frozen=True):
    """What is put into a wallet, or with a negative amount taken out of it."""

    amount: Signed
    reason: Why
    part: PartName
    account: Account | None = None
    expires_at: Time | None = None


class BonusEndView(View, frozen=True):
    """Bonus that is left, and when it ends."""

    amount: int
    ends_at: Time


class WalletView(View, frozen=True):
    """What is in a wallet: `available` is `paid` and `bonus` together, `held` lies beside it.

    `least_top_up` and `most_top_up` bound what may be asked for at once to fill it.
    """

    customer: str
    currency: str
    paid: int
    bonus: int
    held: int
    available: int
    bonus_ends: list[BonusEndView]
    low_level: int | None
    least_top_up: int
    most_top_up: int


class Wallets(View, frozen=True):
    """A customer's wallets, by currency."""

    items: list[WalletView]


class AdjustmentView(View, frozen=True):
    """What was done to a wallet by hand; `available` is in it after that."""

    operation: str
    customer: str
    currency: str
    amount: int
    part: PartName
    account: str
    available: int
    at: Time


class StatementLineView(View, frozen=True):
    """One thing that happened to a wallet; `balance` is what was available after it.

    `paid` and `bonus` add up to `amount`. What has fallen due and is not written yet has no
    operation.
    """

    operation: str | None
    at: Time
    amount: int
    paid: int
    bonus: int
    balance: int
    about: About


def show_wallet(tx: Tx, customer: str, currency: str, found: Wallet | None) -> WalletView:
    """Return a wallet as the API shows it, one that was never used too."""
    balance: Balance = service.balance_of(tx, customer, currency)
    limit = find_limit(tx, currency)
    return WalletView(
        customer=customer,
        currency=currency,
        paid=balance.paid,
        bonus=balance.bonus,
        held=balance.held,
        available=balance.available,
        bonus_ends=[
            BonusEndView(amount=one.amount, ends_at=show_time(one.ends_at))
            for one in balance.bonus_ends
        ],
        low_level=None if found is None else found.low_level,
        least_top_up=limit.least,
        most_top_up=limit.most,
    )


def show_adjustment(made: Adjusted) -> AdjustmentView:
    """Return what was done by hand as the API shows it."""
    facts: dict[str, Any] = structs.asdict(made)
    operation = ids.show("op", made.operation)
    return AdjustmentView(**{**facts, "operation": operation, "at": show_time(made.at)})


def show_line(line: StatementLine) -> StatementLineView:
    """Return a line of a statement as the API shows it."""
    return StatementLineView(
        operation=ids.show("op", line.operation) if line.operation else None,
        at=show_time(line.at),
        amount=line.amount,
        paid=line.paid,
        bonus=line.bonus,
        balance=line.balance,
        about=line.about,
    )


@get(PATH, operation_id="listWallets", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_wallets(customer: FromPath[str], desk: NamedDependency[Desk]) -> Wallets:
    """List a customer's wallets; consumers see their own."""
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> list[WalletView]:
        read_customer(tx, customer)
        found = service.wallets_of(tx, customer)
        return [show_wallet(tx, customer, one.currency, one) for one in found]

    return Wallets(items=desk.read(work))


@get(WALLET, operation_id="readWallet", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_wallet(
    customer: FromPath[str], currency: FromPath[str], desk: NamedDependency[Desk]
) -> WalletView:
    """Read what is in a customer's wallet; consumers read their own."""
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> WalletView:
        read_customer(tx, customer)
        found = service.find_wallet(tx, customer, currency)
        return show_wallet(tx, customer, currency, found)

    return desk.read(work)


@get(
    WALLET + "/statement",
    operation_id="readStatement",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_statement(
    customer: FromPath[str],
    currency: FromPath[str],
    desk: NamedDependency[Desk],
    *,
    since: From = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[StatementLineView]:
    """Read what happened to a wallet, newest first, each line with the balance after it.

    A page may have fewer lines than `limit`, or none, and still a `next`.
    """
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> Page[StatementLineView]:
        read_customer(tx, customer)
        page = statement(
            tx, customer, currency, cursor, limit,
            since=0 if since is None else read_time(since),
            before=None if until is None else read_time(until),
        )  # fmt: skip
        return Page(items=[show_line(line) for line in page.items], next=page.next)

    return desk.read(work)


@get(
    WALLET + "/statement.csv",
    operation_id="readStatementAsCsv",
    opt={**BILLING, "answers": "text/csv"},
    tags=TAGS,
    media_type="text/csv",
    sync_to_thread=True,
)
def read_statement_csv(
    customer: FromPath[str],
    currency: FromPath[str],
    desk: NamedDependency[Desk],
    since: From = None,
    until: Until = None,
) -> Response[bytes]:
    """Read a whole statement as a table, newest first; amounts in smallest units as everywhere."""
    desk.must_own(customer, CustomerUnknown)
    desk.read(lambda tx: read_customer(tx, customer))
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(("at", "operation", "kind", "amount", "paid", "bonus", "balance", "currency"))
    for line in _all_lines(desk, customer, currency, since, until):
        shown = show_line(line)
        table.writerow((
            shown.at.isoformat().replace("+00:00", "Z"), shown.operation or "", line.about.kind,
            line.amount, line.paid, line.bonus, line.balance, currency,
        ))  # fmt: skip
    return Response(file.getvalue().encode(), media_type="text/csv")


def _all_lines(
    desk: Desk,
    customer: str,
    currency: str,
    since: Any,  # noqa: ANN401 - a time or nothing
    until: Any,  # noqa: ANN401 - as above
) -> Iterator[StatementLine]:
    """Yield the lines of a statement, page by page: no transaction stays open for long.

    What stands behind a cursor never changes, so the pages are of one statement.
    """
    cursor: str | None = None
    first = 0 if since is None else read_time(since)
    before = None if until is None else read_time(until)
    for _ in range(_MOST_PAGES):
        with desk.database.read() as tx:
            page = statement(tx, customer, currency, cursor, _A_PAGE, since=first, before=before)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return
    raise ValueRefused("the statement is too long for one table; ask for a shorter time")


def _adjust(
    command: Command, customer: str, currency: str, data: FillWallet | AdjustWallet, kind: str
) -> AdjustmentView:
    # Made before the work, which may be run again: the ledger then finds what it did.
    key = f"{kind}:{ids.mint()}"

    def work(tx: Tx) -> AdjustmentView:
        made = service_by_hand.adjust(
            tx,
            actor_of(command.principal, data.reason),
            ensure_by_id(tx, customer).id,
            currency,
            data.amount,
            part=data.part,
            account=data.account,
            expires_at=read_end(data.expires_at, now_us=tx.now_us),
            kind=kind,
            key=key,
        )
        return show_adjustment(made)

    return command.answer(AdjustmentView, work)


@post(
    WALLET + "/fills",
    operation_id="fillWallet",
    opt={**BILLING, **MOVES_VALUE},
    tags=TAGS,
    sync_to_thread=True,
)
def fill_wallet(
    customer: FromPath[str],
    currency: FromPath[str],
    data: JSONBody[FillWallet],
    command: NamedDependency[Command],
) -> AdjustmentView:
    """Fill a wallet by hand: money that has come (`cash:manual`), or bonus that is given."""
    kind = "top_up" if data.part == "paid" else "bonus"
    return _adjust(command, customer, currency, data, kind)


@post(
    WALLET + "/adjustments",
    operation_id="adjustWallet",
    opt={**BILLING, **MOVES_VALUE},
    tags=TAGS,
    sync_to_thread=True,
)
def adjust_wallet(
    customer: FromPath[str],
    currency: FromPath[str],
    data: JSONBody[AdjustWallet],
    command: NamedDependency[Command],
) -> AdjustmentView:
    """Correct a wallet by hand, up or down; paid money and bonus are corrected apart."""
    return _adjust(command, customer, currency, data, "adjustment")


HANDLERS = (
    list_wallets,
    read_wallet,
    read_statement,
    read_statement_csv,
    fill_wallet,
    adjust_wallet,
)
