"""What an operator says came of something: a transfer that arrived, or what no gateway could tell.

Their word counts where a person was waited for: transfers by hand, and what was looked for in vain.
"""

from farebox.billing.flows.settle_payment import apply_outcome, settle_chargeback
from farebox.billing.payments.model import (
    MANUAL,
    Chargeback,
    Noun,
    Payment,
    PaymentNotSo,
    Payout,
    PayoutNotSo,
    Refund,
    RefundElsewhere,
    RefundNotSo,
)
from farebox.billing.payments.model_outcomes import Declined, Disputed, Outcome, Succeeded
from farebox.billing.payments.service import lock_payment, read_payment
from farebox.billing.payments.service_chargebacks import find_chargeback, note_chargeback
from farebox.billing.payments.service_payouts import read_payout
from farebox.billing.payments.service_refunds import read_refund, refunds_of, request_refund
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.storage import Tx

_OPEN = {"action_required", "processing", "unknown"}
_CAME_BACK = {"failed", "returned"}
_BY_ORDER = "orf_"
"""An order asks for its refunds under keys that begin with the ids of its own."""


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


def refund_by_hand(tx: Tx, actor: Actor, payment: str, amount: int, *, key: str) -> Refund:
    """Give a payment back because an operator says so; as `request_refund` in all else.

    What an order's payment gives back is decided by the order (`refund_elsewhere`): by hand it is
    only what the order gave back and a bank sent back to us.
    """
    paid = lock_payment(tx, payment)
    if paid.purpose == "order" and amount > _came_back(tx, payment):
        raise RefundElsewhere
    made = request_refund(tx, payment, amount, key)
    record(tx, actor, "refund.requested", made.id, after={"payment": payment, "amount": amount})
    return made


def _came_back(tx: Tx, payment: str) -> int:
    """Return how much of an order's refunds has come back, and was not asked for anew."""
    by_hand = by_order = 0
    for each in refunds_of(tx, payment):
        if each.key.startswith(_BY_ORDER):
            by_order += each.amount if each.state in _CAME_BACK else 0
        elif each.state not in {*_CAME_BACK, "canceled"}:
            by_hand += each.amount
    return by_order - by_hand


def say_chargeback(tx: Tx, actor: Actor, said: Disputed) -> Chargeback:
    """Note a chargeback, or its end, of which no gateway tells; repeating changes nothing.

    Refuses `payment_unknown`, and `payment_state_refused` for what was not paid, or has ended
    otherwise.
    """
    assert said.payment is not None
    paid = read_payment(tx, said.payment)
    made = note_chargeback(tx, paid.gateway, said)
    if made is None:
        known = find_chargeback(tx, paid.gateway, said.reference)
        if known is None or known.payment != paid.id or known.state != said.state:
            raise PaymentNotSo(f"the payment is {paid.state}")
        return known
    settle_chargeback(tx, read_payment(tx, paid.id), made)
    record(tx, actor, f"chargeback.{made.state}", made.id, after=made)
    return made
