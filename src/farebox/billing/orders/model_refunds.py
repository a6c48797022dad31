"""Money that goes back: policies as data, what they are asked about, and refunds as objects.

A policy is a list of rules in order, of which the first that fits says how many percent go back;
where none fits, nothing does. Policies are kept in versions; an order's line names the version it
was bought under, so a later one changes nothing for it.
"""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal

Reason = Literal["own_wish", "our_fault", "illness"]
RefundKind = Literal["return", "allowance", "undone", "shortened", "change_undone"]


class RefundRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule: `percent` goes back where every condition that is set holds.

    `hours_before_start`: so many hours or more are left until the start. `hours_since_order`: at
    most so many have passed since it was paid. `started`, `played`: that is so, or is not.
    """

    percent: str
    reason: Reason | None = None
    started: bool | None = None
    played: bool | None = None
    hours_before_start: int | None = None
    hours_since_order: int | None = None


class RefundPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy. `of` is the kind of offer that it is for unless an offer names one."""

    code: str
    version: int
    rules: tuple[RefundRule, ...]
    created_at: int = 0


class RefundFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy is asked about. Without a start there is nothing that could have started."""

    now: int
    ordered_at: int
    starts_at: int | None = None
    played_at: int | None = None
    reason: Reason = "own_wish"


class RefundPart(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back of one charge: `gross` with the taxes and the commission in it."""

    charge: str
    line: str
    gross: int
    taxes: dict[str, int]
    commission: int


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went back. A `return` takes back what was bought, an `allowance` leaves it.

    `undone` is what could not be granted, `shortened` the difference of a rental made shorter,
    `change_undone` what a longer one cost that access could not give.
    """

    id: str
    order: str
    customer: str
    currency: str
    kind: RefundKind
    reason: Reason
    amount: int
    note: str | None
    at: int
    parts: tuple[RefundPart, ...] = ()


class RefundQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What would go back for a line now, by its policy."""

    line: str
    percent: str
    amount: int
    policy: str
    policy_version: int


class RefundPolicyUnknown(Refusal):
    """There is no such refund policy."""

    code: ClassVar[str] = "refund_policy_unknown"


class RefundPolicyRefused(Refusal):
    """A refund policy has rules, each with a percentage from 0 to 100."""

    code: ClassVar[str] = "refund_policy_invalid"


class RefundExceeds(Refusal):
    """No more goes back than was charged and has not gone back yet."""

    code: ClassVar[str] = "refund_exceeds_charge"


class RefundUnknown(Refusal):
    """There is no such refund."""

    code: ClassVar[str] = "order_refund_unknown"


class NothingToRefund(Refusal):
    """By its policy nothing goes back for this, and that has to be accepted."""

    code: ClassVar[str] = "nothing_to_refund"


class LineUnknown(Refusal):
    """The order has no such line."""

    code: ClassVar[str] = "order_line_unknown"
