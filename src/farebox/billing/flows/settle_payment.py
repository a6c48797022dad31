"""What a payment's end means to what it was for: an order, an invoice, a top-up.

The contexts that payments are for come after this file in the order of imports, so they put their
own settler into `SETTLERS`. It is called in the transaction that records the outcome, once for
each state that a payment enters after `created`, and decides by `payment.state`. When that is
`succeeded`, the amount is in suspense, and the settler takes it from there. A payment that had
failed may still succeed, when its gateway says so late: the money is there then, and what cannot
be delivered for it any more is for the settler to give back.
"""

from collections.abc import Callable
from typing import Final

from farebox.billing.books.model import REFUNDS, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.payments.model import WALLET, Chargeback, Noun, Payment, Purpose, Refund
from farebox.billing.payments.model_outcomes import (
    Charge,
    Declined,
    Outcome,
    Return,
    Succeeded,
    Task,
    Verb,
)
from farebox.billing.payments.service import read_payment
from farebox.billing.payments.service_payouts import note_payout
from farebox.billing.payments.service_refunds import note_refund
from farebox.billing.payments.service_work import claim_one, note_call, note_payment
from farebox.billing.wallets.model import GiveBackExceeds, Short, WalletStopped
from farebox.billing.wallets.service import give_back, pay
from farebox.billing.wallets.service_top_ups import fail_top_up, find_top_up, settle_top_up
from farebox.storage import Tx

Settler = Callable[[Tx, Payment], None]
RefundSettler = Callable[[Tx, Payment, Refund], None]
ChargebackSettler = Callable[[Tx, Payment, Chargeback], None]


def settle_payment(tx: Tx, payment: Payment) -> None:
    """Let what the payment was for know its new state."""
    settler = SETTLERS.get(payment.purpose)
    if settler is not None:
        settler(tx, payment)


def record_outcome(tx: Tx, task: Task, outcome: Outcome) -> None:
    """Record what a call met, in the books too, and settle what it was for."""
    note_call(tx, task, outcome)
    apply_outcome(tx, task.noun, task.id, outcome, verb=task.verb, claim=task.claim)


def apply_outcome(
    tx: Tx, noun: Noun, id_: str, outcome: Outcome, *, verb: Verb = "look", claim: str | None = None
) -> bool:
    """Apply an outcome, asked for under a claim or told; tells whether there is a new state."""
    if noun == "payment":
        paid = note_payment(tx, id_, verb, outcome, claim=claim)
        if paid is not None:
            settle_payment(tx, paid)
        return paid is not None
    if noun == "refund":
        refund = note_refund(tx, id_, verb, outcome, claim=claim)
        if refund is not None:
            settle_refund(tx, read_payment(tx, refund.payment), refund)
        return refund is not None
    return note_payout(tx, id_, verb, outcome, claim=claim) is not None


def pay_from_wallet(tx: Tx, payment: str) -> Payment:
    """Let the customer's wallet pay now, in this transaction, and settle it.

    For a payment by the gateway `wallet` that was just opened; what is short fails
    (`wallet_short` is its reason).
    """
    task = claim_one(tx, "payment", payment)
    assert task.gateway == WALLET
    record_outcome(tx, task, ask_wallet(tx, task))
    return read_payment(tx, payment)


def ask_wallet(tx: Tx, task: Task) -> Outcome:
    """Do what other gateways are called for: the wallet is here. Repeating changes nothing."""
    ask = task.ask
    if task.verb == "abandon":
        return Declined(code="canceled")
    try:
        if isinstance(ask, Charge):
            about = About(kind="payment", customer=ask.customer, payment=ask.id)
            paid = pay(
                tx, ask.customer, ask.currency, ask.amount, about=about, key=f"{ask.id}:wallet"
            )
            if isinstance(paid, Short):
                return Declined(code="wallet_short")
            return Succeeded(reference=str(paid.operation))
        assert isinstance(ask, Return)
        about = About(kind="refund", payment=ask.payment, refund=ask.id)
        back = give_back(tx, int(ask.charge), ask.amount, about=about, key=f"{ask.id}:wallet")
        return Succeeded(reference=str(back.operation))
    except (CustomerUnknown, GiveBackExceeds, WalletStopped) as refusal:
        return Declined(code=refusal.code)


def settle_refund(tx: Tx, payment: Payment, refund: Refund) -> None:
    """Let what the payment was for know that a refund has a new state."""
    REFUND_SETTLERS.get(payment.purpose, _as_expense)(tx, payment, refund)


def settle_chargeback(tx: Tx, payment: Payment, chargeback: Chargeback) -> None:
    """Let what the payment was for know that a chargeback has a new state."""
    settler = CHARGEBACK_SETTLERS.get(payment.purpose)
    if settler is not None:
        settler(tx, payment, chargeback)


def settle_top_up_of(tx: Tx, payment: Payment) -> None:
    """Fill the wallet that a payment was for, or write down that its money does not come."""
    if find_top_up(tx, payment.reference) is None:
        return  # The money stays in suspense, where it is seen.
    if payment.state == "succeeded":
        settle_top_up(tx, payment.reference, payment=payment.id)
    elif payment.state == "failed":
        fail_top_up(tx, payment.reference, payment.reason or "failed")


def _as_expense(tx: Tx, payment: Payment, refund: Refund) -> None:
    """Put what was given back into suspense, as an expense of ours."""
    about = About(kind="refund", customer=payment.customer, payment=payment.id, refund=refund.id)
    if refund.state == "succeeded":
        line = Line(REFUNDS, SUSPENSE, refund.amount)
    elif refund.state == "returned":
        line = Line(SUSPENSE, REFUNDS, refund.amount)
    else:
        return
    post(tx, refund.currency, [line], about, key=f"{refund.id}:{refund.state}:expense")


def _from_wallet(tx: Tx, payment: Payment, refund: Refund) -> None:
    """Do nothing: what a top-up had brought was taken out of the wallet when it was asked for."""


SETTLERS: Final[dict[Purpose, Settler]] = {"top_up": settle_top_up_of}
"""What is done when a payment has a new state."""
REFUND_SETTLERS: Final[dict[Purpose, RefundSettler]] = {"top_up": _from_wallet}
"""What is done when a refund has a new state; what succeeded took its amount from suspense.

Without one its amount is an expense, `refunds`.
"""
CHARGEBACK_SETTLERS: Final[dict[Purpose, ChargebackSettler]] = {}
"""What is done when a chargeback was opened, won or lost."""
