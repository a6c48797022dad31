"""What credits are worth in money, and what of a grant rolls over.

Which grant pays first is not decided here: wallets are buckets of the ledger, and it burns by
priority, soonest expiry, included before purchased, oldest.
"""

from collections.abc import Sequence
from typing import Final

from farebox.billing.books.model import (
    BAD_DEBT,
    BONUS,
    CASH,
    CHARGEBACKS,
    REFUNDS,
    ROUNDING,
    SUSPENSE,
    Line,
)
from farebox.billing.wallets.model import BonusAloneEnds, LinesRefused
from farebox.kernel.clock import LAST_US
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Exact, Rounding, exact, rounded
from farebox.ledger.model import FOREVER, INCLUDED, PURCHASED

_BY_HAND: Final = frozenset({BAD_DEBT, BONUS, CASH, CHARGEBACKS, REFUNDS, ROUNDING})


def credits_for(money: Exact, value: Exact, rounding: Rounding = "down") -> int:
    """Return how many credits money buys at a credit's value: 1.00 at 0.008 buys 125.

    Money and value are in the same unit. What is not enough for a whole credit buys none. Refuses
    (`value_invalid`) a value that is not above 0.
    """
    worth = exact(value)
    if worth <= 0:
        raise ValueRefused("a credit is worth more than nothing")
    return rounded(exact(money) / worth, rounding)


def worth_of(credits_: int, value: Exact, rounding: Rounding = "half_up") -> int:
    """Return what credits are worth, in the unit of a credit's value: 60 at 50 cents are 3000."""
    return rounded(credits_ * exact(value), rounding)


def rolled_over(balance: int, *, least: int = 0, most: int) -> int:
    """Return what of a grant stays at a reset: `min(most, max(least, balance))`.

    90 left with at most 50 is 50 (OpenMeter, RolloverBalance). Refuses (`value_invalid`) bounds
    below 0 or the wrong way round.
    """
    if not 0 <= least <= most:
        raise ValueRefused("what rolls over is at least 0 and at most its own maximum")
    return min(most, max(least, balance))


def checked_lines(lines: Sequence[Line], amount: int, *, into: bool = False) -> None:
    """Refuse (`wallet_lines_refused`) an entry that does not pass on all that leaves a wallet.

    What a wallet pays waits in suspense, and the entry takes all of it from there; none at all
    leaves it there. With `into`, what returns: the entry puts all of it into suspense.
    """
    moved = 0
    for line in lines:
        moved += line.amount * ((line.debit == SUSPENSE) - (line.credit == SUSPENSE))
    if lines and moved != (-amount if into else amount):
        raise LinesRefused


def checked_end(class_: int, expires_at: int | None) -> int:
    """Return the end of what is filled in; refuses one of paid money (`bonus_alone_ends`)."""
    if class_ not in {INCLUDED, PURCHASED}:
        raise ValueRefused("a wallet holds paid money and bonus")
    if expires_at is None:
        return FOREVER
    if class_ == PURCHASED:
        raise BonusAloneEnds
    if not 0 <= expires_at <= LAST_US:
        raise ValueRefused("bonus ends before the year 10000")
    return expires_at


def checked_counterpart(account: str) -> str:
    """Return the account that stands against an adjustment by hand, else refuse it.

    What documents move (revenue, tax, deferred, suspense ...) is changed by documents alone, or
    they would no longer add up to their accounts.
    """
    if account.partition(":")[0] not in _BY_HAND:
        raise ValueRefused(f"by hand money comes from and goes to {', '.join(sorted(_BY_HAND))}")
    return account
