"""Filling wallets by payments: asked for by somebody or by itself, and settled when they end.

asked for    top-up and payment are written in one transaction; the worker of payments asks the
             gateway later
succeeded    the amount is in suspense; the wallet is filled from there, once
failed       the top-up says so; what was asked for by itself stops until somebody sets it anew,
             because a card that was declined is not tried every few minutes
"""

from functools import partial
from typing import Final

import structlog

from farebox.billing.books.model import SUSPENSE, About
from farebox.billing.flows.settle_payment import SETTLERS
from farebox.billing.payments.model import (
    WALLET,
    GatewayUnknown,
    Payment,
)
from farebox.billing.payments.service import open_intent
from farebox.billing.payments.service_methods import methods_of
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets import service_top_ups as top_ups
from farebox.billing.wallets.model import AutomaticTopUp, TopUp
from farebox.billing.wallets.service_settings import stop_automatic
from farebox.events.rests import Rests
from farebox.events.service import publish
from farebox.kernel.refusals import Refusal, TryAgain
from farebox.ledger.model import PURCHASED
from farebox.storage import Database, Tx

AT_ONCE: Final = 100
NO_METHOD: Final = "no_method"
_log: Final = structlog.get_logger("farebox.wallets")


def ask_for_top_up(
    tx: Tx,
    customer: str,
    currency: str,
    amount: int,
    *,
    method: str | None = None,
    gateway: str | None = None,
    automatic: bool = False,
    number: str | None = None,
) -> tuple[TopUp, Payment]:
    """Ask a customer for money to fill their wallet: a top-up, and the payment that it comes by.

    Refuses `customer_unknown`, `currency_unknown`, `top_up_amount_refused`, and as `open_intent`
    does. A wallet is not filled from itself. Under a `number` (`tup_`) it is done once.
    """
    if gateway == WALLET:
        raise GatewayUnknown("a wallet is not filled from itself")
    made = top_ups.begin_top_up(tx, customer, currency, amount, automatic=automatic, number=number)
    payment = open_intent(
        tx,
        customer=customer,
        amount=amount,
        currency=currency,
        purpose="top_up",
        reference=made.id,
        method=method,
        gateway=gateway,
        key=f"{made.id}:paid",
    )
    return top_ups.note_payment(tx, made.id, payment.id), payment


def settle(tx: Tx, payment: Payment) -> None:
    """Do what a payment's new state means to the wallet that it was to fill."""
    if payment.state == "succeeded":
        _fill(tx, payment)
    elif payment.state == "failed" and (found := top_ups.find_top_up(tx, payment.reference)):
        why = payment.reason or "failed"
        failed = top_ups.fail_top_up(tx, found.id, why)
        if failed.state == "failed":
            _tell(tx, "wallet.top_up_failed", failed, reason=why)
        if failed.automatic:
            _stop(tx, failed.customer, failed.currency, why)


SETTLERS["top_up"] = settle


class WalletFilling:
    """Asks for money where a balance has fallen to its level. Two at once are harmless."""

    name: Final = "wallet-filling"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Ask for what is due; returns how many wallets were dealt with.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        with self._database.read() as tx:
            due = top_ups.due_wallets(tx, AT_ONCE + len(self._rests))
        return self._rests.each(
            {(one.customer, one.currency): partial(self._ask, one) for one in due}
        )

    def _ask(self, one: AutomaticTopUp) -> None:
        try:
            self._database.run(lambda tx: _ask_by_itself(tx, one.customer, one.currency))
        except TryAgain:
            raise
        except Refusal as refused:
            # Nothing that is tried again mends a method that is gone, or a limit that was set.
            why = refused.code
            _log.warning("automatic_top_up_stopped", why=why, customer=one.customer)
            self._database.run(lambda tx: _stop(tx, one.customer, one.currency, why))


def _ask_by_itself(tx: Tx, customer: str, currency: str) -> None:
    one = top_ups.claim_due(tx, customer, currency)
    if one is None:
        return
    if one.method is None and not any(each.standard for each in methods_of(tx, customer).items):
        _stop(tx, customer, currency, NO_METHOD)
        return
    ask_for_top_up(tx, customer, currency, one.amount, method=one.method, automatic=True)


def _fill(tx: Tx, payment: Payment) -> None:
    if top_ups.find_top_up(tx, payment.reference) is not None:
        filled = top_ups.settle_top_up(tx, payment.reference, payment=payment.id)
        _tell(tx, "wallet.filled", filled)
        return
    # Asked for without a top-up of ours: the money is the customer's all the same.
    wallets.fill(
        tx, payment.customer, payment.currency, payment.amount, source_account=SUSPENSE,
        class_=PURCHASED, key=f"{payment.id}:filled",
        about=About(kind="top_up", customer=payment.customer, payment=payment.id),
    )  # fmt: skip


def _stop(tx: Tx, customer: str, currency: str, why: str) -> None:
    stop_automatic(tx, customer, currency, why)
    data = {"customerId": customer, "currency": currency, "reason": why}
    publish(tx, type="wallet.automatic_top_up_stopped", subject=f"{customer}:{currency}", data=data)


def _tell(tx: Tx, type_: str, one: TopUp, **more: str) -> None:
    data = {
        "customerId": one.customer,
        "currency": one.currency,
        "amount": one.amount,
        "topUpId": one.id,
        "paymentId": one.payment,
        "automatic": one.automatic,
        **more,
    }
    publish(tx, type=type_, subject=f"{one.customer}:{one.currency}", data=data)
