"""Payments, refunds, chargebacks, payouts, methods of payment. Amounts are smallest units."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

PaymentState = Literal["created", "action_required", "processing", "succeeded", "failed", "unknown"]
RefundState = Literal[
    "created", "processing", "succeeded", "failed", "unknown", "canceled", "returned"
]
PayoutState = Literal[
    "requested", "approved", "processing", "succeeded", "failed", "unknown", "rejected"
]
ChargebackState = Literal["opened", "won", "lost"]
NoticeState = Literal["waiting", "applied", "skipped", "failed"]
Purpose = Literal["order", "invoice", "top_up"]
Noun = Literal["payment", "refund", "payout"]
MethodKind = Literal["card", "bank", "wallet", "other"]

WALLET: Final = "wallet"
MANUAL: Final = "manual"
SANDBOX: Final = "sandbox"
STRIPE: Final = "stripe"
YOOKASSA: Final = "yookassa"
GATEWAYS: Final = (WALLET, MANUAL, SANDBOX, STRIPE, YOOKASSA)
UNDER_WAY: Final = frozenset({"created", "action_required", "processing", "unknown"})
"""States in which a payment may still take the money."""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer is to pay, and how it stands.

    `reference` is the order or invoice (of `purpose`) that it is for. `reason` is why it failed;
    `final` says that the same method will fail again. `attention` is why a person must look.
    """

    id: str
    key: str
    customer: str
    amount: int
    currency: str
    purpose: Purpose
    reference: str
    gateway: str
    method: str | None
    state: PaymentState
    provider_reference: str | None
    reason: str | None
    final: bool
    action_url: str | None
    refunded: int
    refunding: int
    charged_back: int
    created_at: int
    changed_at: int
    ended_at: int | None
    attention: str | None

    @property
    def refundable(self) -> int:
        """Return how much can still be given back."""
        if self.state != "succeeded":
            return 0
        return max(0, self.amount - self.refunded - self.refunding - self.charged_back)


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a payment on its way back, in whole or in part.

    `returned` is what had succeeded, and the customer's bank sent to us again.
    """

    id: str
    key: str
    payment: str
    amount: int
    currency: str
    gateway: str
    state: RefundState
    provider_reference: str | None
    reason: str | None
    created_at: int
    changed_at: int
    ended_at: int | None
    attention: str | None


class Chargeback(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the customer's bank took back; won is given to us again.

    `recovered` is what the customer's wallet gave for it, where the payment had filled that.
    """

    id: str
    payment: str
    gateway: str
    provider_reference: str
    amount: int
    currency: str
    state: ChargebackState
    reason: str | None
    recovered: int
    opened_at: int
    changed_at: int


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """Money of an owner's sales on its way to them. `destination` is the gateway's word for where.

    One operator asks, another approves.
    """

    id: str
    owner: str
    amount: int
    currency: str
    gateway: str
    destination: str
    state: PayoutState
    requested_by: str
    approved_by: str | None
    provider_reference: str | None
    reason: str | None
    created_at: int
    changed_at: int
    ended_at: int | None
    attention: str | None


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way in which a customer pays: the gateway's token for it, never the number of a card.

    `account` is the gateway's id of the customer, where its tokens need one. `standard` is the one
    that is taken when none is named. `expires` is `YYYY-MM`.
    """

    id: str
    customer: str
    gateway: str
    token: str
    account: str | None
    kind: MethodKind
    label: str
    expires: str | None
    standard: bool
    state: Literal["active", "removed"]
    created_at: int


class GatewayCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a gateway and what it met."""

    seq: int
    subject: str
    verb: str
    at: int
    outcome: str
    detail: str | None


class PaymentUnknown(Refusal):
    """There is no such payment."""

    code: ClassVar[str] = "payment_unknown"


class PaymentDiffers(Refusal):
    """Another payment was opened under this key."""

    code: ClassVar[str] = "payment_differs"


class PaymentUnderWay(Refusal):
    """A payment for this is under way; it must end before there is another."""

    code: ClassVar[str] = "payment_under_way"


class PaymentNotSo(Refusal):
    """The payment is not in a state in which this can be done."""

    code: ClassVar[str] = "payment_state_refused"


class RefundUnknown(Refusal):
    """There is no such refund."""

    code: ClassVar[str] = "refund_unknown"


class RefundDiffers(Refusal):
    """Another refund was asked for under this key."""

    code: ClassVar[str] = "refund_differs"


class RefundNotSo(Refusal):
    """The refund is not in a state in which this can be done."""

    code: ClassVar[str] = "refund_state_refused"


class RefundElsewhere(Refusal):
    """What an order gives back is decided by the order; ask for its refund."""

    code: ClassVar[str] = "refund_elsewhere"


class MethodUnknown(Refusal):
    """There is no such payment method."""

    code: ClassVar[str] = "payment_method_unknown"


class MethodTaken(Refusal):
    """This token is a payment method already."""

    code: ClassVar[str] = "payment_method_taken"


class CardNumberRefused(Refusal):
    """This looks like the number of a card; only a gateway's token is taken."""

    code: ClassVar[str] = "card_number_refused"


class GatewayUnknown(Refusal):
    """There is no such gateway here."""

    code: ClassVar[str] = "payment_gateway_unknown"


class NoticeRefused(Refusal):
    """The notice is not one of this gateway's."""

    code: ClassVar[str] = "notice_unverified"


class ChargebackUnknown(Refusal):
    """There is no such chargeback."""

    code: ClassVar[str] = "chargeback_unknown"


class PayoutUnknown(Refusal):
    """There is no such payout."""

    code: ClassVar[str] = "payout_unknown"


class PayoutNotSo(Refusal):
    """The payout is not in a state in which this can be done."""

    code: ClassVar[str] = "payout_state_refused"


class PayoutExceeds(Refusal):
    """The owner is not owed as much as that."""

    code: ClassVar[str] = "payout_exceeds_owed"


class SecondPersonNeeded(Refusal):
    """Who asked for a payout is not who approves it."""

    code: ClassVar[str] = "second_person_needed"
