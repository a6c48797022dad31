"""What is rated by which terms, and what comes of it: exact amounts, then smallest units."""

from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

import msgspec

from farebox.billing.pricing.model_charges import (
    BY_QUANTITY,
    NOTHING,
    Charge,
    Part,
    Terms,
)
from farebox.kernel.refusals import Refusal, ValueRefused


class UsageNotPriced(Refusal):
    """There is no price for this part of the usage."""

    code: ClassVar[str] = "usage_not_priced"


class Conversion(Terms, frozen=True):
    """Units that are charged, made of those that were counted: divided or multiplied by a factor.

    Rounded, if at all, once: on the sum so far, never on a part of it.
    """

    operation: Literal["divide", "multiply"]
    factor: Decimal
    rounding: Literal["none", "ceiling", "half_up", "floor"] = "none"

    def _check(self) -> None:
        if not self.factor:
            raise ValueRefused("a factor of 0 converts nothing")


class ChargeTerms(Terms, frozen=True):
    """A charge and what is agreed around it.

    Usage is converted, then `free_units` are taken off, then it is charged. `maximum` is the most,
    `minimum` the least that a period costs; the minimum is due with the period's last line.
    """

    charge: Charge
    conversion: Conversion | None = None
    free_units: Decimal = NOTHING
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def _check(self) -> None:
        shaped = self.conversion is not None or self.free_units
        if shaped and not isinstance(self.charge, BY_QUANTITY):
            raise ValueRefused("conversion and free units belong to a charge by quantity")
        both = self.minimum is not None and self.maximum is not None
        if both and self.minimum > self.maximum:  # type: ignore[operator] # both are there
            raise ValueRefused("the minimum is not above the maximum")


class Window(msgspec.Struct, frozen=True):
    """What was used in one window of time, and the hour of the day in which it begins."""

    hour: int
    quantity: Decimal


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used from the period's beginning until some instant: always the total so far.

    `quantity` is the sum of the units, or of the amounts of money where money is charged; `count`
    is the number of events. `amounts` are those of the first events in their order: all of them
    for a charge with bounds for one event, as many as may be free for one with free events.
    `parts` and `windows` are for the charges that are made of them.
    """

    quantity: Decimal | Fraction = NOTHING
    count: int = 0
    amounts: tuple[Decimal, ...] = ()
    parts: tuple[tuple[Part, "Usage"], ...] = ()
    windows: tuple[Window, ...] = ()


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an exact amount: in which tier, window or event it arose (from 1), and where.

    `unit` is the price or percent of the piece, `flat` what of the amount is a flat fee.
    """

    amount: Fraction
    quantity: Fraction = Fraction(0)
    place: int = 1
    unit: Decimal | None = None
    flat: Fraction = Fraction(0)
    part: Part = ()


class BilledPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one line of a period bills, in smallest units of the currency.

    `gross` by the charge, less `discount`, less what lies `over_maximum`, is `net`; `true_up` is
    what the period lacks of its minimum, a line of its own. `exact` is the gross before rounding.
    """

    exact: Fraction
    gross: int
    discount: int
    over_maximum: int
    net: int
    true_up: int = 0

    @property
    def total(self) -> int:
        """Return all that is due."""
        return self.net + self.true_up


class WindowsRated(msgspec.Struct, frozen=True, kw_only=True):
    """What windows with commitments cost: each, and of what it is made up, exactly.

    `utilised` lies within the commitments, `overage` above them, `true_up` is what they lack.
    """

    amounts: tuple[Fraction, ...]
    utilised: Fraction
    overage: Fraction
    true_up: Fraction


class Thresholds(Terms, frozen=True):
    """Amounts of usage at which a period is billed before its end: these, then every `recurring`.

    The recurring ones count from the last of `amounts`.
    """

    amounts: tuple[Decimal, ...] = ()
    recurring: Decimal | None = None

    def _check(self) -> None:
        if not self.amounts and self.recurring is None:
            raise ValueRefused("there is a threshold")
        if self.recurring is not None and not self.recurring:
            raise ValueRefused("a recurring threshold is above 0")
        below = NOTHING
        for amount in self.amounts:
            if amount <= below:
                raise ValueRefused("thresholds ascend from above 0")
            below = amount
