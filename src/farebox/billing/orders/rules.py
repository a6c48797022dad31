"""Orders: the one table of their states, what ends them, and how money is shared on a line.

`ORDER_STATES[state, fact]` is the state after a fact; every pair is in the table, so that a fact
that comes late or twice has an answer. Each order has one closing event: `order.completed`,
`order.canceled`, `order.expired` or `payment.failed`; what happens after that is a refund.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from farebox.billing.orders.model import MOST_QUANTITY as MOST
from farebox.billing.orders.model import Fact, OrderLine, State, Wish, WishRefused
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import exact, rounded

FACTS: Final[tuple[Fact, ...]] = (
    "confirmed", "short", "paid", "payment_failed", "granted", "ungrantable", "canceled", "expired",
)  # fmt: skip
_TABLE: Final[Mapping[State, tuple[State, ...]]] = {
    "cart": ("created", "cart", "cart", "cart", "cart", "cart", "cart", "cart"),
    "created": (
        "created", "awaiting_funds", "paid", "failed", "created", "created", "canceled", "expired",
    ),
    "awaiting_funds": (
        "awaiting_funds", "awaiting_funds", "paid", "failed", "awaiting_funds", "awaiting_funds",
        "canceled", "expired",
    ),
    "paid": ("paid", "paid", "paid", "paid", "fulfilled", "failed", "paid", "paid"),
    "fulfilled": ("fulfilled",) * 8,
    "failed": ("failed",) * 8,
    "canceled": ("canceled",) * 8,
    "expired": ("expired",) * 8,
}  # fmt: skip
ORDER_STATES: Final[Mapping[tuple[State, Fact], State]] = {
    (state, fact): after
    for state, row in _TABLE.items()
    for fact, after in zip(FACTS, row, strict=True)
}
OPEN: Final[frozenset[State]] = frozenset({"created", "awaiting_funds"})
"""Not paid yet, and may still be."""
CLOSING: Final[Mapping[State, str]] = {
    "paid": "order.completed",
    "canceled": "order.canceled",
    "expired": "order.expired",
    "failed": "payment.failed",
}
"""The closing event of an order that leaves an open state."""


def after_fact(state: State, fact: Fact) -> State:
    """Return the state after a fact."""
    return ORDER_STATES[state, fact]


def closing_event(before: State, after: State) -> str | None:
    """Return the type of the closing event that a step brings; None where it brings none."""
    return CLOSING.get(after) if before in OPEN and after != before else None


def after_grants(lines: Iterable[OrderLine]) -> Fact | None:
    """Return what the lines of a paid order say together: granted, ungrantable, or not yet."""
    states = [line.state for line in lines]
    if any(state in {"open", "pinned"} for state in states):
        return None
    return "ungrantable" if all(state == "failed" for state in states) else "granted"


def check_wish(wish: Wish) -> Wish:
    """Return a wish that goes together; refuses others (`wish_refused`)."""
    if type(wish.quantity) is not int or not 1 <= wish.quantity <= MOST:
        raise WishRefused(f"a quantity is from 1 to {MOST}")
    if wish.quantity > 1 and wish.kind != "credits":
        raise WishRefused("only credits are bought in quantities")
    if (wish.kind == "item") != (wish.offer is not None):
        raise WishRefused("an item is bought on an offer, and nothing else is")
    if (wish.kind == "credits") != (wish.bucket is not None):
        raise WishRefused("credits go into a bucket, and nothing else does")
    if wish.kind != "item" and (wish.period_hours is not None or wish.starts_at is not None):
        raise WishRefused("only items have a period and a start")
    if wish.kind != "product" and wish.add_ons:
        raise WishRefused("only products have add-ons")
    return wish


def added_up(amounts: Iterable[int]) -> int:
    """Return a sum within 2^53 - 1; refuses (`value_invalid`) one beyond."""
    total = sum(amounts)
    if total > MAX_AMOUNT:
        raise ValueRefused(f"a total is at most {MAX_AMOUNT}")
    return total


def commission_of(net: int, percent: str | None) -> int:
    """Return our part of a sale without taxes, rounded half up: 15 % of 333.33 is 50.00."""
    if percent is None:
        return 0
    return rounded(net * _percent(percent) / 100)


def share(whole: int, part: int, of: int) -> int:
    """Return the share of an amount that goes with a part of another, rounded half up."""
    return rounded(Fraction(whole * part, of)) if of else 0


def share_between(whole: int, before: int, after: int, of: int) -> int:
    """Return the share of a step from one part to another, so that steps add up to the whole.

    A tax of 47 on 283 that goes back by halves of 142 and 141 gives 24 and 23.
    """
    return share(whole, after, of) - share(whole, before, of)


def checked_percent(percent: str) -> str:
    """Return a percentage from 0 to 100 as a plain decimal; refuses others (`value_invalid`)."""
    value = _percent(percent)
    if not 0 <= value <= 100:  # noqa: PLR2004 - per cent
        raise ValueRefused("a percentage is from 0 to 100")
    return percent


def _percent(text: str) -> Fraction:
    try:
        return exact(Decimal(text))
    except InvalidOperation as error:
        raise ValueRefused(f"{text!r} is no percentage") from error
