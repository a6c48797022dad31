"""What a payment's end means to what it was for: an order, an invoice, a top-up.

The contexts that payments are for come after this file in the order of imports, so they put their
own settler into `SETTLERS`. It is called in the transaction that records the outcome, once for
each state that a payment enters after `created`, and decides by `payment.state`. When that is
`succeeded`, the amount is in suspense, and the settler takes it from there.
"""

from collections.abc import Callable
from typing import Final

from farebox.billing.payments.model import Chargeback, Payment, Purpose, Refund
from farebox.storage import Tx

Settler = Callable[[Tx, Payment], None]
RefundSettler = Callable[[Tx, Payment, Refund], None]
ChargebackSettler = Callable[[Tx, Payment, Chargeback], None]

SETTLERS: Final[dict[Purpose, Settler]] = {}
"""What is done when a payment has a new state."""
REFUND_SETTLERS: Final[dict[Purpose, RefundSettler]] = {}
"""What is done when a refund has a new state; what succeeded took its amount from suspense.

Without one its amount is an expense, `refunds`.
"""
CHARGEBACK_SETTLERS: Final[dict[Purpose, ChargebackSettler]] = {}
"""What is done when a chargeback was opened, won or lost."""


def settle_payment(tx: Tx, payment: Payment) -> None:
    """Let what the payment was for know its new state."""
    settler = SETTLERS.get(payment.purpose)
    if settler is not None:
        settler(tx, payment)
