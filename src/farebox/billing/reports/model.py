"""What reports count: recurring prices, their movements, how long subscriptions live."""

from decimal import Decimal
from fractions import Fraction

import msgspec

from farebox.kernel.periods import Unit
from farebox.kernel.rounding import Exact


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription's recurring price as it stands at an instant, without tax.

    `off_percent` and `off_amount` are discounts that last for ever; a coupon that ends takes
    nothing off recurring revenue. `ends` says that it is set to end.
    """

    customer: str
    amount: Exact
    unit: Unit
    count: int = 1
    off_percent: Decimal = Decimal(0)
    off_amount: int = 0
    trial: bool = False
    ends: bool = False


class Movements(msgspec.Struct, frozen=True, kw_only=True):
    """How recurring revenue came from one instant's to another's; `start` and all of them: `end`.

    `contraction` and `churn` are at most 0.
    """

    start: int
    new: int
    expansion: int
    contraction: int
    churn: int
    reactivation: int
    end: int


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """When a subscription gave access, and when its end was asked for. Microseconds UTC."""

    started_us: int
    canceled_us: int | None = None
    ended_us: int | None = None


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """What of an amount is earned, and what is still deferred: together the amount."""

    earned: int
    deferred: int


Shares = dict[str, Fraction]
