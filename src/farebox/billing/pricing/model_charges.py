"""Charge models: how usage or a quantity becomes an amount, as it is agreed and kept.

Prices are decimals of the currency's main unit (0.001 is a tenth of a cent), rates are percents.
On the wire they are decimal strings. Every term is checked when it is made, so whatever exists can
be rated. Formulas, sources and worked numbers: docs/pricing.md.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

from farebox.kernel.refusals import ValueRefused

AtZero = Literal["nothing", "first_tier_flat"]
Whole = Literal["up", "down"]
BlockScope = Literal["all_tiers", "top_tier"]
Part = tuple[str, ...]

MOST_WHOLE_DIGITS: Final = 15
MOST_PLACES: Final = 12
MOST_TIERS: Final = 100
MOST_DIMENSIONS: Final = 8
MOST_PARTS: Final = 1_000
NOTHING: Final = Decimal(0)
_HOURS: Final = 24


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every term shares: its decimals are bounded and written without an exponent."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float):
                raise ValueRefused(f"{name} is a decimal, never a float")
            if isinstance(value, Decimal):
                msgspec.structs.force_setattr(self, name, _plain(name, value))
        self._check()

    def _check(self) -> None:
        """Refuse (`value_invalid`) what the terms together rule out."""


def _plain(name: str, value: Decimal) -> Decimal:
    """Return a price without exponent; refuses what is below 0, not finite or out of bounds."""
    if not value.is_finite() or value < 0 or value.adjusted() >= MOST_WHOLE_DIGITS:
        raise ValueRefused(f"{name} is a decimal from 0, of at most {MOST_WHOLE_DIGITS} digits")
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -MOST_PLACES:
        raise ValueRefused(f"{name} has at most {MOST_PLACES} decimal places")
    return Decimal(f"{value:f}")


def _check_bounds(bounds: Sequence[Decimal | None]) -> None:
    if not 1 <= len(bounds) <= MOST_TIERS:
        raise ValueRefused(f"there are 1 to {MOST_TIERS} tiers")
    *closed, last = bounds
    if last is not None or None in closed:
        raise ValueRefused("the last tier, and no other, has an open end")
    below = NOTHING
    for bound in closed:
        assert bound is not None
        if bound <= below:
            raise ValueRefused("tiers ascend, and the first ends above 0")
        below = bound


# -- counted by a quantity -----------------------------------------------------------------------


class Flat(Terms, frozen=True, tag_field="model", tag="flat"):
    """`amount` a period, whatever was used."""

    amount: Decimal


class PerUnit(Terms, frozen=True, tag_field="model", tag="per_unit"):
    """`unit` for each unit; a recurring price times a quantity is this too."""

    unit: Decimal


class Tier(Terms, frozen=True):
    """Up to and including `up_to` (None: open end) each unit costs `unit`.

    `flat` is due once the tier is entered. `cap` is the most that the tier costs, flat included.
    """

    up_to: Decimal | None = None
    unit: Decimal = NOTHING
    flat: Decimal = NOTHING
    cap: Decimal | None = None


class _Tiered(Terms, frozen=True):
    tiers: tuple[Tier, ...]
    at_zero: AtZero = "nothing"
    least: Decimal = NOTHING

    def _check(self) -> None:
        _check_bounds([tier.up_to for tier in self.tiers])
        first = self.tiers[0].up_to
        if first is not None and self.least > first:
            raise ValueRefused("the least quantity lies in the first tier")


class Graduated(_Tiered, frozen=True, tag_field="model", tag="graduated"):
    """The units inside each tier at that tier's price, and the flat of each tier entered.

    `at_zero` says whether no usage owes the first tier's flat. Less than `least` (seats that must
    be bought), but not nothing, is charged as `least`.
    """


class Volume(_Tiered, frozen=True, tag_field="model", tag="volume"):
    """All units at the price of the one tier that holds the quantity, and its flat."""


class Package(Terms, frozen=True, tag_field="model", tag="package"):
    """`price` for each package of `size` units above the `free` ones.

    `rounding` says whether a package that is begun is due (`up`) or not yet (`down`).
    """

    size: Decimal
    price: Decimal
    free: Decimal = NOTHING
    rounding: Whole = "up"

    def _check(self) -> None:
        if not self.size:
            raise ValueRefused("a package holds something")


class BlockTier(Terms, frozen=True):
    """`blocks` blocks of `size` units, each at `price`; the last tier has no end."""

    size: Decimal
    price: Decimal
    blocks: int | None = None

    def _check(self) -> None:
        if not self.size:
            raise ValueRefused("a block holds something")
        if self.blocks is not None and not 1 <= self.blocks < 10**MOST_WHOLE_DIGITS:
            raise ValueRefused("a tier has 1 block or more")


class Blocks(Terms, frozen=True, tag_field="model", tag="blocks"):
    """Whole blocks, begun ones in full: tier by tier, or all at the price of the tier reached.

    Usage past the last tier's blocks stays in the last tier.
    """

    tiers: tuple[BlockTier, ...]
    scope: BlockScope = "all_tiers"

    def _check(self) -> None:
        if not 1 <= len(self.tiers) <= MOST_TIERS:
            raise ValueRefused(f"there are 1 to {MOST_TIERS} tiers")
        if any(tier.blocks is None for tier in self.tiers[:-1]):
            raise ValueRefused("only the last tier has no end")


# -- counted by amounts of money -----------------------------------------------------------------


class Percentage(Terms, frozen=True, tag_field="model", tag="percentage"):
    """`percent` of each amount and `per_event` for each event, those that are free left out.

    Free are the first `free_events`, and what lies within the first `free_amount`: the allowance
    that is reached first ends both. `least` and `most` bound what one event costs.
    """

    percent: Decimal
    per_event: Decimal = NOTHING
    free_events: int | None = None
    free_amount: Decimal | None = None
    least: Decimal | None = None
    most: Decimal | None = None

    def _check(self) -> None:
        if self.free_events is not None and not 0 <= self.free_events < 10**MOST_WHOLE_DIGITS:
            raise ValueRefused("there are 0 free events or more")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueRefused("the least that an event costs is not above the most")


class PercentTier(Terms, frozen=True):
    """Up to and including an amount of `up_to` (None: open end) `percent` of it, and `flat`."""

    up_to: Decimal | None = None
    percent: Decimal = NOTHING
    flat: Decimal = NOTHING


class GraduatedPercentage(Terms, frozen=True, tag_field="model", tag="graduated_percentage"):
    """The amount inside each tier at that tier's percent, and the flat of each tier entered."""

    tiers: tuple[PercentTier, ...]
    at_zero: AtZero = "nothing"

    def _check(self) -> None:
        _check_bounds([tier.up_to for tier in self.tiers])


class Dynamic(Terms, frozen=True, tag_field="model", tag="dynamic"):
    """The sum of the amounts that the events carry, times `multiplier`."""

    multiplier: Decimal = Decimal(1)


# -- made of others ------------------------------------------------------------------------------


class WindowTerms(Terms, frozen=True):
    """`unit` a unit in each window, of which `commitment` is agreed.

    What lies above the commitment costs `overage_factor` times as much; what is missing of it is
    due with `true_up`. Without a commitment every unit has its plain price.
    """

    unit: Decimal
    commitment: Decimal | None = None
    overage_factor: Decimal = Decimal(1)
    true_up: bool = False

    def _check(self) -> None:
        if self.commitment is None and (self.true_up or self.overage_factor != 1):
            raise ValueRefused("true-up and overage factor belong to a commitment")


class HourTerms(Terms, frozen=True):
    """Other terms for the windows that begin from `from_hour` (0 to 23) until `to_hour` (to 24).

    From 22 to 6 goes over midnight.
    """

    from_hour: int
    to_hour: int
    terms: WindowTerms

    def _check(self) -> None:
        if not (0 <= self.from_hour < _HOURS and 0 <= self.to_hour <= _HOURS):
            raise ValueRefused("hours are 0 to 24")
        if self.from_hour == self.to_hour:
            raise ValueRefused("terms by the hour hold for some hours")

    def holds(self, hour: int) -> bool:
        """Tell whether a window that begins in this hour has these terms."""
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour < self.to_hour
        return hour >= self.from_hour or hour < self.to_hour


class Windowed(Terms, frozen=True, tag_field="model", tag="windowed"):
    """Each window of time by itself, with its own commitment; terms may differ by the hour.

    A window in which nothing was used owes a commitment with true-up too, so usage names every
    window of the period.
    """

    otherwise: WindowTerms
    hours: tuple[HourTerms, ...] = ()

    def _check(self) -> None:
        for hour in range(_HOURS):
            if sum(each.holds(hour) for each in self.hours) > 1:
                raise ValueRefused(f"two terms hold at {hour} o'clock")


Simple = (
    Flat
    | PerUnit
    | Graduated
    | Volume
    | Package
    | Blocks
    | Percentage
    | GraduatedPercentage
    | Dynamic
    | Windowed
)


class DimensionCharge(Terms, frozen=True):
    """The charge of one part of the usage: a value for each dimension, in their order."""

    part: Part
    charge: Simple


class ByDimension(Terms, frozen=True, tag_field="model", tag="by_dimension"):
    """A charge of its own for each part of the usage, by the values of `dimensions`.

    What has no charge of its own has `otherwise`; without that it cannot be rated
    (`usage_not_priced`), because usage is never given away by an oversight.
    """

    dimensions: Part
    charges: tuple[DimensionCharge, ...]
    otherwise: Simple | None = None

    def _check(self) -> None:
        if not 1 <= len(self.dimensions) <= MOST_DIMENSIONS:
            raise ValueRefused(f"there are 1 to {MOST_DIMENSIONS} dimensions")
        if len(set(self.dimensions)) < len(self.dimensions):
            raise ValueRefused("a dimension is named once")
        if len(self.charges) > MOST_PARTS:
            raise ValueRefused(f"there are at most {MOST_PARTS} parts")
        parts = [each.part for each in self.charges]
        if len(set(parts)) < len(parts):
            raise ValueRefused("each part has one charge")
        if any(len(part) != len(self.dimensions) for part in parts):
            raise ValueRefused("a part has a value for each dimension")


Charge = Simple | ByDimension
BY_QUANTITY: Final = (PerUnit, Graduated, Volume, Package, Blocks)
"""The charges that are counted by one quantity; Percentage and its kin count money."""
