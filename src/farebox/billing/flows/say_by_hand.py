"""What an operator says came of something: a transfer that arrived, or what no gateway could tell.

Their word counts where a person was waited for: transfers by hand, and what was looked for in vain.
"""

from farebox.billing.flows.settle_payment import apply_outcome
from farebox.billing.payments.model import (
    MANUAL,
    Noun,
    Payment,
    PaymentNotSo,
    Payout,
    PayoutNotSo,
    Refund,
    RefundNotSo,
)
from farebox.billing.payments.model_outcomes import Declined, Outcome, Succeeded
from farebox.billing.payments.service import read_payment
from farebox.billing.payments.service_payouts import read_payout
from farebox.billing.payments.service_refunds import read_refund
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.storage import Tx

_OPEN = {"action_required", "processing", "unknown"}


def say_payment(tx: Tx, actor: Actor, payment: str, *, reference: str | None) -> Payment:
    """Say that a payment arrived, under its bank's `reference`, or that it never will (None).

    Repeating changes nothing. Refuses (`payment_state_refused`) what no person was waited for.
    """
    before = read_payment(tx, payment)
    wanted = "failed" if reference is None else "succeeded"
    if before.state == wanted:
        return before
    if not _waits(before):
        raise PaymentNotSo(
            f"the payment is {before.state}, and nobody waits for an operator's word"
        )
    _say(tx, actor, "payment", payment, reference)
    return read_payment(tx, payment)


def say_refund(tx: Tx, actor: Actor, refund: str, *, reference: str | None) -> Refund:
    """Say that a refund was transferred, or that it will not be (None); as `say_payment`."""
    before = read_refund(tx, refund)
    wanted = "failed" if reference is None else "succeeded"
    if before.state == wanted:
        return before
    if not _waits(before):
        raise RefundNotSo(f"the refund is {before.state}, and nobody waits for an operator's word")
    _say(tx, actor, "refund", refund, reference)
    return read_refund(tx, refund)


def say_payout(tx: Tx, actor: Actor, payout: str, *, reference: str | None) -> Payout:
    """Say that a payout was transferred, or that it will not be (None); as `say_payment`."""
    before = read_payout(tx, payout)
    wanted = "failed" if reference is None else "succeeded"
    if before.state == wanted:
        return before
    if not _waits(before):
        raise PayoutNotSo(f"the payout is {before.state}, and nobody waits for an operator's word")
    _say(tx, actor, "payout", payout, reference)
    return read_payout(tx, payout)


def _waits(one: Payment | Refund | Payout) -> bool:
    return one.state in _OPEN and (one.gateway == MANUAL or one.attention is not None)


def _say(tx: Tx, actor: Actor, noun: Noun, id_: str, reference: str | None) -> None:
    outcome: Outcome = Declined(code="denied_by_operator")
    if reference is not None:
        outcome = Succeeded(reference=checked_text(reference, "a reference", longest=128))
    apply_outcome(tx, noun, id_, outcome)
    record(tx, actor, f"{noun}.said", id_, after={"outcome": outcome, "by": actor.id})
