"""The prepaid account by the literal paths of the premiere store's billing service.

Amounts are `summ`, in the smallest unit (kopecks) of the caller's currency. These paths are their
own interface: they are left out of the description and need no Idempotency-Key.
"""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_by_id
from farebox.billing.flows.fill_wallets import ask_for_top_up
from farebox.billing.flows.withdraw import withdraw as withdraw_from_wallet
from farebox.billing.wallets import service_by_hand
from farebox.billing.wallets.service import balance_of
from farebox.billing.wallets.service_settings import currency_of
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.refusals import FieldsInvalid
from farebox.http.wire import Amount, Body, Id, IdFilter, View
from farebox.kernel.ids import record_id
from farebox.platform.model import Principal
from farebox.platform.rules import actor_of
from farebox.storage import Tx

PATH = "/api/v1/billing"
LeastNothing = Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY)]
BY_HAND = "filled by hand over the store's interface"


class Fill(Body, frozen=True):
    """How much is to be put in. Operators say whose account; what they put in has come already."""

    summ: Amount
    customer: Id | None = None


class Withdraw(Body, frozen=True):
    """The premiere's id, and what the caller was shown that it costs."""

    id: Id
    summ: LeastNothing
    customer: Id | None = None


class WithdrawView(View, frozen=True):
    """What was bought, and for how much. Until the place is pinned it is not `paid`.

    `amount` is what may be spent now.
    """

    order: str
    state: str
    summ: int
    currency: str
    paid: bool
    amount: int


class AmountView(View, frozen=True):
    """What may be spent, `summ`, and what it is made of."""

    summ: int
    currency: str
    paid: int
    bonus: int
    held: int


class FillView(View, frozen=True):
    """What was asked for. `state` is open until the payment has come; `action_url` is where to go.

    `amount` is what may be spent now.
    """

    summ: int
    currency: str
    state: str
    top_up: str | None
    payment: str | None
    action_url: str | None
    amount: int


def whose(principal: Principal, customer: str | None) -> str:
    """Return whose account is meant: a consumer's own, for operators the one they name."""
    if principal.kind == "consumer":
        if customer not in {None, principal.id}:
            raise CustomerUnknown
        return principal.id
    if customer is None:
        raise FieldsInvalid("customer: operators say whose account it is")
    return customer


@get(
    f"{PATH}/amount",
    operation_id="amount",
    opt=BILLING,
    include_in_schema=False,
    sync_to_thread=True,
)
def amount(desk: NamedDependency[Desk], customer: IdFilter = None) -> AmountView:
    """Tell what is in an account."""
    one = whose(desk.principal, customer)

    def work(tx: Tx) -> AmountView:
        currency = currency_of(tx, one)
        found = balance_of(tx, one, currency)
        return AmountView(
            summ=found.available,
            currency=currency,
            paid=found.paid,
            bonus=found.bonus,
            held=found.held,
        )

    return desk.read(work)


@post(
    f"{PATH}/fill",
    operation_id="fill",
    opt=BILLING,
    include_in_schema=False,
    sync_to_thread=True,
)
def fill(data: JSONBody[Fill], command: NamedDependency[Command]) -> FillView:
    """Fill an account: a consumer by a payment, an operator by hand and at once."""
    one = whose(command.principal, data.customer)
    # Made before the work, which may be run again without a second movement.
    number = record_id("tup")

    def work(tx: Tx) -> FillView:
        payer = ensure_by_id(tx, one).id
        currency = currency_of(tx, payer)
        if command.principal.kind == "operator":
            actor = actor_of(command.principal, command.reason or BY_HAND)
            service_by_hand.adjust(
                tx, actor, payer, currency, data.summ, part="paid", kind="top_up",
                key=f"{number}:by_hand",
            )  # fmt: skip
            top_up, payment = None, None
        else:
            top_up, payment = ask_for_top_up(tx, payer, currency, data.summ, number=number)
        return FillView(
            summ=data.summ,
            currency=currency,
            state="filled" if top_up is None else top_up.state,
            top_up=None if top_up is None else top_up.id,
            payment=None if payment is None else payment.id,
            action_url=None if payment is None else payment.action_url,
            amount=balance_of(tx, payer, currency).available,
        )

    return command.answer(FillView, work)


@post(
    f"{PATH}/withdraw",
    operation_id="withdraw",
    opt=BILLING,
    include_in_schema=False,
    status_code=200,
    sync_to_thread=True,
)
def withdraw(data: JSONBody[Withdraw], command: NamedDependency[Command]) -> WithdrawView:
    """Pay for a premiere in the caller's cart; a sum that is not ours charges nothing."""
    one = whose(command.principal, data.customer)

    def work(tx: Tx) -> WithdrawView:
        payer = ensure_by_id(tx, one).id
        order = withdraw_from_wallet(tx, payer, data.id, data.summ)
        return WithdrawView(
            order=order.id,
            state=order.state,
            summ=order.total,
            currency=order.currency,
            paid=order.charged > 0 or order.state in {"paid", "fulfilled"},
            amount=balance_of(tx, payer, order.currency).available,
        )

    return command.answer(WithdrawView, work)


HANDLERS = (amount, fill, withdraw)
