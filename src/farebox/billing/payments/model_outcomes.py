"""What gateways are asked, and what they answer.

An answer is definite (`Succeeded`, `Declined`), on its way (`ActionNeeded`, `Pending`), certain
not to have happened (`Unreached`), or unknown (`Lost`). Unknown is not failed: a call that timed
out may have taken the money.
"""

from typing import Literal

import msgspec

from farebox.billing.payments.model import ChargebackState, MethodKind, Noun

Verb = Literal["ask", "look", "abandon"]


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as its gateway is to see it. `id` is the provider's key of it as well.

    `token` and `account` are those of the method; without a method the customer is sent to the
    gateway's own page. `first_call_at` is when it was first asked for.
    """

    id: str
    customer: str
    amount: int
    currency: str
    token: str | None
    account: str | None
    purpose: str
    reference: str
    provider_reference: str | None
    first_call_at: int
    now: int


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as its gateway is to see it; `charge` is the gateway's reference of the payment."""

    id: str
    payment: str
    charge: str
    amount: int
    currency: str
    provider_reference: str | None
    first_call_at: int
    now: int


class Remittance(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as its gateway is to see it."""

    id: str
    owner: str
    destination: str
    amount: int
    currency: str
    provider_reference: str | None
    first_call_at: int
    now: int


Ask = Charge | Return | Remittance


class SavedMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A method that the customer let the gateway keep."""

    token: str
    account: str | None = None
    kind: MethodKind = "card"
    label: str = ""
    expires: str | None = None


class Succeeded(msgspec.Struct, frozen=True, kw_only=True, tag="succeeded"):
    """The money was taken, given back or sent.

    `amount` and `currency` are what the gateway says that it was; `fee` is what it kept of it.
    """

    reference: str
    amount: int | None = None
    currency: str | None = None
    fee: int = 0
    saved: SavedMethod | None = None


class Declined(msgspec.Struct, frozen=True, kw_only=True, tag="declined"):
    """It was not done and will not be. `final`: the same method will be declined again."""

    code: str
    final: bool = False
    reference: str | None = None


class ActionNeeded(msgspec.Struct, frozen=True, kw_only=True, tag="action_required"):
    """The customer, or a person of ours, has to do something; `url` is where."""

    reference: str | None = None
    url: str | None = None
    by_person: bool = False


class Pending(msgspec.Struct, frozen=True, kw_only=True, tag="pending"):
    """The gateway has it and has not decided; `by_person`: one of ours will say."""

    reference: str | None = None
    by_person: bool = False


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="unknown"):
    """What came of it is not known."""

    reason: str


class Unreached(msgspec.Struct, frozen=True, kw_only=True, tag="unreached"):
    """The gateway was not reached, or took nothing: nothing can have come of it."""

    reason: str


Outcome = Succeeded | Declined | ActionNeeded | Pending | Lost | Unreached


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One call that is ours to make until the claim ends."""

    noun: Noun
    id: str
    gateway: str
    verb: Verb
    ask: Ask
    claim: str
    asked_before: bool


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """That something happened to one of ours, verified as far as the gateway allows.

    `event` is unique with the gateway. `subject` is our id of a payment or refund, or the
    gateway's of a chargeback. `content` is kept for `read`, and holds nothing of a card.
    `repeats` says that nobody signed it: then a forged one must not stand in the way of the real
    one, so each repeat is followed anew, though not more often than every few seconds.
    """

    event: str
    noun: Literal["payment", "refund", "chargeback"]
    subject: str
    content: str = ""
    repeats: bool = False


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is ours to follow until the claim ends; `ask` is the payment or refund."""

    id: str
    gateway: str
    notice: Notice
    claim: str
    ask: Ask | None


class Disputed(msgspec.Struct, frozen=True, kw_only=True):
    """A chargeback as the gateway tells of it; `charge` is its reference of the payment."""

    reference: str
    state: ChargebackState
    amount: int
    payment: str | None = None
    charge: str | None = None
    reason: str | None = None
    fee: int = 0


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice is about, as read from the gateway: an outcome, a chargeback, or nothing."""

    outcome: Outcome | None = None
    disputed: Disputed | None = None
